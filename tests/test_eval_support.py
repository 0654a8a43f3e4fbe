"""Claims with evidence: their formats, and the check measured on them."""

import gzip
import io
import json
import re

import pytest
from rich.console import Console

from eval.support import (
    Claim,
    balanced_accuracy,
    evaluate_support,
    is_support_set,
    load_claims,
    print_support,
    write_support,
)
from rag import NewsragError, SourceError

OWN = [
    {"claim": "It rained.", "evidence": "It rained all day.", "supported": True},
    {"claim": "It snowed.", "evidence": ["It rained.", "All day."], "supported": False},
]
WICE = [
    {"claim": "Ann sings.", "evidence": ["Ann", " ", "sings."], "label": "supported", "meta": {}},
    {"claim": "Ann dances.", "evidence": ["Ann."], "label": "partially_supported", "meta": {}},
]
BENCH = [
    {"claim": "a", "references": ["b", "c"], "attribution_label": "attributable"},
    {"claim": "d", "references": ["e"], "attribution_label": "not attributable"},
]
EDITS = [
    {"doc": "Long.", "summary": "Short.", "label": 1},
    {"doc": "L", "summary": "S", "label": 0},
]


def votes(*answers: str) -> list[dict]:
    return [{"worker_id": n, "response": answer} for n, answer in enumerate(answers)]


QAGS = [
    {
        "article": "A story.",
        "summary_sentences": [
            {"sentence": "One.", "responses": votes("yes", "no", "yes")},
            {"sentence": "Two.", "responses": votes("no", "no", "yes")},
            {"sentence": "Three.", "responses": votes("yes", "no")},
        ],
    }
]


def write_lines(path, *records: object):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


class Check:
    """Gives each claim the probability that it is told."""

    digest = "d1"

    def __init__(self, **probabilities: float) -> None:
        self._probabilities = probabilities
        self.asked: list[str] = []

    def supports(self, claim, evidence):
        self.asked.append(claim)
        return self._probabilities.get(claim, 0.0)


@pytest.mark.parametrize(
    ("records", "claims"),
    [
        (
            OWN,
            [
                ("It rained.", "It rained all day.", True),
                ("It snowed.", "It rained. All day.", False),
            ],
        ),
        (WICE, [("Ann sings.", "Ann sings.", True), ("Ann dances.", "Ann.", False)]),
        (BENCH, [("a", "b c", True), ("d", "e", False)]),
        (EDITS, [("Short.", "Long.", True), ("S", "L", False)]),
        (QAGS, [("One.", "A story.", True), ("Two.", "A story.", False)]),
    ],
)
def test_the_formats(tmp_path, records, claims):
    path = write_lines(tmp_path / "x.jsonl", *records)
    expected = [Claim(*values) for values in claims]
    assert load_claims(path) == expected
    whole = tmp_path / "x.json.gz"
    whole.write_bytes(gzip.compress(json.dumps(records).encode()))
    assert load_claims(whole) == expected
    assert is_support_set(path)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (OWN[0] | {"supported": 1}, '"supported" must be true or false'),
        (OWN[0] | {"claim": ""}, '"claim" must be text'),
        (OWN[0] | {"evidence": None}, '"evidence" must be text'),
        (OWN[0] | {"evidence": [" "]}, '"evidence" must be text'),
    ],
)
def test_a_bad_line_is_named(tmp_path, record, reason):
    path = write_lines(tmp_path / "x.jsonl", OWN[0], record)
    with pytest.raises(SourceError, match=reason) as caught:
        load_claims(path)
    assert caught.value.place == f"{path}:2"


def test_a_bad_label_is_named(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([EDITS[0], EDITS[1] | {"label": 2}]))
    with pytest.raises(SourceError, match=r'x\.json#2: "label" must be one of 1, 0'):
        load_claims(path)


def test_questions_are_no_claims(tmp_path):
    path = write_lines(
        tmp_path / "questions.jsonl", {"question": "Who?", "answers": [], "gold": []}
    )
    assert not is_support_set(path)
    assert not is_support_set(tmp_path)
    with pytest.raises(SourceError, match="no known format of claims"):
        load_claims(path)
    with pytest.raises(SourceError, match="holds no file of claims"):
        evaluate_support(Check(), tmp_path, progress=False)
    with pytest.raises(SourceError, match="no known format of claims"):
        evaluate_support(Check(), path, progress=False)


def test_balanced_accuracy_weighs_the_classes_equally(tmp_path):
    # Three supported, two found (.5 is enough); one not, found: (2/3 + 1) / 2 = 5/6.
    records = [{"claim": c, "evidence": "x", "supported": c != "d"} for c in "abcd"]
    path = write_lines(tmp_path / "mine.jsonl", *records)
    result = evaluate_support(Check(a=0.9, b=0.5, c=0.4, d=0.45), path, progress=False)
    (scores,) = result.sets
    assert scores.balanced_accuracy.value == pytest.approx(5 / 6)
    # Of the pairs with d, .45: a and b above, c below.
    assert scores.auroc.value == pytest.approx(2 / 3)
    assert (scores.name, scores.supported, scores.auroc.n) == ("mine.jsonl", 3, 4)
    assert scores.auroc.low == 0.0
    assert result.mean_balanced_accuracy == pytest.approx(5 / 6)


def test_a_folder_is_measured_file_by_file(tmp_path):
    folder = tmp_path / "support"
    (folder / "wice").mkdir(parents=True)
    write_lines(folder / "mine.jsonl", *OWN)
    write_lines(folder / "wice" / "dev.jsonl", *WICE)
    write_lines(folder / "one-class.jsonl", OWN[0])
    write_lines(folder / "other.jsonl", {"text": "x"})
    check = Check(**{"It rained.": 0.9, "Ann dances.": 0.9})
    result = evaluate_support(check, folder, progress=False)
    found = {scores.name: scores.balanced_accuracy.value for scores in result.sets}
    # Both right; both wrong; and one class has no balanced accuracy, and is in no mean.
    assert found == {"mine.jsonl": 1.0, "one-class.jsonl": None, "wice/dev.jsonl": 0.0}
    assert (result.mean_balanced_accuracy, result.mean_auroc) == (0.5, 0.5)
    assert result.unknown == ("other.jsonl",)
    console = Console(file=io.StringIO(), width=120)
    print_support(result, console)
    text = console.file.getvalue()
    assert re.search(r"mean over files\W+0\.500\W+0\.500", text)
    assert "not read: other.jsonl" in text
    values = json.loads(write_support(result, tmp_path / "out").read_text())
    assert values["mean_auroc"] == 0.5
    assert values["sets"][0]["auroc"]["value"] == 1.0


def test_a_sample_is_the_same_for_the_same_seed(tmp_path):
    records = [{"claim": c, "evidence": "x", "supported": c < "f"} for c in "abcdefghij"]
    path = write_lines(tmp_path / "mine.jsonl", *records)

    def asked(seed: int) -> list[str]:
        check = Check()
        evaluate_support(check, path, limit=4, seed=seed, progress=False)
        return check.asked

    assert len(asked(0)) == 4
    assert asked(0) == asked(0)
    assert len({tuple(asked(seed)) for seed in range(5)}) > 1
    with pytest.raises(NewsragError, match="at least 1"):
        evaluate_support(Check(), path, limit=0, progress=False)


def test_balanced_accuracy_needs_both_classes():
    import numpy as np

    assert np.isnan(balanced_accuracy(np.array([0.9]), np.array([1.0])))
