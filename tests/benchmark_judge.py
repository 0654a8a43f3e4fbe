"""Measure the language model as a judge of support, beside our own model, on held-back claims.

    python tests/benchmark_judge.py DATA [--pairs 24] [--model FILE_OR_URL] [--model-name NAME]

DATA is the folder of `rag.weights.data_support`. Of each published set as many supported claims as
unsupported ones are drawn. "both" is a logistic regression on the two logits, each set by one that
was fitted on the other sets; "shown" is what `rag.verify` does: our check suffices, and the
model does not say no.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from rag.answer import is_no, verdict
from rag.models import LLM, make_llm
from rag.settings import load_settings
from rag.support import SupportModel, nearest
from rag.verify import MIN_SUPPORT, supports
from rag.weights.calibrate_support import OWN
from rag.weights.data_support import Example, load

SEED = 3
Floats = NDArray[np.float64]


def sample(data: Path, pairs: int) -> dict[str, list[Example]]:
    """Held-back pairs per published set, half of them supported."""
    sets: dict[str, dict[int, list[Example]]] = defaultdict(lambda: {0: [], 1: []})
    for example in load(data):
        if example.held_back and example.set != OWN:
            sets[example.set][example.label].append(example)
    chance = random.Random(SEED)
    return {
        name: [e for label in (1, 0) for e in chance.sample(by_label[label], pairs // 2)]
        for name, by_label in sets.items()
    }


def judged(llm: LLM, example: Example) -> float:
    """The logit of yes; where the model gives no certainty, 1 for yes and -1 for no."""
    reply = verdict(llm, nearest(example.evidence, example.claim), example.claim)
    sign = -1 if is_no(reply) else 1
    return sign if reply.certainty is None else sign * _logit(reply.certainty, 1e-6)


def _logit(chance: float, least: float = 1e-3) -> float:
    """The logit of a probability that is held to `least` from 0 and from 1."""
    return float(logit(np.clip(chance, least, 1 - least)))


def columns(sets: dict[str, list[Example]], values: dict[str, Floats]) -> list[list[str]]:
    """Balanced accuracy / AUROC per set, and their means."""
    rows, figures = [], []
    for name, examples in sets.items():
        labels = np.array([e.label for e in examples])
        others = [other for other in sets if other != name]
        known = LogisticRegression().fit(
            np.concatenate([values[other] for other in others]),
            [e.label for other in others for e in sets[other]],
        )
        ours, model = values[name].T
        both = known.decision_function(values[name])
        shown = (ours >= _logit(MIN_SUPPORT)) & (model > 0)
        figure = [
            part
            for one in (ours, model, both)
            for part in (balanced_accuracy_score(labels, one > 0), roc_auc_score(labels, one))
        ]
        figures.append([*figure, balanced_accuracy_score(labels, shown)])
        rows.append(_row(name, figures[-1]))
    return [*rows, _row("mean", [float(one) for one in np.mean(figures, axis=0)])]


def passing(sets: dict[str, list[Example]], values: dict[str, Floats]) -> list[str]:
    """How many supported claims pass, and how many of those that pass are supported."""
    labels = np.array([e.label for examples in sets.values() for e in examples])
    ours, model = np.concatenate([values[name] for name in sets]).T
    enough = ours >= _logit(MIN_SUPPORT)
    lines = []
    for name, passed in (("our check", enough), ("and no objection", enough & (model > 0))):
        kept, true = passed[labels == 1].mean(), labels[passed].mean()
        lines.append(f"{name}: {kept:.3f} of the supported pass; {true:.3f} of those are supported")
    return lines


def _row(name: str, figures: list[float]) -> list[str]:
    pairs = zip(figures[:-1:2], figures[1::2], strict=True)
    return [name, *(f"{a:.3f} / {b:.3f}" for a, b in pairs), f"{figures[-1]:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--model")
    parser.add_argument("--model-name")
    given = parser.parse_args()
    llm = make_llm(load_settings(model=given.model, model_name=given.model_name))
    sets, ours = sample(given.data, given.pairs), SupportModel()
    values = {
        name: np.array(
            [
                (_logit(supports(ours, e.claim, e.evidence)), judged(llm, e))
                for e in track(examples, name)
            ]
        )
        for name, examples in sets.items()
    }
    shown = Table("set", "our check", "language model", "both", "shown")
    for row in columns(sets, values):
        shown.add_row(*row)
    out = Console(width=100)
    out.print(shown)
    for line in passing(sets, values):
        out.print(line)


if __name__ == "__main__":
    main()
