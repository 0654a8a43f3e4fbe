"""The runner and the reports, with a small fake archive and once with the real one."""

import io
import json
import re
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from eval.asking import Asked
from eval.figures import Figure
from eval.report import print_table, write_html, write_json
from eval.run import Abstentions, Result, evaluate
from rag import (
    Answer,
    Archive,
    Article,
    Check,
    Citation,
    LLMError,
    NewsragError,
    RankedPassage,
    Sentence,
    Short,
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

    digest = "d1"

    def __init__(self, broken: str = "", stop_at: str = "") -> None:
        self.asked: list[tuple[str, date | None, bool]] = []
        self.searched: list[str] = []
        self.checked: list[tuple[str, str]] = []
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
        known = "Kim" in question or question == HOSTILE
        trace = Trace(
            query=query,
            timings={"search": 10.0, "select": 5.0},
            models={"llm": "fake"},
            checks=(Check("Kim drove a tank.", "dropped", 0.1, "tank is not there"),),
            signals={"similarity": 0.9 if known else 0.1},
        )
        if not known:
            return Answer(question, "abstained", (), (), trace, probability=0.2)
        citation = Citation(KIM, 0, 20)
        sentence = Sentence("Kim drove a vehicle.", (citation,), 0.8)
        short = Short("a vehicle", citation)
        return Answer(question, "answered", (sentence,), (), trace, short, probability=0.9)

    def supports(self, claim, evidence):
        self.checked.append((claim, evidence))
        return 0.75


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


def value(result: Result, group: str, name: str) -> tuple[float | None, int, int]:
    figure = result.figures[group][name]
    return figure.value, figure.n, figure.missing


def test_figures(questions):
    archive = FakeArchive()
    result = run(archive, questions)
    # Answerable: q1 right, q2 abstained, q4 answered wrongly. Unanswerable: q3 and q5 abstained.
    assert result.abstentions == Abstentions(2, 1, 0, 2)
    # Articles: q1 rank 1, q2 rank 1, q4 rank 2.
    assert value(result, "retrieval", "article hit@1") == (pytest.approx(2 / 3), 3, 2)
    assert value(result, "retrieval", "article MRR")[0] == pytest.approx((1 + 1 + 0.5) / 3)
    assert value(result, "answers", "answer contained") == (pytest.approx(1 / 3), 3, 2)
    # q1: the short answer is "a vehicle"; q2 and q4 are 0.
    assert value(result, "answers", "EM short") == (pytest.approx(1 / 3), 3, 2)
    # q1: "kim drove vehicle" against "vehicle" is 2 * 1 / (3 + 1) = 0.5.
    assert value(result, "answers", "F1 whole answer")[0] == pytest.approx(0.5 / 3)
    # With the two right abstentions: (1 + 0 + 1 + 0 + 1) / 5.
    assert value(result, "answers", "F1 short, all questions") == (0.6, 5, 0)
    assert "F1 short, all with answers" not in result.figures["answers"]
    # Both answered questions cite a span that touches their gold.
    gold = "citations, against gold"
    assert value(result, gold, "citation precision, gold") == (1.0, 2, 3)
    check = "citations, by our check"
    assert value(result, check, "citation precision") == (1.0, 2, 0)
    assert value(result, check, "sentence support") == (0.8, 2, 0)
    assert archive.checked == [("Kim drove a vehicle.", "Kim drove a vehicle.")] * 2
    assert value(result, "abstention", "abstention precision") == (pytest.approx(2 / 3), 3, 0)
    risk = "probability and risk"
    assert value(result, risk, "coverage") == (0.4, 5, 0)
    assert value(result, risk, "wrong among answered") == (0.5, 2, 3)
    # Answerable: .9, .2, .9; unanswerable: .2, .2. Of six pairs four in order, two ties: 5/6.
    assert value(result, risk, "answerability AUROC") == (pytest.approx(5 / 6), 5, 0)
    assert result.figures["answers"]["EM short"].low == 0.0
    assert list(result.latency) == ["search", "select", "total"]
    assert (result.latency["search"].p50.value, result.latency["search"].p50.n) == (10.0, 5)
    assert result.models == {"llm": "fake"}
    assert (result.planned, result.resumed, result.interrupted) == (5, 0, False)


def test_answers_that_the_archive_lacks_are_scored_apart(tmp_path):
    quiz = {
        "id": "1",
        "asked": "2022/06/16",
        "question": "What did Kim do?",
        "answer": ["a vehicle"],
        "positives": [],
    }
    figures = run(FakeArchive(), write_set(tmp_path, quiz)).figures["answers"]
    assert figures["EM short"] == Figure(None, 0, 1)
    assert figures["EM short, all questions"] == Figure(0.0, 1, 0)
    assert figures["EM short, all with answers"] == Figure(1.0, 1, 0)


def test_a_row_is_written_for_each_question(questions):
    result = run(FakeArchive(), questions)
    rows = [json.loads(line) for line in result.rows_file.read_text().splitlines()]
    assert [row["id"] for row in rows] == ["q1", "q2", "q3", "q4", "q5"]
    (sentence,) = rows[0]["sentences"]
    assert (sentence["support"], sentence["unresolved"]) == (0.8, 0)
    assert sentence["citations"][0]["quote"] == "Kim drove a vehicle."
    assert sentence["citations"][0]["supports"] == 0.75
    assert (rows[0]["short"], rows[0]["probability"], rows[0]["right"]) == ("a vehicle", 0.9, True)
    assert rows[0]["signals"] == {"similarity": 0.9}
    assert rows[0]["checks"][0]["outcome"] == "dropped"
    assert (rows[1]["short"], rows[1]["right"], rows[3]["right"]) == (None, None, False)
    assert rows[0]["scores"]["citation recall, gold"] == 1.0
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
        monkeypatch.setattr(archive, "digest", "d2")
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
    assert result.figures["answers"]["F1 short"].n == 2
    assert result.figures["retrieval"]["article hit@1"].n == 2
    assert result.latency["total"].p50.n == 4
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
    assert result.figures["answers"]["F1 short"] == Figure(None, 0, 5)
    assert result.figures["probability and risk"]["coverage"] == Figure(None, 0, 5)
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
    for name in ("article hit@10", "F1 short, all questions", "abstention F1", "AURC", "95 %"):
        assert name in text
    # The mean of 1 (q1), 0 (q4) and 0 (q2), and what its resamples spread over.
    assert re.search(r"EM short\W+0\.333\W+0\.000 to 1\.000\W+3\W+1\W", text)
    assert "5 of 5 questions asked" in text
    assert "1 failed and are in no figure: the model is down" in text


def test_a_missing_figure_is_a_dash(questions):
    result = run(FakeArchive(), questions, retrieval_only=True)
    console = Console(file=io.StringIO(), width=100)
    print_table(result, console)
    assert re.search(r"citation recall, gold\W+-\W+0\W+5", console.file.getvalue())
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
    assert values["figures"]["answers"]["F1 short"].keys() == {
        *("value", "n", "missing", "low", "high")
    }
    assert values["rows"] == 4


def test_the_page_escapes_what_it_shows_and_requests_nothing(questions):
    result = run(FakeArchive(), questions)
    page = write_html(result, questions.parent / "out").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert "dropped: Kim drove a tank. (tank is not there)" in page
    assert "0.000 to 1.000" in page
    assert not re.search(r"""(src|href|action)\s*=\s*["']?(https?:|//)|url\(\s*["']?[^#"']""", page)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 6
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
