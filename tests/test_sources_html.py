"""ui.sources: sentences with their evidence, cards, the article with its highlights."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from markup import parse, texts, words

from rag import Answer, Article, Citation, Evidence, Looked, RankedPassage, Sentence, Trace
from ui import sources
from ui.render import number

TODAY = date(2023, 8, 7)
TEXT = "First fact. Second fact. Third fact."
FIRST, SECOND, THIRD = (0, 11), (12, 24), (25, 36)


def article(text: str = TEXT, **fields: object) -> Article:
    given = {"id": "a1", "title": "A title", "source": "The Paper", "published": date(2023, 8, 4)}
    return Article(text=text, **{**given, **fields})  # type: ignore[arg-type]


def cited(*spans: tuple[int, int], of: Article | None = None) -> tuple[Citation, ...]:
    return tuple(Citation(of or article(), *span) for span in spans)


def answer(*citations: Citation, passages: tuple[RankedPassage, ...] = ()) -> Answer:
    told = tuple(Sentence(f"Said {n}.", (c,), 0.9) for n, c in enumerate(citations))
    return Answer("q", "answered", told, passages, Trace())


def abstention(*passages: RankedPassage, looked: Looked | None = None) -> Answer:
    return Answer("q", "abstained", (), passages, Trace(), looked=looked)


def sentence(support: float, *spans: tuple[int, int], text: str = "It was so.") -> str:
    told = Sentence(text, cited(*spans), support)
    return sources.sentence_html(told, number(told.citations))


def place(button: object) -> tuple[str, ...]:
    names = ("data-event", "data-article", "data-revision", "data-start", "data-end")
    return tuple(button.get(name) for name in names)  # type: ignore[attr-defined]


def test_a_sentence_has_a_button_for_each_citation() -> None:
    page = parse(sentence(0.93, SECOND, FIRST))
    buttons = list(page.iter("button"))
    assert [button.text for button in buttons] == ["1", "2"]
    assert [place(button) for button in buttons] == [
        ("open", "a1", "1", "12", "24"),
        ("open", "a1", "1", "0", "11"),
    ]
    assert buttons[1].get("aria-label") == "Citation 2: A title. Supported (93 %)"


def test_a_sentence_carries_its_evidence_and_its_support() -> None:
    html = sentence(0.93, FIRST, SECOND)
    (popover,) = texts(html, "nr-popover")
    assert popover.startswith("Supported (93 %)")
    assert texts(html, "nr-quoted") == ["First fact.", "Second fact."]
    assert "The Paper · 4 August 2023" in popover
    assert {e.tag for e in parse(html).iter()} <= {
        "html", "body", "div", "span", "bdi", "time", "button",
    }, "it may stand in a paragraph"  # fmt: skip


@pytest.mark.parametrize("support, flags", [(0.8, []), (0.79, ["partly supported"])])
def test_a_sentence_that_holds_in_part_says_so(support: float, flags: list[str]) -> None:
    html = sentence(support, FIRST)
    assert texts(html, "nr-flag") == flags
    assert bool(parse(html).find_class("nr-partly")) == bool(flags)
    assert ("Only partly supported (79 %)" in words(html)) == bool(flags)


def test_a_sentence_that_is_its_source_is_called_a_quote() -> None:
    assert texts(sentence(1.0, FIRST, text="First  fact."), "nr-support") == [
        "Quoted word for word"
    ]
    assert texts(sentence(1.0, FIRST, SECOND, text="First fact."), "nr-support") == [
        "Supported (100 %)"
    ]


def test_a_sentence_without_citations_has_no_popover() -> None:
    assert not parse(sentence(0.9)).find_class("nr-popover")


def test_cards_stand_in_the_order_of_the_numbers() -> None:
    told = answer(*cited(THIRD, FIRST))
    html = sources.sources_html(told, number(told.citations), TODAY)
    assert texts(html, "nr-number") == ["1", "2"]
    assert [e.text_content() for e in parse(html).iter("blockquote")] == [
        "Third fact.",
        "First fact.",
    ]
    assert [place(button)[3] for button in parse(html).find_class("nr-title")] == ["25", "0"]
    assert texts(html, "nr-byline") == 2 * ["The Paper · 4 August 2023 · 3 days ago"]


def test_evidence_has_cards_before_there_is_an_answer() -> None:
    quote = Sentence("First fact.", cited(FIRST), 1.0)
    found = Evidence("q", (), (quote,))
    assert "First fact." in words(sources.sources_html(found, number(quote.citations), TODAY))
    empty = sources.sources_html(Evidence("q", (), ()), {}, TODAY)
    assert empty == sources.no_sources_html()


def test_a_wire_story_is_one_card_that_names_the_other_outlets() -> None:
    second = article(id="a2", title="The same", source="Daily", text=f"Intro. {TEXT}")
    third = article(id="a3", source="Weekly", text="Worded anew.")
    again = article(id="a4", source="Daily", text=TEXT)
    elsewhere = article(id="a5", source="Nowhere")
    passages = (
        RankedPassage(1, article(), 0, 24, 0.9, (second, third, again)),
        RankedPassage(2, article(), 25, 36, 0.8, (elsewhere,)),
    )
    told = answer(*cited(FIRST), passages=passages)
    html = sources.sources_html(told, number(told.citations), TODAY)
    assert [e.text for e in parse(html).iter("summary")] == ["Also in 2 outlets"]
    assert [place(button) for button in parse(html).find_class("nr-open")] == [
        ("open", "a2", "1", "7", "18"),
        ("open", "a4", "1", "0", "11"),
    ]
    assert "Weekly" in words(html)
    assert "Nowhere" not in words(html)


def test_a_copy_in_the_same_outlet_is_another_article() -> None:
    passage = RankedPassage(1, article(), 0, 24, 0.9, (article(id="a2"),))
    told = answer(*cited(FIRST), passages=(passage,))
    html = sources.sources_html(told, number(told.citations), TODAY)
    assert "Also in 1 other article" in words(html)


def test_citations_of_the_same_words_in_two_articles_share_a_card() -> None:
    copy = article(id="a2", source="Daily")
    told = answer(*cited(FIRST), *cited(SECOND), *cited(FIRST, of=copy))
    html = sources.sources_html(told, number(told.citations), TODAY)
    assert len(parse(html).find_class("nr-card")) == 2
    assert texts(html, "nr-numbers") == ["1 3", "2"]
    assert "Also in 1 outlet" in words(html)


def test_an_abstention_shows_the_closest_passages_without_numbers() -> None:
    other = article("Other.", id="a2")
    spans = [(article(), *FIRST), (other, 0, 6), (article(), *SECOND), (article(), *THIRD)]
    passages = tuple(RankedPassage(n, *span, score=0.5) for n, span in enumerate(spans))
    looked = Looked("Who won in Lisbon?", ("Lisbon",), 38, date(2022, 1, 3), date(2024, 5, 9))
    html = sources.sources_html(abstention(*passages, looked=looked), {}, TODAY)
    assert words(html).startswith("Closest passages")
    for told in (
        "They do not answer the question.",
        "Looked for: Who won in Lisbon?",
        "Nothing found mentions: Lisbon",
        "Searched 38 articles from 3 January 2022 to 9 May 2024.",
    ):
        assert told in words(html)
    assert [place(b)[1] for b in parse(html).find_class("nr-title")] == ["a1", "a2"]
    assert [place(b)[3] for b in parse(html).find_class("nr-open")] == ["12"]
    assert "Third" not in words(html)
    assert not parse(html).find_class("nr-number")


def test_an_abstention_of_an_empty_search_says_that_there_is_nothing() -> None:
    html = sources.sources_html(abstention(), {}, TODAY)
    assert words(html) == "Closest passagesThere are none."


def test_long_quotes_are_cut_on_cards_but_not_in_the_article() -> None:
    long = article("word " * 1000)
    told = answer(*cited((0, 4999), of=long))
    html = sources.sources_html(told, number(told.citations), TODAY)
    (quote,) = parse(html).iter("blockquote")
    assert len(quote.text) <= sources.MAX_QUOTE
    assert quote.text.endswith("…")
    shown = sources.article_html(long, told.citations, told.citations[0], today=TODAY)
    assert texts(shown, "nr-text") == [long.text]


@pytest.mark.parametrize(
    "text, quote",
    [
        ("First fact. Second fact.", "Second fact."),
        ("😀 Zoë said “no”.\n\n👩‍👩‍👧 <b>ok</b> & so on.", "👩‍👩‍👧 <b>ok</b>"),
        ("One\r\ntwo\rthree\nfour", "two\rthree\nfour"),
        ("same same same", "same"),
        ("whole text", "whole text"),
        ("  lead\n and tail  ", "  lead\n and tail  "),
    ],
)
def test_the_highlight_is_the_cited_span_and_the_text_is_whole(text: str, quote: str) -> None:
    start = text.rindex(quote)
    (focus,) = cited((start, start + len(quote)), of=article(text))
    page = parse(sources.article_html(focus.article, [focus], focus))
    assert page.get_element_by_id("nr-mark").text_content() == quote
    (shown,) = page.find_class("nr-text")
    assert shown.text_content() == text


def marks(citations: tuple[Citation, ...], focus: Citation) -> list[tuple[str, str | None, bool]]:
    """Text, number and whether it is in focus, of each highlight; the text around it is checked."""
    page = parse(sources.article_html(focus.article, citations, focus))
    (shown,) = page.find_class("nr-text")
    assert shown.text_content() == focus.article.text
    return [
        (mark.text_content(), mark.get("data-number"), mark.get("id") == "nr-mark")
        for mark in shown.iter("mark")
    ]


def test_all_spans_that_the_answer_cites_are_marked_with_their_numbers() -> None:
    spans = cited(THIRD, FIRST)
    elsewhere = cited(SECOND, of=article(id="a2"))
    older = cited(SECOND, of=article(revision=2))
    assert marks((*spans, *elsewhere, *older), spans[0]) == [
        ("First fact.", "2", False),
        ("Third fact.", "1", True),
    ]


@pytest.mark.parametrize(
    "focus, others, shown",
    [
        ((6, 17), [(0, 11)], [("First ", "2", False), ("fact. Secon", "1", True)]),
        ((0, 11), [(6, 17)], [("First fact.", "1", True), (" Secon", "2", False)]),
        (
            (6, 10),
            [(0, 24)],
            [("First ", "2", False), ("fact", "1", True), (". Second fact.", None, False)],
        ),
        ((0, 24), [(6, 10)], [("First fact. Second fact.", "1", True)]),
        (
            (25, 36),
            [(0, 11), (6, 24)],
            [
                ("First ", "2", False),
                ("fact.", "3", False),
                (" Second fact.", None, False),
                ("Third fact.", "1", True),
            ],
        ),
    ],
)
def test_spans_that_overlap_leave_the_one_in_focus_whole(
    focus: tuple[int, int],
    others: list[tuple[int, int]],
    shown: list[tuple[str, str | None, bool]],
) -> None:
    spans = cited(focus, *others)
    assert marks(spans, spans[0]) == shown


def test_a_passage_that_is_not_cited_is_marked_without_a_number() -> None:
    (focus,) = cited(SECOND)
    assert marks(cited(FIRST), focus) == [("First fact.", "1", False), ("Second fact.", None, True)]
    html = sources.article_html(article(), cited(FIRST), focus)
    assert not parse(html).find_class("nr-step")


def test_the_next_and_the_previous_citation_may_be_in_another_article() -> None:
    spans = (*cited(SECOND), *cited(FIRST, of=article(id="a2")), *cited(FIRST))
    page = parse(sources.article_html(spans[1].article, spans, spans[1]))
    assert [place(page.find_class(f"nr-{way}")[0])[1:] for way in ("previous", "next")] == [
        ("a1", "1", "12", "24"),
        ("a1", "1", "0", "11"),
    ]
    assert page.find_class("nr-at")[0].text == "Citation 2 of 3"


def test_there_is_nothing_before_the_first_and_after_the_last() -> None:
    (only,) = cited(FIRST)
    page = parse(sources.article_html(only.article, [only], only))
    steps = page.find_class("nr-step")
    assert [step.get("disabled") is not None for step in steps] == [True, True]
    assert [step.get("data-event") for step in steps] == [None, None]


def test_two_openings_of_one_place_differ() -> None:
    (focus,) = cited(FIRST)
    first, second = (sources.article_html(focus.article, [focus], focus, n) for n in (1, 2))
    assert first != second


def test_what_is_unknown_about_an_article_is_left_out() -> None:
    bare = replace(article(), source=None, published=None)
    (focus,) = cited(FIRST, of=bare)
    html = sources.article_html(bare, [focus], focus)
    assert "None" not in html
    assert texts(html, "nr-byline") == [""]
