"""From rows to figures, each with a bootstrap interval over the questions.

A figure is defined by a `Measure`: what a row contributes, and a statistic over the rows that
contribute. So the same definition serves the value, its interval, and the difference between two
systems that were asked the same questions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval import curves, metrics
from eval.rows import Row

RESAMPLES = 1000
SUPPORTED = 0.5
"""The least probability of our check at which a citation supports its sentence."""

_SEED = 0
_INTERVAL = (2.5, 97.5)

_BLOCK = 100

Values = NDArray[np.float64]
Statistic = Callable[..., Values]
"""Columns of shape (..., questions) to figures of shape (...); NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over `n` questions or sentences; `missing` more questions had no score.

    `value` is None when it cannot be computed. `low` and `high` bound its 95 % interval, and are
    None where fewer than two questions are behind it.
    """

    value: float | None
    n: int
    missing: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """How a named figure is computed.

    `row` gives what a row contributes, one number for each column of `statistic`, or None where it
    has no score, which counts as zeros. The last column says how much a row counts: mostly 1, else
    for instance its number of sentences; its sum is `n`.
    """

    group: str
    name: str
    row: Callable[[Row], tuple[float, ...] | None]
    statistic: Statistic


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds at the 50th and the 95th percentile of the questions."""

    p50: Figure
    p95: Figure


# The bootstrap.


def interval(
    statistic: Statistic, columns: Sequence[Values]
) -> tuple[float, float] | tuple[None, None]:
    """Return the 95 % percentile interval (Efron & Tibshirani, 1993) of a figure of questions.

    The questions are resampled. Every call with as many questions sees the same resamples. Those
    for which the figure does not exist are left out. Without any, and for fewer than two questions,
    there is no interval.
    """
    n = len(columns[0])
    if n < 2:
        return None, None
    random = np.random.default_rng(_SEED)
    blocks = (random.integers(0, n, (_BLOCK, n)) for _ in range(RESAMPLES // _BLOCK))
    drawn = np.concatenate([statistic(*(c[picked] for c in columns)) for picked in blocks])
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, _INTERVAL)
    return float(low), float(high)


def of_columns(statistic: Statistic, *columns: Values) -> Figure:
    """Compute a figure of columns with a value per question, all of which have a score."""
    n = len(columns[0])
    value = float(statistic(*columns)) if n else float("nan")
    if np.isnan(value):
        return Figure(None, n, 0)
    return Figure(value, n, 0, *interval(statistic, columns))


def figure(measure: Measure, rows: Sequence[Row]) -> Figure:
    """Compute one figure over rows without errors."""
    known = [values for row in rows if (values := measure.row(row)) is not None]
    if not known:
        return Figure(None, 0, len(rows))
    columns = np.array(known, dtype=np.float64).T
    found = of_columns(measure.statistic, *columns)
    return dataclasses.replace(found, n=round(columns[-1].sum()), missing=len(rows) - len(known))


def difference(measure: Measure, ours: Sequence[Row], theirs: Sequence[Row]) -> Figure:
    """Return ours minus theirs, over the questions that both were asked, which are resampled."""
    other = {row.id: row for row in theirs}
    pairs = [(row, other[row.id]) for row in ours if row.id in other]
    given = [[measure.row(row) for row in side] for side in zip(*pairs, strict=True)]
    if not all(any(side) for side in given) or not given:
        return Figure(None, len(pairs), 0)
    tables = [_with_zeros(side) for side in given]
    width = tables[0].shape[0]

    def minus(*columns: Values) -> Values:
        return measure.statistic(*columns[:width]) - measure.statistic(*columns[width:])

    return of_columns(minus, *tables[0], *tables[1])


def _with_zeros(contributions: Sequence[tuple[float, ...] | None]) -> Values:
    """Return columns in which a row without a score counts nothing."""
    width = next(len(values) for values in contributions if values is not None)
    table = [values or (0.0,) * width for values in contributions]
    return np.array(table, dtype=np.float64).T


# The statistics.


def each(statistic: Callable[..., float]) -> Statistic:
    """Return a statistic of one sample as one of any number of them, taken one at a time."""

    def over(*columns: Values) -> Values:
        if columns[0].ndim == 1:
            return np.array(statistic(*columns))
        return np.array([statistic(*sample) for sample in zip(*columns, strict=True)])

    return over


def _of_counted(statistic: Callable[[Values, Values], float]) -> Statistic:
    """Return a curve's figure over the questions that count, by the last column."""

    def one(probabilities: Values, outcomes: Values, counted: Values) -> float:
        known = counted > 0
        return statistic(probabilities[known], outcomes[known])

    return each(one)


def _share(part: Values, whole: Values) -> Values:
    parts, wholes = np.asarray(part.sum(-1)), np.asarray(whole.sum(-1))
    shares: Values = np.full(wholes.shape, np.nan)
    np.divide(parts, wholes, out=shares, where=wholes > 0)
    return shares


def _precision(unanswerable: Values, right: Values, abstained: Values) -> Values:
    return np.where(unanswerable.any(-1), _share(right, abstained), np.nan)


def _f1(unanswerable: Values, right: Values, abstained: Values, _: Values) -> Values:
    """Return the F1 of precision and recall, as a share of both."""
    both = _share(2 * right, abstained + unanswerable)
    return np.where(unanswerable.any(-1), both, np.nan)


# What rows contribute.


def _score(name: str) -> Callable[[Row], tuple[float, ...] | None]:
    def contribution(row: Row) -> tuple[float, ...] | None:
        value = row.scores.get(name)
        return None if value is None else (value, 1.0)

    return contribution


def _abstention(row: Row) -> tuple[float, ...]:
    """Whether it is unanswerable, abstained from rightly, abstained from, and one of the two."""
    unanswerable, abstained = not row.answerable, row.status == "abstained"
    right, either = unanswerable and abstained, unanswerable or abstained
    return float(unanswerable), float(right), float(abstained), float(either)


def _answered(row: Row) -> tuple[float, ...]:
    return float(row.status == "answered"), 1.0


def _support(row: Row) -> tuple[float, ...]:
    return sum(s["support"] for s in row.sentences), len(row.sentences)


def _supported(row: Row) -> tuple[float, ...]:
    return sum(s["support"] >= SUPPORTED for s in row.sentences), len(row.sentences)


def _checked_precision(row: Row) -> tuple[float, ...]:
    right = sum(citation["supports"] >= SUPPORTED for citation in row.citations)
    return right, len(row.citations) + sum(s["unresolved"] for s in row.sentences)


def _checked_recall(row: Row) -> tuple[float, ...]:
    right = sum(any(c["supports"] >= SUPPORTED for c in s["citations"]) for s in row.sentences)
    return right, len(row.sentences)


def confidence(row: Row) -> tuple[float, ...] | None:
    """Return the probability that the archive answers a question, 1 where it does, and 1."""
    return None if row.probability is None else (row.probability, float(row.answerable), 1.0)


def _judged(row: Row) -> tuple[float, ...] | None:
    return None if row.right is None else (float(not row.right), 1.0)


def confidence_and_wrong(row: Row) -> tuple[float, ...] | None:
    """Return the probability of an answer, 1 where it is wrong, and 1; None without either."""
    if row.right is None or row.probability is None:
        return None
    return row.probability, float(not row.right), 1.0


def _when_asked(
    contribution: Callable[[Row], tuple[float, ...]],
) -> Callable[[Row], tuple[float, ...] | None]:
    return lambda row: contribution(row) if row.asked else None


def _means(group: str, names: Sequence[str]) -> tuple[Measure, ...]:
    return tuple(Measure(group, name, _score(name), _share) for name in names)


_GOLD, _CHECK = "citations, against gold", "citations, by our check"
_ABSTENTION, _RISK = "abstention", "probability and risk"

MEASURES = (
    *_means("retrieval", metrics.RETRIEVAL),
    *_means("answers", metrics.ANSWERS),
    *_means(_GOLD, metrics.CITATIONS),
    Measure(_CHECK, "sentence support", _when_asked(_support), _share),
    Measure(_CHECK, "sentences supported", _when_asked(_supported), _share),
    Measure(_CHECK, "citation precision", _when_asked(_checked_precision), _share),
    Measure(_CHECK, "citation recall", _when_asked(_checked_recall), _share),
    Measure(
        _ABSTENTION,
        "abstention precision",
        _when_asked(lambda row: _abstention(row)[:3]),
        _precision,
    ),
    Measure(
        _ABSTENTION,
        "abstention recall",
        _when_asked(lambda row: (_abstention(row)[1], _abstention(row)[0])),
        _share,
    ),
    Measure(_ABSTENTION, "abstention F1", _when_asked(_abstention), _f1),
    Measure(_RISK, "coverage", _when_asked(_answered), _share),
    Measure(_RISK, "wrong among answered", _judged, _share),
    Measure(_RISK, "AURC", confidence_and_wrong, _of_counted(curves.area_under_risk)),
    Measure(_RISK, "answerability AUROC", confidence, _of_counted(curves.auroc)),
    Measure(_RISK, "expected calibration error", confidence, _of_counted(curves.calibration_error)),
)
"""Every figure, in the order of the report.

The two citation figures by our check follow ALCE (Gao et al., 2023): precision is the share of
citations whose quote supports its sentence, recall the share of sentences that one of their
citations supports. A citation that leads nowhere supports nothing.
"""


def measured(rows: Sequence[Row]) -> tuple[Measure, ...]:
    """Return the measures to show for these rows.

    "All with answers" says nothing of its own where every question with answers is answerable.
    """
    differ = any(row.answers and not row.answerable for row in rows)
    return tuple(m for m in MEASURES if differ or m.name not in metrics.GIVEN)


def grouped(
    measures: Iterable[Measure], compute: Callable[[Measure], Figure]
) -> Mapping[str, Mapping[str, Figure]]:
    """Return figures by group and name."""
    groups: dict[str, dict[str, Figure]] = {}
    for measure in measures:
        groups.setdefault(measure.group, {})[measure.name] = compute(measure)
    return groups


def latency(values: Sequence[float]) -> Latency:
    """Summarise the milliseconds of at least one question, by NumPy's linear interpolation."""
    column = np.array(values, dtype=np.float64)
    return Latency(
        of_columns(lambda sample: np.percentile(sample, 50, axis=-1), column),
        of_columns(lambda sample: np.percentile(sample, 95, axis=-1), column),
    )
