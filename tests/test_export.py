"""ui.export: answers and conversations as text, Markdown and HTML."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from lxml import html as parser
from markdown_it import MarkdownIt

from rag import (
    Answer,
    Article,
    Asked,
    Citation,
    Conversation,
    Exchange,
    Looked,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)
from ui import export

LAMP = Article(
    "lamp",
    "New lamp for *Tamarisk*",
    "Odile Brandt replaced\nthe lamp. It is brighter.",
    "Callow Herald",
    "https://callow.example/lamp_1?a=1&b=2",
    date(2024, 3, 9),
)
NOTE = Article("note", "A note", "The lamp cost 40 crowns.", url="javascript:alert(1)")
BRANDT, COST = Citation(LAMP, 0, 31), Citation(NOTE, 0, 24)
TOLD = (
    Sentence("Brandt replaced the lamp.", (BRANDT,), 0.95),
    Sentence("It cost 40 crowns.", (COST, BRANDT), 0.61),
)
ANSWER = Answer("Who replaced the lamp?", "answered", TOLD, (), Trace())
AT = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


def conversation(*exchanges: Exchange) -> Conversation:
    return Conversation("c", "The lamp", AT, AT, exchanges)


def test_an_answer_as_text() -> None:
    assert export.answer_as(ANSWER, "text") == (
        "Who replaced the lamp?\n"
        "\n"
        "Brandt replaced the lamp. [1] It cost 40 crowns. (only partly supported, 61 %) [2] [1]\n"
        "\n"
        "Sources\n"
        "\n"
        "[1] New lamp for *Tamarisk*, Callow Herald, 9 March 2024\n"
        "    https://callow.example/lamp_1?a=1&b=2\n"
        "    “Odile Brandt replaced the lamp.”\n"
        "[2] A note\n"
        "    javascript:alert(1)\n"
        "    “The lamp cost 40 crowns.”\n"
    )


def test_an_answer_as_markdown() -> None:
    assert export.answer_as(ANSWER, "markdown") == (
        "## Who replaced the lamp?\n"
        "\n"
        "Brandt replaced the lamp. [1] It cost 40 crowns. (only partly supported, 61 %) [2] [1]\n"
        "\n"
        "### Sources\n"
        "\n"
        "1. New lamp for \\*Tamarisk\\*, Callow Herald, 9 March 2024, "
        "<https://callow.example/lamp_1?a=1&b=2>\n"
        "\n"
        "   > Odile Brandt replaced the lamp.\n"
        "\n"
        "2. A note, javascript:alert(1)\n"
        "\n"
        "   > The lamp cost 40 crowns.\n"
    )


def test_markdown_reads_as_a_list_of_quotes_with_the_one_safe_link() -> None:
    page = parser.fromstring(MarkdownIt().render(export.answer_as(ANSWER, "markdown")))
    quotes = [" ".join(quote.text_content().split()) for quote in page.iter("blockquote")]
    assert quotes == ["Odile Brandt replaced the lamp.", "The lamp cost 40 crowns."]
    assert [anchor.get("href") for anchor in page.iter("a")] == [LAMP.url]
    assert len(list(page.iter("ol"))) == 1
    assert not list(page.iter("em"))


def test_an_answer_as_html() -> None:
    html = export.answer_as(ANSWER, "html")
    page = parser.fragment_fromstring(html, create_parent=True)
    assert [e.text_content() for e in page.iter("sup")] == ["[1]", "[2] [1]"]
    assert [e.text_content() for e in page.iter("blockquote")] == [
        "Odile Brandt replaced the lamp.",
        "The lamp cost 40 crowns.",
    ]
    assert [anchor.get("href") for anchor in page.iter("a")] == [LAMP.url]
    assert "javascript:alert(1)" in page.text_content()
    assert "<html" not in html, "a piece to paste"


@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_every_format_has_all_that_an_answer_says(kind: export.Kind) -> None:
    short = replace(ANSWER, short=Short("Odile Brandt", BRANDT), missing="who paid.")
    told = export.answer_as(short, kind)
    assert told.index("Odile Brandt") < told.index("Brandt replaced")
    assert "Not in the archive: who paid." in told


@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_an_abstention_cites_nothing(kind: export.Kind) -> None:
    passage = RankedPassage(1, LAMP, 0, 31, 0.5)
    looked = Looked("Who won?", ("won",), 2, date(2024, 1, 1), date(2024, 3, 9))
    refused = Answer("Who won?", "abstained", (), (passage,), Trace(), looked=looked)
    told = export.answer_as(refused, kind)
    for line in ("The archive does not say.", *looked.lines, "Odile Brandt replaced the lamp."):
        assert line in told
    assert "[1]" not in told
    assert "Sources" not in told
    assert "Closest" not in export.answer_as(replace(refused, passages=()), kind)


@pytest.mark.parametrize("kind", ["text", "markdown", "html"])
def test_a_conversation_has_every_exchange_and_how_it_went(kind: export.Kind) -> None:
    asked = Asked(date(2024, 4, 1), date(2024, 1, 1), None, ("Callow Herald",))
    told = export.conversation_as(
        conversation(
            Exchange("1", "Who replaced it?", asked, AT, "Who replaced the lamp?", ANSWER),
            Exchange("2", "And then?", Asked(), AT, "And then?", error="The model is away."),
            Exchange("3", "Why?", Asked(), AT, stopped=True, sentences=TOLD[1:]),
        ),
        kind,
    )
    for part in (
        "The lamp",
        "Asked on 6 May 2024, as of 1 April 2024, since 1 January 2024, only Callow Herald.",
        "Understood as: Who replaced the lamp?",
        "The model is away.",
        "Stopped.",
    ):
        assert part in told
    assert "Understood as: And then?" not in told
    last = told[told.index("Why?") :]
    assert "It cost 40 crowns." in last
    assert "A note" in last
    assert "Brandt replaced the lamp." not in last.replace("Odile Brandt replaced the lamp.", "")


def test_a_conversation_as_html_is_a_page_that_fetches_nothing() -> None:
    page = export.conversation_as(conversation(Exchange("1", "Q", Asked(), AT)), "html")
    assert page.startswith("<!doctype html>")
    tree = parser.document_fromstring(page)
    assert tree.findtext(".//title") == "The lamp"
    policies = [meta.get("content") for meta in tree.iter("meta") if meta.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "url(" not in page


@pytest.mark.parametrize(
    "words, html",
    [
        ("1. one", "<p>1. one</p>"),
        ("- one", "<p>- one</p>"),
        ("+ one", "<p>+ one</p>"),
        ("=====", "<p>=====</p>"),
        ("# one #", "<p># one #</p>"),
        ("a_b_ *c* ~~d~~ `e`", "<p>a_b_ *c* ~~d~~ `e`</p>"),
        ("![x](https://a.b/c)", "<p>![x](https://a.b/c)</p>"),
        ("<b> &amp; \\", "<p>&lt;b&gt; &amp;amp; \\</p>"),
        ("a | b", "<p>a | b</p>"),
        ("12-year-old U.S. girl (9)", "<p>12-year-old U.S. girl (9)</p>"),
    ],
)
def test_markdown_leaves_words_as_they_are(words: str, html: str) -> None:
    told = replace(ANSWER, sentences=(Sentence(words, (), 1.0),))
    shown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    paragraph = shown.render(export.answer_as(told, "markdown")).split("\n")[1]
    assert paragraph == html


def test_no_bare_address_becomes_a_link_in_any_markdown() -> None:
    told = replace(ANSWER, sentences=(Sentence("See https://a.b and www.a.b", (), 1.0),))
    assert "See https\\://a.b and www\\.a.b" in export.answer_as(told, "markdown")
