"""The calibration on a user's own questions: what it is fitted on, and how it is judged."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from rich.console import Console

from eval.calibrate import calibrate, label, print_calibration
from eval.rows import Row
from rag import Answer, Article, Citation, NewsragError, Sentence, Trace

KIM = Article(id="kim", title="Kim", text="Kim drove a vehicle.", url="https://a.example/k")


@dataclass(frozen=True)
class Threshold:
    """A calibration that takes its one signal for the probability."""

    fitted_on: int

    def threshold(self, accepted_error: float) -> float:
        return 0.4 + accepted_error

    def probability(self, signals: Mapping[str, float]) -> float:
        return signals["similarity"]


class Archive:
    """Knows the questions with an even number, and is sure of all alike; keeps a calibration."""

    digest = "d1"

    def __init__(self, stop_at: str = "", silent: bool = False, refused: str = "") -> None:
        self.saved: list[Threshold] = []
        self._stop_at, self._silent, self._refused = stop_at, silent, refused

    def articles(self):
        return [KIM]

    def supports(self, claim, evidence):
        return 1.0

    def search(self, question, k=10, as_of=None):
        return []

    def ask(self, question, history=(), as_of=None, *, wording=True):
        if question == self._stop_at:
            raise KeyboardInterrupt
        number = int(question)
        # One question of each kind has the signal of the other.
        known = number % 2 == 0
        similarity = 0.9 if known != (number < 2) else 0.1
        trace = Trace(signals={} if self._silent else {"similarity": similarity})
        if question == self._refused:
            return Answer(question, "abstained", (), (), trace, probability=0.75)
        text = "a vehicle" if known else "a tank"
        sentence = Sentence(text, (Citation(KIM, 0, 20),), 1.0)
        return Answer(question, "answered", (sentence,), (), trace, probability=0.75)

    def save_calibration(self, calibration: Threshold) -> None:
        self.saved.append(calibration)


class Fit:
    """Keeps what it was asked to fit on."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[Mapping[str, float], bool]]] = []

    def __call__(self, rows: Sequence[tuple[Mapping[str, float], bool]]) -> Threshold:
        self.asked.append(list(rows))
        return Threshold(len(rows))


def questions(folder, count: int):
    gold = [{"url": KIM.url}]
    path = folder / "mine.jsonl"
    records = [
        {"id": f"q{n}", "question": str(n), "answers": ["a vehicle"], "gold": gold, "kind": "fact"}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def run(archive: Archive, path, fit: Fit | None = None):
    fit = fit or Fit()
    out = path.parent / "out"
    return calibrate(archive, path, fit=fit, accepted_error=0.1, out=out, progress=False)


def test_it_is_fitted_on_all_and_judged_on_what_is_held_back(tmp_path):
    archive, fit = Archive(), Fit()
    report = run(archive, questions(tmp_path, 40), fit)
    # Five fits on four fifths for the figures, then one on all, which is kept.
    assert [len(rows) for rows in fit.asked] == [32] * 5 + [40]
    assert archive.saved == [Threshold(40)]
    held_back = [40 - len(rows) for rows in fit.asked[:5]]
    assert held_back == [8] * 5
    assert (report.questions, report.right, report.left_out) == (40, 20, 0)
    # Before: .75 for all, of which half are right.
    assert report.before["AUROC"].value == 0.5
    # |.75 - .5|
    assert report.before["expected calibration error"].value == pytest.approx(0.25)
    # After: 19 of 20 right at .9 and 1 at .1; 19 of 20 wrong at .1 and 1 at .9.
    # Pairs: 19 * 19 in order, 19 + 19 ties, 1 in reverse: (361 + 19) / 400.
    assert report.after["AUROC"].value == pytest.approx(0.95)
    assert report.after["coverage"].value == 0.5
    assert report.after["wrong among answered"].value == pytest.approx(1 / 20)
    assert report.after["coverage"].low is not None


def test_a_label_is_a_right_answer():
    row = Row("1", "Who?", "fact", True, (), "answered")
    assert label(row) is None
    assert label(Row("1", "Who?", "fact", True, (), "abstained")) is False
    assert label(Row("1", "Who?", "fact", True, (), "answered", right=True)) is True
    assert label(Row("1", "Who?", "fact", False, (), "answered", right=False)) is False


def test_a_refused_question_counts_as_not_right(tmp_path):
    report = run(Archive(refused="2"), questions(tmp_path, 40))
    assert (report.questions, report.right, report.refused) == (40, 19, 1)


def test_a_higher_threshold_answers_less(tmp_path):
    path = questions(tmp_path, 40)
    options = {"fit": Fit(), "out": tmp_path / "out", "progress": False}
    # From .4 + .55 on, above every probability: no answer, and so none that is wrong.
    report = calibrate(Archive(), path, accepted_error=0.55, **options)
    assert report.after["coverage"].value == 0.0
    assert report.after["wrong among answered"].value is None


def test_too_few_questions(tmp_path):
    archive = Archive()
    with pytest.raises(NewsragError, match="at least 30 questions that can be judged, not 29"):
        run(archive, questions(tmp_path, 29))
    assert archive.saved == []


def test_questions_without_signals_are_left_out(tmp_path):
    with pytest.raises(NewsragError, match="at least 30 questions that can be judged, not 0"):
        run(Archive(silent=True), questions(tmp_path, 40))


def test_only_one_class(tmp_path):
    path = questions(tmp_path, 80)
    even = [line for n, line in enumerate(path.read_text().splitlines()) if n % 2 == 0]
    path.write_text("\n".join(even))
    archive = Archive()
    with pytest.raises(NewsragError, match="with a right answer and 5 without, not 40 and 0"):
        run(archive, path)
    assert archive.saved == []


def test_an_interrupted_calibration_saves_nothing_and_goes_on(tmp_path):
    path = questions(tmp_path, 40)
    archive = Archive(stop_at="35")
    with pytest.raises(NewsragError, match="interrupted"):
        run(archive, path)
    assert archive.saved == []
    assert run(Archive(), path).result.resumed == 35


def test_the_table(tmp_path):
    console = Console(file=io.StringIO(), width=120)
    print_calibration(run(Archive(), questions(tmp_path, 40)), console)
    text = console.file.getvalue().replace("\n", "")
    assert re.search(r"AUROC\W+0\.500\W+0\.500 to 0\.500\W+0\.950", text)
    assert "40 questions, 20 with a right answer, 0 answerable but refused; 0 left out." in text
    assert "accepted error of 10%" in text
