from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import Answer, Article, Citation, RankedPassage, Sentence, Trace

ARTICLE = Article("a1", "Fire on Pier 4", "The fire began at 3 a.m. Nobody was hurt.", "Gazette")


@given(st.text(min_size=1), st.data())
def test_a_quote_is_the_span(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    citation = Citation(Article("x", "t", text), start, end)
    assert citation.quote == text[start:end] == citation.to_dict()["quote"]


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (4, 2), (0, 1000)])
def test_a_span_outside_the_article_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="outside article a1"):
        Citation(ARTICLE, start, end)


def test_an_answer_numbers_each_citation_once() -> None:
    first, second = Citation(ARTICLE, 0, 24), Citation(ARTICLE, 25, 41)
    sentences = (
        Sentence("It began at 3 a.m.", (first,), 1.0),
        Sentence("Nobody was hurt.", (second, first), 0.9),
    )
    answer = Answer("When?", "answered", sentences, (), Trace())
    assert answer.citations == (first, second)
    assert answer.text == "It began at 3 a.m. Nobody was hurt."
    assert str(answer).splitlines() == [
        "It began at 3 a.m. [1] Nobody was hurt. [2] [1]",
        "",
        "[1] Fire on Pier 4, Gazette",
        "    The fire began at 3 a.m.",
        "[2] Fire on Pier 4, Gazette",
        "    Nobody was hurt.",
    ]


def test_an_abstention_cites_nothing_and_names_each_article_once() -> None:
    dated = Article("a2", "Storm", "Wind.", None, None, date(2024, 1, 2))
    passages = tuple(RankedPassage(n, dated, 0, 5, 1.0) for n in range(2))
    answer = Answer("Who?", "abstained", (), passages, Trace())
    assert answer.citations == ()
    assert str(answer) == "The archive does not say.\nClosest:\n  - Storm, 2024-01-02"


def test_the_json_form_has_the_promised_fields() -> None:
    citation = Citation(ARTICLE, 0, 24)
    answer = Answer("Q", "answered", (Sentence("S", (citation,), 0.5),), (), Trace())
    values = answer.to_dict()
    assert list(values) == [
        "question", "status", "probability", "short", "missing", "looked", "sentences", "passages",
        "trace",
    ]  # fmt: skip
    assert set(values["sentences"][0]) == {"text", "support", "citations"}
    assert set(values["sentences"][0]["citations"][0]) == {
        "article_id", "revision", "title", "source", "url", "published", "start", "end", "quote",
    }  # fmt: skip
    assert set(values["trace"]) == {
        "query", "settings", "prompts", "models", "timings", "notes", "checks", "signals",
    }  # fmt: skip
