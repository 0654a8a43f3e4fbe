"""The runner and the reports, with a small fake archive and once with the real one."""

import io
import json
import re
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from rich.console import Console

from eval.metrics import Abstentions, Figure
from eval.report import print_table, write_html, write_json
from eval.run import Asked, Result, evaluate
from rag import (
    Answer,
    Archive,
    Article,
    Citation,
    LLMError,
    NewsragError,
    RankedPassage,
    Sentence,
    SourceError,
    Trace,
)

REPOSITORY = Path(__file__).parent.parent
KIM = Article(
    id="kim", title="Kim", text="Kim drove a vehicle. He left.", url="https://a.example/k"
)
RAIN = Article(id="rain", title="Rain <b>", text="It rained 6 inches.", url="https://a.example/r")
HOSTILE = '</td><script>alert("x")</script>[bold]{{ 7 * 7 }}'


def record(name: str, question: str, *answers: str, url: str = "", quote: str = "") -> dict:
    gold = [{"url": url, "quote": quote}] if url else []
    return {"id": name, "question": question, "answers": answers, "gold": gold, "kind": "fact"}


QUESTIONS = [
    record("q1", "What did Kim drive?", "a vehicle", url=KIM.url, quote="drove a vehicle"),
    record("q2", "How much rain fell?", "6 inches", url=RAIN.url, quote="6 inches"),
    record("q3", "Who won?"),
    record("q4", HOSTILE, HOSTILE, url=KIM.url, quote="Kim"),
    record("q5", "Which router?"),
]


class FakeArchive:
    """Answers questions about Kim with a quote from him; `broken` questions raise."""

    settings = SimpleNamespace(digest="d1")

    def __init__(self, broken: str = "", stop_at: str = "") -> None:
        self.asked: list[tuple[str, date | None, bool]] = []
        self.searched: list[str] = []
        self._broken, self._stop_at = broken, stop_at

    def articles(self):
        return [KIM, RAIN]

    def search(self, question, k=10, as_of=None):
        self.searched.append(question)
        first, second = (KIM, RAIN) if "Kim" in question else (RAIN, KIM)
        return [
            RankedPassage(n, article, 0, len(article.text), 1.0 / n)
            for n, article in enumerate((first, second), 1)
        ]

    def ask(self, question, history=(), as_of=None, *, wording=True):
        if question == self._stop_at:
            raise KeyboardInterrupt
        if question == self._broken:
            raise LLMError("the model is down")
        self.asked.append((question, as_of, wording))
        query = " ".join([*(turn[0] for turn in history), question])
        trace = Trace(query=query, timings={"search": 10.0, "select": 5.0}, models={"llm": "fake"})
        if "Kim" in question or question == HOSTILE:
            sentence = Sentence("Kim drove a vehicle.", (Citation(KIM, 0, 20),), 1.0)
            return Answer(question, "answered", (sentence,), (), trace)
        return Answer(question, "abstained", (), (), trace)


def write_set(folder: Path, *records: dict) -> Path:
    path = folder / "mine.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in records), encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path):
    return write_set(tmp_path, *QUESTIONS)


def run(archive: Asked, questions: Path, **options) -> Result:
    return evaluate(archive, questions, out=questions.parent / "out", progress=False, **options)


def ids(result: Result) -> list[str]:
    return [row.id for row in result.rows]


def test_figures(questions):
    archive = FakeArchive()
    result = run(archive, questions)
    figures = result.figures
    # Answerable: q1 right, q2 abstained, q4 answered wrongly. Unanswerable: q3 and q5 abstained.
    assert result.abstentions == Abstentions(2, 1, 0, 2)
    # Articles: q1 rank 1, q2 rank 1, q4 rank 2.
    assert figures["retrieval"]["article hit@1"] == Figure(pytest.approx(2 / 3), 3, 2)
    assert figures["retrieval"]["article MRR"].value == pytest.approx((1 + 1 + 0.5) / 3)
    assert figures["answers"]["answer contained"] == Figure(pytest.approx(1 / 3), 3, 2)
    # q1: "kim drove vehicle" against "vehicle" is 2 * 1 / (3 + 1) = 0.5; q2 and q4 are 0.
    assert figures["answers"]["F1"].value == pytest.approx(0.5 / 3)
    # With the two right abstentions: (0.5 + 0 + 1 + 0 + 1) / 5.
    assert figures["answers"]["F1, all questions"] == Figure(0.5, 5, 0)
    assert "F1, all with answers" not in figures["answers"]
    # Both answered questions cite a span that touches their gold.
    assert figures["citations"]["citation precision"] == Figure(1.0, 2, 3)
    assert figures["abstention"]["abstention precision"] == Figure(pytest.approx(2 / 3), 3, 0)
    assert figures["abstention"]["abstention recall"] == Figure(1.0, 2, 0)
    assert list(result.latency) == ["search", "select", "total"]
    assert (result.latency["search"].p50, result.latency["search"].n) == (10.0, 5)
    assert result.models == {"llm": "fake"}
    assert (result.planned, result.resumed, result.interrupted) == (5, 0, False)


def test_answers_that_the_archive_lacks_are_scored_apart(tmp_path):
    quiz = {
        "id": "1",
        "asked": "2022/06/16",
        "question": "What did Kim do?",
        "answer": ["Kim drove a vehicle."],
        "positives": [],
    }
    figures = run(FakeArchive(), write_set(tmp_path, quiz)).figures["answers"]
    assert figures["EM"] == Figure(None, 0, 1)
    assert figures["EM, all questions"] == Figure(0.0, 1, 0)
    assert figures["EM, all with answers"] == Figure(1.0, 1, 0)


def test_a_row_is_written_for_each_question(questions):
    result = run(FakeArchive(), questions)
    rows = [json.loads(line) for line in result.rows_file.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["q1", "q2", "q3", "q4", "q5"]
    assert rows[0]["citations"][0]["quote"] == "Kim drove a vehicle."
    assert rows[0]["scores"]["citation recall"] == 1.0
    assert re.fullmatch(r"mine-[0-9a-f]{12}\.jsonl", result.rows_file.name)


def test_an_interrupted_run_goes_on_where_it_stopped(questions):
    stopped = run(FakeArchive(stop_at="Who won?"), questions)
    assert stopped.interrupted
    assert (ids(stopped), stopped.planned) == (["q1", "q2"], 5)
    archive = FakeArchive()
    result = run(archive, questions)
    assert [question for question, _, _ in archive.asked] == ["Who won?", HOSTILE, "Which router?"]
    assert (ids(result), result.resumed) == (["q1", "q2", "q3", "q4", "q5"], 2)
    untouched = FakeArchive()
    again = run(untouched, questions)
    assert (untouched.asked, again.resumed) == ([], 5)
    assert (again.rows, again.figures) == (result.rows, result.figures)


def test_a_torn_last_line_is_asked_again(questions):
    file = run(FakeArchive(), questions).rows_file
    whole = file.read_text()
    file.write_text(whole[:-30])
    archive = FakeArchive()
    assert len(run(archive, questions).rows) == 5
    assert [question for question, _, _ in archive.asked] == ["Which router?"]
    assert len(file.read_text().splitlines()) == 5


def test_a_file_that_holds_no_rows(questions):
    file = run(FakeArchive(), questions).rows_file
    file.write_text('{"id": 1}\n')
    with pytest.raises(SourceError, match=r"jsonl:1: is not a row of an evaluation"):
        run(FakeArchive(), questions)


@pytest.mark.parametrize("change", ["settings", "set", "option", "articles"])
def test_another_configuration_has_its_own_rows(questions, change, monkeypatch):
    first = run(FakeArchive(), questions)
    archive, options = FakeArchive(), {}
    if change == "settings":
        monkeypatch.setattr(archive, "settings", SimpleNamespace(digest="d2"))
    elif change == "set":
        questions.write_text(questions.read_text() + "\n")
    elif change == "option":
        options = {"wording": False}
    else:
        monkeypatch.setattr(archive, "articles", lambda: [KIM])
    second = run(archive, questions, **options)
    assert second.resumed == 0
    assert second.rows_file != first.rows_file


def test_a_failed_question_is_counted_and_excluded(questions):
    result = run(FakeArchive(broken="How much rain fell?"), questions)
    assert [(row.id, row.error) for row in result.failed] == [("q2", "the model is down")]
    assert result.figures["answers"]["F1"].n == 2
    assert result.figures["retrieval"]["article hit@1"].n == 2
    assert result.latency["total"].n == 4
    archive = FakeArchive()
    assert run(archive, questions).failed == ()
    assert [question for question, _, _ in archive.asked] == ["How much rain fell?"]


def test_a_sample_is_the_same_for_the_same_seed(questions):
    first = ids(run(FakeArchive(), questions, limit=3, seed=1))
    assert len(first) == 3
    assert first == sorted(first)
    assert ids(run(FakeArchive(), questions, limit=3, seed=1)) == first
    samples = {tuple(ids(run(FakeArchive(), questions, limit=3, seed=n))) for n in range(5)}
    assert len(samples) > 1
    assert len(run(FakeArchive(), questions, limit=99).rows) == 5
    with pytest.raises(NewsragError, match="at least 1"):
        run(FakeArchive(), questions, limit=0)


def test_retrieval_only(questions):
    archive = FakeArchive()
    result = run(archive, questions, retrieval_only=True)
    assert archive.asked == []
    assert {row.status for row in result.rows} == {"found"}
    assert result.figures["retrieval"]["passage hit@5"].n == 3
    assert result.figures["answers"]["F1"] == Figure(None, 0, 5)
    assert list(result.latency) == ["total"]


def test_dates_wording_and_history_reach_the_archive(tmp_path):
    asked = record("q1", "And then?", "left", url=KIM.url, quote="He left.")
    asked |= {"as_of": "2023-09-07", "history": [["Where is Kim?", "Here."]]}
    path = write_set(tmp_path, asked)
    archive = FakeArchive()
    run(archive, path)
    assert archive.asked[-1] == ("And then?", date(2023, 9, 7), True)
    assert archive.searched == ["Where is Kim? And then?"]
    run(archive, path, dates=False, wording=False)
    assert archive.asked[-1] == ("And then?", None, False)


def test_the_console_table(questions):
    result = run(FakeArchive(broken="Who won?"), questions, retrieval_only=False)
    console = Console(file=io.StringIO(), width=100)
    print_table(result, console)
    text = console.file.getvalue()
    for name in ("article hit@10", "F1, all questions", "citation recall", "abstention F1", "p95"):
        assert name in text
    assert "5 of 5 questions asked" in text
    assert "1 failed and are in no figure: the model is down" in text


def test_a_missing_figure_is_a_dash(questions):
    result = run(FakeArchive(), questions, retrieval_only=True)
    console = Console(file=io.StringIO(), width=100)
    print_table(result, console)
    assert re.search(r"citation recall\W+-\W+0\W+5", console.file.getvalue())
    page = write_html(result, questions.parent / "out").read_text()
    assert '<td class="number">-</td>' in page


def test_json(questions):
    result = run(FakeArchive(), questions, limit=4, seed=3)
    path = write_json(result, questions.parent / "reports")
    assert path.name == result.rows_file.with_suffix(".json").name
    values = json.loads(path.read_text())
    assert values["options"]["limit"] == 4
    assert values["settings_digest"] == "d1"
    assert values["models"] == {"llm": "fake"}
    assert values["figures"]["answers"]["F1"].keys() == {"value", "n", "missing"}
    assert values["rows"] == 4


def test_the_page_escapes_what_it_shows_and_requests_nothing(questions):
    result = run(FakeArchive(), questions)
    page = write_html(result, questions.parent / "out").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert not re.search(r"""(src|href|action)\s*=\s*["']?(https?:|//)|url\(\s*["']?[^#"']""", page)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    again = write_html(result, questions.parent / "again").read_text()
    assert again == page


def test_a_page_of_a_run_that_was_stopped_at_once(questions):
    result = run(FakeArchive(stop_at="What did Kim drive?"), questions)
    assert result.rows == ()
    assert "Interrupted" in write_html(result, questions.parent / "out").read_text()
    print_table(result, Console(file=io.StringIO()))


def test_a_folder_that_cannot_be_written(questions):
    with pytest.raises(NewsragError, match="cannot be used for the rows"):
        evaluate(FakeArchive(), questions, out=questions, progress=False)
    result = run(FakeArchive(), questions)
    with pytest.raises(NewsragError, match="cannot be written"):
        write_json(result, questions)


def test_our_own_set_on_the_real_archive(tmp_path):
    with Archive.open(tmp_path / "archive") as archive:
        archive.ingest(REPOSITORY / "corpus")
        result = evaluate(
            archive,
            REPOSITORY / "eval" / "sets" / "corpus.jsonl",
            out=tmp_path / "out",
            limit=6,
            seed=2,
            wording=False,
            progress=False,
        )
    assert (len(result.rows), result.failed, result.incomplete) == (6, (), 0)
    assert result.figures["retrieval"]["article hit@10"].value == 1.0
    assert {"search", "total"} <= result.latency.keys()
    write_html(result, tmp_path)
