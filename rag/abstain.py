"""Whether to answer: one calibrated probability, and the least that a user accepts.

Signals of retrieval, reading, wording and support go into a logistic regression (Platt 1999) that
was fitted on questions whose outcome is known. The least probability to answer with is read off
the risk-coverage curve of those questions (Geifman and El-Yaniv 2017).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import ArchiveError
from rag.evidence import EvidenceSentence, coverage
from rag.retrieve import Found, sigmoid
from rag.words import stems

Signals = Mapping[str, float]

FILE = "calibration.json"
"""An archive's own calibration, in its folder; without one, the shipped one counts."""

_SHIPPED = Path(__file__).parent / "weights" / FILE
_AROUND = 300
"""Characters before and after the best sentence that say what it is about."""
_NAME = re.compile(r"(?<!^)(?<![.?!]\s)\b[A-Z][\w’'-]+|\b\d[\d.,]*\d\b")
_STEPS = [step / 100 for step in range(1, 51)]
_WORDED = "worded"
"""Tells rows apart; as a signal it says nothing."""
_KNOWN = "certainty known"
_AGAINST = {"missing": -2.0, "declined": -0.5}
"""The weight that these signals have at the least, below zero."""
_STRENGTH = 0.3
"""The inverse of the penalty on weights, as scikit-learn's C."""
_ENOUGH_WORDED = 50
_FOLDS = 5
_SUPPORTED = 10
"""Fewest answered questions that an error rate is read off."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression over signals, and the least probability to answer with.

    `thresholds` maps accepted error rates, as text with two digits, to that least probability;
    `questions` is how many it was fitted on.
    """

    weights: Mapping[str, float]
    bias: float
    thresholds: Mapping[str, float]
    questions: int

    def probability(self, signals: Signals) -> float:
        """The probability that the archive answers, in 0..1; a signal without a weight is 0."""
        return sigmoid(self.bias + sum(w * signals.get(n, 0.0) for n, w in self.weights.items()))

    def threshold(self, accepted_error: float) -> float:
        """The least probability to answer with; 0 where more errors are accepted than are known."""
        return self.thresholds.get(f"{accepted_error:.2f}", 0.0)


def signals(
    found: Sequence[Found],
    evidence: Sequence[EvidenceSentence],
    missing: float,
    weights: Mapping[str, float],
) -> dict[str, float]:
    """What retrieval and reading say, before any wording.

    `missing` is the share of the question's names and numbers that nothing found mentions.
    `weights` are the question's stems by rarity.
    """
    content = {stem: weight for stem, weight in weights.items() if stem not in _asking()}
    windows = [w for one in found for w in one.windows]
    relevances = sorted((sigmoid(w.relevance) for w in windows), reverse=True)
    phrases = sorted((sigmoid(p[2]) for w in windows for p in w.phrases[:1]), reverse=True)
    return {
        "relevance": relevances[0] if relevances else 0.0,
        "relevance next": sum(relevances[1:4]) / 3,
        "phrase": phrases[0] if phrases else 0.0,
        "similarity": max((e.similarity for e in evidence), default=0.0),
        "dense": max((one.candidate.dense for one in found), default=0.0),
        "missing": missing,
        "told": coverage(content, stems(_surrounded(evidence[0]))) if evidence else 0.0,
    }


def _surrounded(best: EvidenceSentence) -> str:
    """A sentence with what stands around it, under its title: what it is about."""
    article = best.article
    around = article.text[max(best.start - _AROUND, 0) : best.end + _AROUND]
    return f"{article.title} {around}"


def names(query: str) -> list[str]:
    """The names and numbers of a question."""
    return [name for name in dict.fromkeys(_NAME.findall(query)) if stems(name)]


def missing(query: str, found: Sequence[Found]) -> tuple[str, ...]:
    """The names and numbers of a question that nothing found mentions."""
    held = {
        stem for one in found for stem in stems(f"{one.passage.article.title} {one.passage.text}")
    }
    return tuple(name for name in names(query) if not set(stems(name)) <= held)


@cache
def _asking() -> frozenset[str]:
    """Stems that ask, and that no answer needs to have."""
    words = "who whom whose what when where which why how did does do latest news know story"
    return frozenset(stems(f"{words} begin began happen tell explain describe"))


def fit_calibration(rows: Sequence[tuple[Signals, bool]]) -> Calibration:
    """A calibration from questions: their signals, and whether the answer was right.

    The least probabilities are read off questions that the fit has not seen (cross-validation), off
    those that were worded where these are enough: a quotation claims less, and the same probability
    shows it. Raises `ValueError` when all were right or all were wrong.
    """
    kinds = sorted({name for signals, _ in rows for name in signals} - {_WORDED})
    features = np.array([[signals.get(name, 0.0) for name in kinds] for signals, _ in rows])
    right = np.array([float(outcome) for _, outcome in rows])
    if not 0 < right.sum() < len(right):
        raise ValueError("a calibration needs right answers and wrong ones")
    scale = np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)
    bounds = [
        (low * unit, high * unit)
        for (low, high), unit in zip(map(_sign, kinds), scale, strict=True)
    ]
    chances = _unseen(features / scale, right, bounds)
    *weights, bias = _fitted(features / scale, right, bounds)
    by_name = {name: float(w / unit) for name, w, unit in zip(kinds, weights, scale, strict=True)}
    scored = list(zip(chances, right.astype(bool).tolist(), strict=True))
    worded = [pair for pair, (signals, _) in zip(scored, rows, strict=True) if signals.get(_WORDED)]
    read = worded if len(worded) >= _ENOUGH_WORDED else scored
    return Calibration(by_name, float(bias), _thresholds(read), len(rows))


def _sign(name: str) -> tuple[float, float]:
    """The least and the largest weight that a signal may have.

    More of a signal never makes an answer less probable, whatever few rows say; a name that nothing
    found mentions, and a model that declines, always do.
    """
    if name in _AGAINST:
        return -np.inf, _AGAINST[name]
    return (-np.inf, np.inf) if name == _KNOWN else (0.0, np.inf)


def _fitted(
    features: NDArray[np.float64], right: NDArray[np.float64], bounds: Sequence[tuple[float, float]]
) -> NDArray[np.float64]:
    """Weights within their bounds, then the bias: logistic regression with an L2 penalty."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = features @ values[:-1] + values[-1]
        surplus = 1 / (1 + np.exp(-logits)) - right
        penalty = (values[:-1] ** 2).sum() / (2 * _STRENGTH)
        slope = np.append(features.T @ surplus + values[:-1] / _STRENGTH, surplus.sum())
        return float((np.logaddexp(0, logits) - right * logits).sum() + penalty), slope

    start = np.clip(np.zeros(len(bounds)), *np.array(bounds).T) if bounds else np.zeros(0)
    limits = [*bounds, (-np.inf, np.inf)]
    found = minimize(loss, np.append(start, 0.0), jac=True, bounds=limits, method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def _unseen(
    features: NDArray[np.float64], right: NDArray[np.float64], bounds: Sequence[tuple[float, float]]
) -> list[float]:
    """The probability of each question by a fit without it; by one with it, if few."""
    from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]

    everything = np.arange(len(right))
    folds = [(everything, everything)]
    if min(right.sum(), len(right) - right.sum()) >= _FOLDS:
        splitter = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        folds = list(splitter.split(features, right))
    chances = np.zeros(len(right))
    for fitted_on, held_back in folds:
        *weights, bias = _fitted(features[fitted_on], right[fitted_on], bounds)
        chances[held_back] = 1 / (1 + np.exp(-(features[held_back] @ weights + bias)))
    return [float(chance) for chance in chances]


def _thresholds(scored: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """The least probability at which the answered questions are wrong at most so often.

    Where none is, only certainty would do: 1.
    """
    ordered = sorted(scored, key=lambda pair: -pair[0])
    wrong = np.cumsum([not right for _, right in ordered])
    risk = wrong / np.arange(1, len(ordered) + 1)
    least = {}
    for step in _STEPS:
        passing = [n for n in range(_SUPPORTED - 1, len(ordered)) if risk[n] <= step]
        least[f"{step:.2f}"] = round(ordered[passing[-1]][0], 4) if passing else 1.0
    return least


def load_calibration(folder: Path) -> Calibration:
    """The archive's own calibration, else the shipped one.

    Raises `ArchiveError` for a broken one, and for one of a version that had other signals.
    """
    shipped, own = _load(_SHIPPED, 0), folder / FILE
    if not own.exists():
        return shipped
    found = _load(own, own.stat().st_mtime_ns)
    if unknown := sorted(found.weights.keys() - shipped.weights.keys()):
        raise ArchiveError(
            f"{own} weighs {', '.join(unknown)}, which this version does not measure; "
            "delete it, or make it anew with: newsrag calibrate SET"
        )
    return found


@cache
def _load(file: Path, version: int) -> Calibration:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Calibration(**values)
    except (OSError, ValueError, TypeError) as error:
        raise ArchiveError(
            f"{file} is not a calibration; delete it, or make it anew with: newsrag calibrate SET"
        ) from error


def save_calibration(calibration: Calibration, folder: Path) -> Path:
    """Write an archive's calibration, whole or not at all."""
    values = {name: getattr(calibration, name) for name in Calibration.__slots__}
    target = folder / FILE
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    partial.replace(target)
    return target
