"""Calibrates and measures the support model: `python -m rag.weights.calibrate_support DATA`.

DATA is the folder of `rag.weights.data_support`. All of it is done on the held-back pairs. A figure
for a pair comes from coefficients that were fitted on other articles (five folds); the coefficients
that are stored come from all held-back pairs.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import balanced_accuracy_score, roc_auc_score  # type: ignore[import-untyped]

from rag.claims import KINDS
from rag.support import FEATURES, WEIGHTS, SupportModel, weighed
from rag.weights.data_support import Example, load

FOLDS = 5
OWN = "realtimeqa"
"""The set that we make ourselves; the means leave it out."""
COLUMNS = {
    "words": ("coverage",),
    "checks": FEATURES[1:],
    "model": ("logit",),
    "all": FEATURES,
}
THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)

Floats = NDArray[np.float64]


def main() -> None:
    """Print the tables, and store the coefficients beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    examples = [e for e in load(parser.parse_args().data) if e.held_back]
    pairs = [(example.evidence, example.claim) for example in examples]
    values = weighed(pairs, SupportModel().logits(pairs))
    found = {name: cross_fitted(examples, values[:, _of(c)]) for name, c in COLUMNS.items()}
    out = Console(width=120, highlight=False)
    for text in [*table(examples, found), "", *precision(examples, values, found["all"])]:
        out.print(text, markup=False)
    line = fit(values, examples)
    names = (*FEATURES, "intercept")
    coefficients = {name: round(float(c), 4) for name, c in zip(names, line, strict=True)}
    stored = json.dumps({"coefficients": coefficients, "pairs": len(examples)}, indent=2)
    WEIGHTS.with_suffix(".json").write_text(stored + "\n", encoding="utf-8")


def fit(values: Floats, examples: Sequence[Example]) -> Floats:
    """The coefficients and, last, the intercept. All sets weigh alike, and both labels in each."""
    model = LogisticRegression(C=10.0, max_iter=1000)
    model.fit(values, [e.label for e in examples], sample_weight=even(examples))
    return np.append(model.coef_[0], model.intercept_)


def even(examples: Sequence[Example]) -> Floats:
    """A weight per example: each label of each set has the same sum, and the mean is 1."""
    counts = Counter((e.set, e.label) for e in examples)
    return np.array([len(examples) / (len(counts) * counts[e.set, e.label]) for e in examples])


def cross_fitted(examples: Sequence[Example], values: Floats) -> Floats:
    """A probability per pair, from a fit on the other folds; a group is in one fold."""
    folds = np.array([zlib.crc32(e.group.encode()) % FOLDS for e in examples])
    found = np.zeros(len(examples))
    for fold in range(FOLDS):
        others = [n for n in range(len(examples)) if folds[n] != fold]
        line = fit(values[others], [examples[n] for n in others])
        here = folds == fold
        found[here] = 1 / (1 + np.exp(-(values[here] @ line[:-1] + line[-1])))
    return found


def table(examples: Sequence[Example], found: dict[str, Floats]) -> list[str]:
    """Balanced accuracy at .5 and AUROC per set and in the mean, as Markdown."""
    sets = np.array([e.set for e in examples])
    labels = np.array([e.label for e in examples])
    rows = []
    means: list[list[float]] = []
    for name in dict.fromkeys(sets):
        here = sets == name
        row = [
            figure
            for column in found.values()
            for figure in (
                float(balanced_accuracy_score(labels[here], column[here] >= 0.5)),
                float(roc_auc_score(labels[here], column[here])),
            )
        ]
        rows.append(_row([str(name), f"{here.sum()}", f"{labels[here].mean():.2f}"], row))
        if name != OWN:
            means.append(row)
    head = " | ".join(["set", "pairs", "supported", *found])
    middle = [float(m) for m in np.mean(means, axis=0)]
    last = _row([f"mean without {OWN}", "", ""], middle)
    return [f"| {head} |", "|" + "---|" * (3 + len(found)), *rows, last]


def precision(examples: Sequence[Example], values: Floats, found: Floats) -> list[str]:
    """Per threshold: how many supported pairs pass, and how many of those that pass are supported.

    Only pairs without a finding pass. Both labels of a set weigh alike.
    """
    weights = even(examples)
    labels = np.array([e.label for e in examples])
    plain = values[:, _of(KINDS)].sum(axis=1) == 0
    lines = [
        "| set | threshold | supported that pass | supported among passed |",
        "|---|---|---|---|",
    ]
    for name in (*dict.fromkeys(e.set for e in examples), "all"):
        here = np.array([name in {e.set, "all"} for e in examples])
        for threshold in THRESHOLDS:
            passed = here & plain & (found >= threshold)
            right = weights[passed & (labels == 1)].sum()
            share = right / weights[here & (labels == 1)].sum()
            total = weights[passed].sum()
            among = f"{right / total:.3f}" if total else "none passed"
            lines.append(f"| {name} | {threshold} | {share:.3f} | {among} |")
    return lines


def _of(names: Sequence[str]) -> list[int]:
    return [FEATURES.index(name) for name in names]


def _row(front: Sequence[str], figures: Sequence[float]) -> str:
    pairs = zip(figures[::2], figures[1::2], strict=True)
    cells = [*front, *(f"{accuracy:.3f} / {area:.3f}" for accuracy, area in pairs)]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
