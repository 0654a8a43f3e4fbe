"""ui.render: safe HTML, exact highlights, right numbers, as an HTML parser reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from rag import (
    Answer,
    ArchiveStatus,
    Article,
    Citation,
    Evidence,
    Looked,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)
from ui import render
from ui.render import Turn

HOSTILE = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "\"><svg onload='alert(1)'>",
    "' autofocus onfocus='alert(1)",
    "[click](javascript:alert(1)) ![x](https://evil.example/p.png)",
    "${alert(1)} {{alert}} $x^2$ `code`",
    "</div></article><iframe src=https://evil.example>",
    "&lt;b&gt; &amp; &#60;",
    "a\r\nb\rc",
]
SAFE_TAGS = frozenset(
    [
        "article",
        "a",
        "blockquote",
        "button",
        "div",
        "h2",
        "li",
        "mark",
        "ol",
        "p",
        "section",
        "span",
        "time",
        "ul",
        "code",
    ]
)
SAFE_ATTRIBUTES = frozenset(
    [
        "aria-label",
        "class",
        "data-article",
        "data-end",
        "data-event",
        "data-opened",
        "data-question",
        "data-revision",
        "data-start",
        "datetime",
        "dir",
        "href",
        "id",
        "rel",
        "role",
        "tabindex",
        "target",
        "title",
        "type",
    ]
)


class Page(HTMLParser):
    """What a browser makes of some HTML: tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.marked = ""
        self._in_mark = False
        self.feed(html.replace("\r\n", "\n").replace("\r", "\n"))  # as a browser reads it
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_mark |= tag == "mark"

    def handle_endtag(self, tag: str) -> None:
        self._in_mark &= tag != "mark"

    def handle_data(self, data: str) -> None:
        self.text += data
        self.marked += data if self._in_mark else ""

    def all(self, css_class: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.tags if css_class in (a.get("class") or "").split()]


def article(text: str = "First fact. Second fact. Third fact.", **fields: object) -> Article:
    given = {"id": "a1", "title": "A title", "source": "The Paper", "published": date(2023, 8, 4)}
    return Article(text=text, **{**given, **fields})  # type: ignore[arg-type]


def cited(text: str, *spans: tuple[int, int], of: Article | None = None) -> Sentence:
    return Sentence(text, tuple(Citation(of or article(), *span) for span in spans), 1.0)


def answer(*sentences: Sentence, query: str = "q", notes: tuple[str, ...] = ()) -> Answer:
    trace = Trace(query=query, notes=notes)
    return Answer("q", "answered", sentences, (), trace)


def abstention(*articles: Article) -> Answer:
    passages = tuple(
        RankedPassage(n, a, 0, len(a.text), 0.5) for n, a in enumerate(articles, start=1)
    )
    return Answer("q", "abstained", (), passages, Trace(query="q"))


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(evil: str) -> None:
    bad = article(text=f"{evil} end", id=evil, title=evil, source=evil, url=evil)
    sentence = Sentence(evil, (Citation(bad, 0, len(evil)),), 1.0)
    told = replace(answer(sentence, query=f"{evil}?", notes=(evil,)), passages=())
    short = replace(told, sentences=(), short=Short(evil, sentence.citations[0]))
    refused = replace(abstention(), looked=Looked("q", (evil,)))
    status = ArchiveStatus(evil, 1, 1, 0, None, None, 1, {evil: 1}, "model", 1)
    for html in (
        render.conversation_html([Turn(evil, answer=told)]),
        render.conversation_html([Turn(evil, Evidence(f"{evil}?", (), (sentence,)))]),
        render.conversation_html([Turn("q", answer=short)]),
        render.conversation_html([Turn("q", answer=replace(told, missing=evil))]),
        render.conversation_html([Turn(evil, answer=abstention(bad))]),
        render.conversation_html([Turn("q", answer=refused)]),
        render.conversation_html([Turn("q", answer=replace(refused, looked=Looked(evil)))]),
        render.conversation_html([Turn(evil, error=evil)]),
        render.article_html(bad, 0, len(evil)),
        render.welcome_html(status, [evil]),
        render.welcome_html(replace(status, articles=0), []),
    ):
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= SAFE_TAGS
        assert {name for _, attributes in page.tags for name in attributes} <= SAFE_ATTRIBUTES
        assert not [a for _, a in page.tags if "href" in a]
        assert evil in page.text


def test_hostile_ids_come_back_from_the_attributes_unchanged() -> None:
    bad = article(id='x" data-start="9" onclick="alert(1)', revision=3)
    page = Page(render.sentences_html([cited("One.", (0, 5), of=bad)]))
    (button,) = page.all("nr-cite")
    assert (button["data-article"], button["data-revision"]) == (bad.id, "3")
    assert (button["data-start"], button["data-end"]) == ("0", "5")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "javascript://evil.example/%0aalert(1)",
        "ftp://paper.example/a",
        "file:///etc/passwd",
        "//evil.example/x",
        "https:evil",
        "http://",
        "https://[bad",
        "https://a.example/a b",
        "",
        None,
    ],
)
def test_only_web_addresses_are_linked(url: str | None) -> None:
    page = Page(render.article_html(article(url=url), 0, 5))
    assert not [tag for tag, _ in page.tags if tag == "a"]


def test_a_web_address_is_linked_without_a_way_back() -> None:
    url = 'https://paper.example/a?b=1&c="2"'
    page = Page(render.article_html(article(url=url), 0, 5))
    (link,) = [attributes for tag, attributes in page.tags if tag == "a"]
    assert link["href"] == url
    assert link["target"] == "_blank"
    assert "noopener" in (link["rel"] or "")


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
    page = Page(render.article_html(article(text), start, start + len(quote)))
    assert page.marked == quote
    assert text in page.text
    assert page.text.index(text) + start == page.text.rindex(quote)


def test_two_openings_of_one_place_differ() -> None:
    assert render.article_html(article(), 0, 5, 1) != render.article_html(article(), 0, 5, 2)


def test_numbers_count_citations_in_the_order_of_the_answer() -> None:
    told = answer(cited("One.", (12, 24)), cited("Two.", (0, 11), (12, 24)), cited("3.", (25, 36)))
    page = Page(render.answer_html(told))
    spans = [(a["data-start"], a["aria-label"]) for a in page.all("nr-cite")]
    label = "Citation {}: A title".format
    assert spans == [("12", label(1)), ("0", label(2)), ("12", label(1)), ("25", label(3))]
    assert len(page.all("nr-card")) == len(page.all("nr-number")) == 3


@pytest.mark.parametrize("span, n", [((12, 24), 1), ((25, 36), 2)])
def test_the_phrase_comes_first_but_is_numbered_last(span: tuple[int, int], n: int) -> None:
    short = Short("Second", Citation(article(), *span))
    told = replace(answer(cited("It was second.", (12, 24))), short=short)
    page = Page(render.answer_html(told))
    assert told.citations[n - 1] == short.citation
    assert page.text.startswith(f"Second{n}It was second.1")
    assert len(page.all("nr-short")) == 1
    assert len(page.all("nr-card")) == n


def test_what_is_missing_stands_between_the_sentences_and_their_cards() -> None:
    told = replace(answer(cited("A fact.", (0, 11))), missing="who did it.")
    page = Page(render.answer_html(told))
    assert "A fact.1Not in the archive: who did it.1A title" in page.text
    assert [note["role"] for note in page.all("nr-missing")] == ["note"]


def test_a_sentence_that_is_its_source_is_a_quote_and_no_other() -> None:
    text = "First\n fact. Second fact."
    told = answer(
        cited("A fact, in short.", (0, 12), of=article(text)),
        cited("First fact.", (0, 12), of=article(text)),
        cited("Second fact.", (13, 25), (0, 12), of=article(text)),
        cited("Second one.", (13, 25), of=article(text)),
    )
    words = render.answer_html(told).partition("<ol")[0]
    assert [tag for tag, _ in Page(words).tags if tag in {"p", "blockquote"}] == [
        "p", "blockquote", "p",
    ]  # fmt: skip
    (quote,) = re.findall("<blockquote.*?</blockquote>", words)
    assert Page(quote).text == "First fact.1"
    assert Page(words).text == "A fact, in short.1First fact.1Second fact.21 Second one.2"


def test_a_sentence_and_its_numbers_tell_its_support() -> None:
    told = answer(Sentence("A fact.", (Citation(article(), 0, 11),), 0.934))
    page = Page(render.answer_html(told))
    titles = [(tag, a["title"]) for tag, a in page.tags if "title" in a]
    assert titles == [("span", "Support 0.93"), ("button", "Support 0.93")]


@pytest.mark.parametrize("told", [answer(cited("A.", (0, 11))), abstention(article())])
def test_the_probability_stands_where_the_status_was(told: Answer) -> None:
    assert "Probability" not in render.answer_html(told)
    html = render.answer_html(replace(told, probability=0.866))
    assert html.startswith('<p class="nr-probability">')
    assert Page(html).text.startswith("Probability that the archive answers this: 87 %")
    wording = render.turn_html(Turn("q", sentences=told.sentences or (cited("A.", (0, 11)),)))
    assert wording.index("nr-status") < wording.index("nr-answer")


def test_a_card_names_the_article_and_quotes_the_span() -> None:
    text = Page(render.answer_html(answer(cited("One.", (0, 11))))).text
    for part in ("A title", "The Paper", "4 August 2023", "First fact."):
        assert part in text


def test_what_is_unknown_is_left_out_of_the_byline() -> None:
    page = Page(render.article_html(article(source=None, published=None), 0, 5))
    assert " · " not in page.text
    assert "None" not in page.text


def test_an_abstention_lists_the_closest_by_article_without_numbers() -> None:
    first, second = article("One. Two. Three.", id="a1"), article("Other.", id="a2")
    spans = [(first, 0, 4), (second, 0, 6), (first, 5, 9), (first, 10, 16)]
    passages = tuple(RankedPassage(n, *span, score=0.5) for n, span in enumerate(spans))
    page = Page(render.answer_html(replace(abstention(), passages=passages)))
    assert "The archive does not say." in page.text
    assert "Closest passages. They do not answer the question." in page.text
    assert [card["data-article"] for card in page.all("nr-title")] == ["a1", "a2"]
    assert [(b["data-start"], b["data-end"]) for b in page.all("nr-open")] == [("5", "9")]
    assert page.text.index("Two.") < page.text.index("Other.")
    assert "Three." not in page.text
    assert not page.all("nr-cite")
    assert not page.all("nr-number")


def test_an_abstention_says_what_was_looked_for_and_where() -> None:
    looked = Looked("Who won in Lisbon?", ("Lisbon",), 38, date(2022, 1, 3), date(2024, 5, 9))
    told = replace(abstention(article()), looked=looked, trace=Trace(query=looked.query))
    html = render.turn_html(Turn("And in Lisbon?", answer=told))
    assert "Understood as" not in html
    assert Page(html).text.startswith(
        "And in Lisbon?The archive does not say."
        "Looked for: Who won in Lisbon?"
        "Nothing found mentions: Lisbon"
        "Searched 38 articles from 3 January 2022 to 9 May 2024."
        "Closest passages."
    )


def test_an_abstention_of_an_empty_search_lists_nothing() -> None:
    page = Page(render.answer_html(abstention()))
    assert page.text == "The archive does not say."


def test_the_stages_of_a_turn() -> None:
    turn = Turn("q")
    assert "Searching" in render.turn_html(turn)
    quote = cited("First fact.", (0, 11))
    turn = replace(turn, evidence=Evidence("q", (), (quote,)))
    assert "Evidence found – wording it…" in render.turn_html(turn)
    assert "nr-quotes" in render.turn_html(turn)
    turn = replace(turn, sentences=(cited("A fact.", (0, 11)),))
    assert "nr-quotes" not in render.turn_html(turn)
    assert "A fact." in render.turn_html(turn)
    turn = replace(turn, answer=answer(cited("A fact.", (0, 11))))
    assert "nr-status" not in render.turn_html(turn)


def test_a_stopped_turn_keeps_what_was_shown() -> None:
    quote = cited("First fact.", (0, 11))
    page = Page(render.turn_html(Turn("q", Evidence("q", (), (quote,)), stopped=True)))
    assert "First fact." in page.text
    assert page.text.endswith("Stopped.")
    assert not page.all("nr-busy")


def test_the_text_of_a_turn_is_what_was_shown() -> None:
    quotes = Evidence("q", (), (cited("Quote.", (0, 11)),))
    words = (cited("Word.", (0, 11)),)
    assert Turn("q").text == ""
    assert Turn("q", quotes).text == "Quote."
    assert Turn("q", quotes, words).text == "Word."
    assert Turn("q", quotes, words, answer(*words, *words)).text == "Word. Word."
    assert Turn("q", quotes, answer=abstention()).text == ""


def test_notes_and_the_query_are_shown_where_there_is_something_to_say() -> None:
    told = answer(cited("A.", (0, 11)), query="Kim who?", notes=("The model is away.",))
    html = render.turn_html(Turn("who?", answer=told))
    assert "Understood as: Kim who?" in html
    assert "The model is away." in html
    assert "Understood" not in render.turn_html(Turn(" Kim  who?", answer=told))


def test_an_error_is_a_sentence() -> None:
    assert "The model is missing." in render.error_html("the model is missing")
    assert "Twice.<" in render.error_html("Twice.")


def test_an_empty_archive_says_how_to_fill_it() -> None:
    empty = ArchiveStatus("archive", 0, 0, 0, None, None, 0, {}, "model", 0)
    assert "newsrag ingest" in render.welcome_html(empty, [])
    full = replace(empty, articles=1200, first=date(2023, 1, 2), last=date(2024, 3, 4))
    page = Page(render.welcome_html(full, ["Who?"]))
    assert "1,200 articles, 2 January 2023 to 4 March 2024." in page.text
    assert [button["data-question"] for button in page.all("nr-example")] == ["Who?"]
