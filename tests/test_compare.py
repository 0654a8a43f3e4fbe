"""A plain citation engine beside newsrag: how its text is read, and both in one table."""

import io
import json
import re
from types import SimpleNamespace

import pytest
from rich.console import Console

from eval.baseline import declines, parse
from eval.compare import compare
from eval.report import print_comparison, write_comparison_html, write_comparison_json
from rag import (
    Answer,
    Article,
    Citation,
    LLMError,
    RankedPassage,
    Sentence,
    Trace,
)

KIM = Article(
    id="kim", title="Kim", text="Kim drove a vehicle. He left.", url="https://a.example/k"
)
RAIN = Article(id="rain", title="Rain", text="It rained 6 inches.", url="https://a.example/r")
ARTICLES = {"kim": KIM, "rain": RAIN}
HOSTILE = "<script>alert(1)</script>"


def node(article: Article, start: int, end: int) -> SimpleNamespace:
    return SimpleNamespace(metadata={"article_id": article.id, "start": start, "end": end})


NODES = [node(KIM, 0, 20), node(KIM, 21, 29), node(RAIN, 0, 19)]


def response(text: str | None) -> SimpleNamespace:
    return SimpleNamespace(response=text, source_nodes=NODES)


class WordCheck:
    """A claim is supported when the evidence has all of its words."""

    def supports(self, claim, evidence):
        return float(set(claim.lower().split()) <= set(evidence.lower().split()))


def cited(text: str) -> list[tuple[str, list[str]]]:
    answer = parse("?", response(text), ARTICLES, WordCheck()).answer
    return [(s.text, [c.quote for c in s.citations]) for s in answer.sentences]


DROVE, LEFT, RAINED = "Kim drove a vehicle.", "He left.", "It rained 6 inches."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kim drove [1].", [("Kim drove.", [DROVE])]),
        ("Kim drove. [1] He left. [2]", [("Kim drove.", [DROVE]), ("He left.", [LEFT])]),
        ("He left [1][2], it rained [3].", [("He left, it rained.", [DROVE, LEFT, RAINED])]),
        ("It rained [1, 3] [3].", [("It rained.", [DROVE, RAINED])]),
        ("He left (Source 2). [Source 3] It rained.", [("He left.", [LEFT, RAINED])]),
        ("Mr. Kim left. Nobody (2) saw it.", [("Mr. Kim left.", []), ("Nobody (2) saw it.", [])]),
        ("Kim drove [4].", [("Kim drove.", [])]),
    ],
)
def test_markers_become_spans(text, expected):
    assert cited(text)[: len(expected)] == expected


def test_a_marker_of_no_source_is_counted():
    parsed = parse("?", response("Kim drove [1][4]. He left [0]."), ARTICLES, WordCheck())
    assert parsed.unresolved == (1, 1)
    assert [len(s.citations) for s in parsed.answer.sentences] == [1, 0]


def test_support_is_that_of_all_citations_together():
    text = "He drove [1][2]. He drove [2]. He drove."
    answer = parse("?", response(text), ARTICLES, WordCheck()).answer
    # "drove." is not "drove": the sentence's last word needs its full stop in the evidence.
    assert [s.support for s in answer.sentences] == [0.0, 0.0, 0.0]
    answer = parse("?", response("He left. [2] He left."), ARTICLES, WordCheck()).answer
    assert [s.support for s in answer.sentences] == [1.0, 0.0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "Empty Response",
        "The sources do not mention who won.",
        "The provided sources don’t contain information about that [1].",
        "I cannot answer this. It rained [3].",
        "I'm sorry, but I can't determine that.",
        "None of the provided sources are helpful.",
        "There is not enough information to say.",
    ],
)
def test_a_text_without_an_answer(text):
    assert declines(text)
    assert parse("?", response(text), ARTICLES, WordCheck()).answer.status == "abstained"


@pytest.mark.parametrize(
    "text",
    [
        "He did not mention taxes [1].",
        "No, it did not rain [3].",
        "Kim said that the documents did not exist [1].",
        "It rained [3]. The sources do not mention who won.",
    ],
)
def test_an_answer_with_a_negation_is_one(text):
    assert not declines(text)
    assert parse("?", response(text), ARTICLES, WordCheck()).answer.status == "answered"


def test_a_response_without_text():
    assert parse("?", response(None), ARTICLES, WordCheck()).answer.status == "abstained"
    assert parse("?", response("[1]"), ARTICLES, WordCheck()).answer.status == "abstained"


# Both.


class Both(WordCheck):
    """newsrag abstains from what it does not know; the engine says something of everything."""

    digest = "d1"

    def __init__(self, broken: str = "", stop_at: str = "") -> None:
        self.queried: list[str] = []
        self._broken, self._stop_at = broken, stop_at

    def articles(self):
        return [KIM, RAIN]

    def search(self, question, k=10, as_of=None):
        return [RankedPassage(1, KIM, 0, 20, 1.0)]

    def ask(self, question, history=(), as_of=None, *, wording=True):
        if question == self._stop_at:
            raise KeyboardInterrupt
        trace = Trace(query=" ".join([*(turn[0] for turn in history), question]))
        if "Kim" not in question:
            return Answer(question, "abstained", (), (), trace)
        sentence = Sentence(DROVE, (Citation(KIM, 0, 20),), 1.0)
        return Answer(question, "answered", (sentence,), (), trace)

    def as_citation_engine(self):
        return self

    def query(self, question):
        self.queried.append(question)
        if question == self._broken:
            raise LLMError("the model is down")
        return response(f"{HOSTILE} [3].")


def record(name: str, question: str, *answers: str, **fields: object) -> dict:
    gold = [{"url": KIM.url, "quote": "drove a vehicle"}] if answers else []
    values = {"id": name, "question": question, "answers": answers, "gold": gold, "kind": "fact"}
    return values | fields


@pytest.fixture
def questions(tmp_path):
    records = [
        record("q1", "What did Kim drive?", "a vehicle"),
        record("q2", "And why?", history=[["Who won?", "Nobody."]]),
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in records))
    return path


def run(archive: Both, questions):
    return compare(archive, questions, out=questions.parent / "out", progress=False)


def test_both_columns_and_their_difference(questions):
    archive = Both()
    comparison = run(archive, questions)
    # The engine gets the follow-up in the form that stands alone.
    assert archive.queried == ["What did Kim drive?", "Who won? And why?"]
    ours, theirs = comparison.ours.figures, comparison.theirs.figures
    # Ours holds the answer to q1; theirs does not.
    contained = comparison.differences["answers"]["answer contained"]
    assert ours["answers"]["answer contained"].value == 1.0
    assert theirs["answers"]["answer contained"].value == 0.0
    assert (contained.value, contained.n) == (1.0, 2)
    # Ours abstains from q2, rightly; the engine never abstains.
    assert ours["abstention"]["abstention recall"].value == 1.0
    assert theirs["abstention"]["abstention recall"].value == 0.0
    check = "citations, by our check"
    assert ours[check]["citation precision"].value == 1.0
    assert theirs[check]["citation precision"].value == 0.0
    # What it was not asked for is missing, not zero.
    assert theirs["answers"]["EM short"].value is None
    assert theirs["answers"]["F1 short, all questions"].value is None
    assert theirs["retrieval"]["article hit@1"].value is None
    assert comparison.differences["retrieval"]["article hit@1"].value is None
    assert [pair[1].answer for pair in comparison.pairs] == [f"{HOSTILE}."] * 2
    again = Both()
    assert run(again, questions).theirs.resumed == 2
    assert again.queried == []


def test_a_citation_of_no_source_lowers_precision(questions):
    archive = Both()
    archive.query = lambda question: response("It rained 6 inches. [3][7]")
    figure = run(archive, questions).theirs.figures["citations, by our check"]["citation precision"]
    # Two answers, each with one citation that supports it and one that leads nowhere: 2 of 4.
    assert (figure.value, figure.n) == (0.5, 4)


def test_an_engine_that_fails(questions):
    comparison = run(Both(broken="What did Kim drive?"), questions)
    assert [row.error for row in comparison.theirs.failed] == ["the model is down"]
    assert comparison.differences["abstention"]["abstention recall"].n == 1


def test_an_interrupt_leaves_the_engine_alone(questions):
    archive = Both(stop_at="And why?")
    comparison = run(archive, questions)
    assert comparison.ours.interrupted
    assert (archive.queried, comparison.pairs) == ([], [])
    print_comparison(comparison, Console(file=io.StringIO()))


def test_the_reports(questions):
    comparison = run(Both(), questions)
    console = Console(file=io.StringIO(), width=120)
    print_comparison(comparison, console)
    text = console.file.getvalue()
    assert re.search(r"newsrag\W+CitationQueryEngine\W+difference", text)
    assert re.search(r"answer contained\W+1\.000\W+0\.000\W+\+1\.000", text)
    assert re.search(r"ms, total, p50\W+[\d.]+\W+[\d.]+", text)
    folder = questions.parent / "reports"
    path = write_comparison_json(comparison, folder)
    assert re.fullmatch(r"mine-CitationQueryEngine-[0-9a-f]{12}\.json", path.name)
    values = json.loads(path.read_text())
    assert values.keys() == {"newsrag", "CitationQueryEngine", "differences"}
    assert values["differences"]["answers"]["answer contained"]["value"] == 1.0
    page = write_comparison_html(comparison, folder).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "+1.000" in page
