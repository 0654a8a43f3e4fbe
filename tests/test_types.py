from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag import Answer, Article, Citation, Looked, RankedPassage, Sentence, Short, Trace

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


@pytest.mark.parametrize(("span", "n"), [((0, 24), 1), ((25, 41), 2)])
def test_the_phrase_comes_first_and_what_is_missing_last(span: tuple[int, int], n: int) -> None:
    began = Sentence("It began at 3 a.m.", (Citation(ARTICLE, 0, 24),), 1.0)
    answer = Answer(
        "When and why?", "answered", (began,), (), Trace(),
        short=Short("3 a.m.", Citation(ARTICLE, *span)),
        missing="why it began.",
    )  # fmt: skip
    assert len(answer.citations) == n
    lines = str(answer).splitlines()
    assert lines[:4] == [
        f"3 a.m. [{n}]",
        "It began at 3 a.m. [1]",
        "Not in the archive: why it began.",
        "",
    ]
    assert lines[-1].strip() == answer.citations[n - 1].quote


def passages(*spans: tuple[Article, int, int]) -> tuple[RankedPassage, ...]:
    return tuple(RankedPassage(n, *span, score=1.0) for n, span in enumerate(spans))


def test_an_abstention_cites_nothing_and_groups_what_comes_closest() -> None:
    dated = Article("a2", "Storm", "Wind.", None, None, date(2024, 1, 2))
    found = passages((ARTICLE, 25, 41), (dated, 0, 5), (ARTICLE, 0, 24))
    looked = Looked("Who lit it?", ("lit",), 2, date(2024, 1, 2), date(2024, 1, 2))
    answer = Answer("Who?", "abstained", (), found, Trace(), looked=looked)
    assert answer.citations == ()
    assert str(answer).splitlines() == [
        "The archive does not say.",
        "Looked for: Who lit it?",
        "Nothing found mentions: lit",
        "Searched 2 articles of 2 January 2024.",
        "The closest passages, none of which answers:",
        "  - Fire on Pier 4, Gazette",
        "    Nobody was hurt.",
        "    The fire began at 3 a.m.",
        "  - Storm, 2024-01-02",
        "    Wind.",
    ]
    assert str(Answer("Who?", "abstained", (), (), Trace())) == "The archive does not say."


def test_only_the_best_passages_of_the_best_articles_are_closest() -> None:
    others = [Article(f"b{n}", "T", "0123456789") for n in range(4)]
    spans = [(others[0], 0, 1), (others[0], 2, 3), (others[0], 4, 5)]
    found = passages(*spans, *((other, 6, 7) for other in others[1:]))
    answer = Answer("Who?", "abstained", (), found, Trace())
    shown = [[(p.article.id, p.start) for p in group] for group in answer.closest]
    assert shown == [[("b0", 0), ("b0", 2)], [("b1", 6)], [("b2", 6)]]


@pytest.mark.parametrize(
    ("count", "first", "last", "said"),
    [
        (0, None, None, "Searched 0 articles."),
        (1, date(2024, 5, 9), date(2024, 5, 9), "Searched 1 article of 9 May 2024."),
        (1200, None, None, "Searched 1,200 articles."),
        (
            38,
            date(2022, 1, 3),
            date(2024, 5, 9),
            "Searched 38 articles from 3 January 2022 to 9 May 2024.",
        ),
    ],
)
def test_a_refusal_says_which_days_were_searched(
    count: int, first: date | None, last: date | None, said: str
) -> None:
    assert Looked("Who?", (), count, first, last).lines == ("Looked for: Who?", said)


def test_the_json_form_has_the_promised_fields() -> None:
    citation = Citation(ARTICLE, 0, 24)
    answer = Answer("Q", "answered", (Sentence("S", (citation,), 0.5),), (), Trace())
    values = answer.to_dict()
    assert list(values) == [
        "question", "status", "probability", "short", "missing", "looked", "remarks",
        "disputes", "sentences", "passages", "trace",
    ]  # fmt: skip
    assert set(values["sentences"][0]) == {"text", "support", "citations"}
    assert set(values["sentences"][0]["citations"][0]) == {
        "article_id", "revision", "title", "source", "url", "published", "start", "end", "quote",
    }  # fmt: skip
    assert set(values["trace"]) == {
        "query", "settings", "prompts", "models", "timings", "notes", "checks", "signals",
    }  # fmt: skip
