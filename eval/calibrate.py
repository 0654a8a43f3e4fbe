"""Refit the probability that the archive answers, on questions of the user's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from rich.console import Console
from rich.text import Text

from eval import curves
from eval.asking import Asked
from eval.figures import Figure, Values, each, of_columns
from eval.report import bounds, number, table
from eval.rows import Row
from eval.run import Result, evaluate
from rag import NewsragError

LEAST_QUESTIONS = 30
FOLDS = 5

Labelled = tuple[Mapping[str, float], bool]
"""The signals of a question, and whether the archive answers it and our answer was right."""


class Calibration(Protocol):
    """What turns signals into a probability, and says from which one on to answer."""

    def probability(self, signals: Mapping[str, float], /) -> float:
        """Return the probability, in 0..1, that the archive answers."""

    def threshold(self, accepted_error: float, /) -> float:
        """Return the least probability to answer with, for an accepted share of wrong answers."""


Fitted = TypeVar("Fitted", bound=Calibration)
Fitted_contra = TypeVar("Fitted_contra", bound=Calibration, contravariant=True)


class Calibrated(Asked, Protocol[Fitted_contra]):
    """An archive that keeps a calibration."""

    def save_calibration(self, calibration: Fitted_contra, /) -> None:
        """Answer with this calibration from now on."""


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """What the new calibration is worth on questions that it was not fitted on.

    `before` and `after` hold AUROC and expected calibration error against the labels; `after` also
    the coverage (share answered) and the share wrong among answered at `accepted_error`. All of
    `after` is by `FOLDS`-fold cross-validation. `refused` answerable questions got no answer, and
    count as not right. `left_out` questions failed, have no signals, or have no gold that tells
    whether their answer was right.
    """

    result: Result
    accepted_error: float
    questions: int
    right: int
    refused: int
    left_out: int
    before: Mapping[str, Figure]
    after: Mapping[str, Figure]


def calibrate(  # noqa: PLR0913 - the options of the command, by name
    archive: Calibrated[Fitted],
    set_path: Path | str,
    *,
    fit: Callable[[Sequence[Labelled]], Fitted],
    accepted_error: float,
    out: Path,
    limit: int | None = None,
    seed: int = 0,
    wording: bool = True,
    progress: bool = True,
) -> CalibrationReport:
    """Ask the questions of a set, fit a calibration on all of them, and save it in the archive.

    The archive must be opened so that it answers whatever it can: a refused question cannot show
    whether its answer would have been right, and counts as not answered. The other options are
    those of `run.evaluate`, whose rows are used. Raises `NewsragError`, and saves nothing, when the
    asking was interrupted, when fewer than `LEAST_QUESTIONS` questions can be judged, or when fewer
    than `FOLDS` of them have a right answer or fewer than `FOLDS` have none.
    """
    result = evaluate(
        archive, set_path, out=out, limit=limit, seed=seed, wording=wording, progress=progress
    )
    if result.interrupted:
        raise NewsragError("interrupted before all questions were asked; the same command goes on")
    rows = [row for row in result.scored if row.signals and label(row) is not None]
    labelled = [(row.signals, bool(label(row))) for row in rows]
    right = sum(outcome for _, outcome in labelled)
    _require_enough(len(rows), right)
    report = CalibrationReport(
        result=result,
        accepted_error=accepted_error,
        questions=len(rows),
        right=right,
        refused=sum(row.answerable and row.status == "abstained" for row in rows),
        left_out=len(result.rows) - len(rows),
        before=_before(rows),
        after=_after(labelled, fit, accepted_error, seed),
    )
    archive.save_calibration(fit(labelled))
    return report


def label(row: Row) -> bool | None:
    """Whether the archive answers the question and our answer was right; None where none can tell.

    A refusal is no right answer, whether or not the archive could have given one.
    """
    return False if row.status == "abstained" else row.right


def _require_enough(questions: int, right: int) -> None:
    if questions < LEAST_QUESTIONS:
        raise NewsragError(
            f"calibration needs at least {LEAST_QUESTIONS} questions that can be judged, "
            f"not {questions}"
        )
    if min(right, questions - right) < FOLDS:
        raise NewsragError(
            f"calibration needs at least {FOLDS} questions with a right answer and {FOLDS} "
            f"without, not {right} and {questions - right}"
        )


# What it is worth.


def _before(rows: Sequence[Row]) -> dict[str, Figure]:
    """Measure the probabilities that the archive gave, against the same labels."""
    known = [(row.probability, bool(label(row))) for row in rows if row.probability is not None]
    probabilities, outcomes = np.array(known, np.float64).reshape(-1, 2).T
    figures = _quality(probabilities, outcomes)
    missing = len(rows) - len(known)
    return {name: dataclasses.replace(f, missing=missing) for name, f in figures.items()}


def _after(
    labelled: Sequence[Labelled],
    fit: Callable[[Sequence[Labelled]], Calibration],
    accepted_error: float,
    seed: int,
) -> dict[str, Figure]:
    """Measure each fifth of the questions by a calibration that was fitted on the others."""
    from sklearn.model_selection import StratifiedKFold  # type: ignore[import-untyped]

    outcomes = np.array([outcome for _, outcome in labelled], np.float64)
    probabilities, answered = np.zeros(len(labelled)), np.zeros(len(labelled))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for fitted_on, held_back in folds.split(outcomes, outcomes):
        calibration = fit([labelled[place] for place in fitted_on])
        least = calibration.threshold(accepted_error)
        for place in held_back:
            probabilities[place] = calibration.probability(labelled[place][0])
            answered[place] = probabilities[place] >= least
    return _quality(probabilities, outcomes) | {
        "coverage": of_columns(each(np.mean), answered),
        "wrong among answered": of_columns(each(_risk), answered, 1 - outcomes),
    }


def _quality(probabilities: Values, outcomes: Values) -> dict[str, Figure]:
    return {
        "AUROC": of_columns(each(curves.auroc), probabilities, outcomes),
        "expected calibration error": of_columns(
            each(curves.calibration_error), probabilities, outcomes
        ),
    }


def _risk(answered: Values, wrong: Values) -> float:
    return float((answered * wrong).sum() / answered.sum()) if answered.any() else float("nan")


def print_calibration(report: CalibrationReport, console: Console) -> None:
    """Print the figures before and after, and what stands behind them."""
    columns = ("before", "95 %", f"after, {FOLDS}-fold", "95 %")
    shown = table(*columns, title=f"Calibration on {report.result.name}")
    for name, after in report.after.items():
        before = report.before.get(name)
        cells = (number(before), bounds(before)) if before else ("", "")
        shown.add_row(name, *cells, number(after), bounds(after))
    console.print(shown)
    console.print(
        Text(
            f"{report.questions} questions, {report.right} with a right answer, "
            f"{report.refused} answerable but refused; {report.left_out} left out. "
            "Coverage and wrong among answered are those at an accepted error of "
            f"{report.accepted_error:.0%}."
        )
    )
