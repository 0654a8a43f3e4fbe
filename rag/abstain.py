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
from typing import Any

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
_BEST = 3
"""Passages that a name is looked for in."""
_NAME = re.compile(r"(?<!^)(?<![.?!]\s)\b[A-Z][\w’'-]+|\b\d[\d.,]*\d\b")
_STEPS = [step / 100 for step in range(1, 51)]
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
    named: float,
    weights: Mapping[str, float],
) -> dict[str, float]:
    """What retrieval and reading say, before any wording.

    `missing` is the share of the question's names and numbers that nothing found mentions, `named`
    the share that one of the best passages has. `weights` are the question's stems by rarity.
    """
    windows = [w for one in found for w in one.windows]
    relevances = sorted((sigmoid(w.relevance) for w in windows), reverse=True)
    phrases = sorted((sigmoid(p[2]) for w in windows for p in w.phrases[:1]), reverse=True)
    return {
        "relevance": relevances[0] if relevances else 0.0,
        "relevance next": sum(relevances[1:4]) / 3,
        "phrase": phrases[0] if phrases else 0.0,
        "similarity": max((e.similarity for e in evidence), default=0.0),
        "coverage": max((e.coverage for e in evidence), default=0.0),
        "dense": max((one.candidate.dense for one in found), default=0.0),
        "missing": missing,
        "named": named,
        "told": coverage(weights, stems(_surrounded(evidence[0]))) if evidence else 0.0,
    }


def _surrounded(best: EvidenceSentence) -> str:
    """A sentence with what stands around it, under its title: what it is about."""
    article = best.article
    around = article.text[max(best.start - _AROUND, 0) : best.end + _AROUND]
    return f"{article.title} {around}"


def names(query: str) -> list[str]:
    """The names and numbers of a question."""
    return [name for name in dict.fromkeys(_NAME.findall(query)) if stems(name)]


def named(query: str, found: Sequence[Found]) -> tuple[tuple[str, ...], float]:
    """The names that nothing found mentions, and the largest share that a good passage has."""
    asked = names(query)
    held = [set(stems(f"{one.passage.article.title} {one.passage.text}")) for one in found]
    every = set().union(*held)
    missing = tuple(name for name in asked if not set(stems(name)) <= every)
    shares = [
        sum(set(stems(name)) <= one for name in asked) / len(asked) for one in held[:_BEST] if asked
    ]
    return missing, max(shares, default=0.0 if asked else 1.0)


def fit_calibration(rows: Sequence[tuple[Signals, bool]]) -> Calibration:
    """A calibration from questions: their signals, and whether the answer was right.

    The least probabilities are read off questions that the fit has not seen (cross-validation), off
    those that were worded where these are enough: a quotation claims less, and the same probability
    shows it. Raises `ValueError` when all were right or all were wrong.
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    kinds = sorted({name for signals, _ in rows for name in signals})
    features = np.array([[signals.get(name, 0.0) for name in kinds] for signals, _ in rows])
    right = np.array([int(outcome) for _, outcome in rows])
    scale = np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)
    model = LogisticRegression(C=0.3, max_iter=1000)
    chances = _unseen(model, features / scale, right)
    model.fit(features / scale, right)
    weights = dict(zip(kinds, (model.coef_[0] / scale).tolist(), strict=True))
    scored = list(zip(chances, right.astype(bool).tolist(), strict=True))
    worded = [
        pair for pair, (signals, _) in zip(scored, rows, strict=True) if signals.get("worded")
    ]
    read = worded if len(worded) >= _ENOUGH_WORDED else scored
    return Calibration(weights, float(model.intercept_[0]), _thresholds(read), len(rows))


def _unseen(model: Any, features: NDArray[np.float64], right: NDArray[np.int_]) -> list[float]:
    """The probability of each question by a model fitted without it; by one with it, if few."""
    from sklearn.base import clone  # type: ignore[import-untyped]
    from sklearn.model_selection import (  # type: ignore[import-untyped]
        StratifiedKFold,
        cross_val_predict,
    )

    if np.bincount(right, minlength=2).min() < _FOLDS:
        chances = clone(model).fit(features, right).predict_proba(features)
    else:
        folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
        chances = cross_val_predict(model, features, right, cv=folds, method="predict_proba")
    return [float(chance) for chance in chances[:, 1]]


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
    """The archive's own calibration, else the shipped one; `ArchiveError` for a broken one."""
    own = folder / FILE
    return _load(own, own.stat().st_mtime_ns) if own.exists() else _load(_SHIPPED, 0)


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
