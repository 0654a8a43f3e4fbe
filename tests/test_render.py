"""ui.render: safe HTML, exact highlights, right numbers, as an HTML parser reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from rag import Answer, ArchiveStatus, Article, Citation, Evidence, RankedPassage, Sentence, Trace
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
    status = ArchiveStatus(evil, 1, 1, 0, None, None, 1, {evil: 1}, "model", 1)
    for html in (
        render.conversation_html([Turn(evil, answer=told)]),
        render.conversation_html([Turn(evil, Evidence(f"{evil}?", (), (sentence,)))]),
        render.conversation_html([Turn(evil, answer=abstention(bad))]),
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
    assert list(render.number(told.sentences)) == list(told.citations)
    assert len(page.all("nr-card")) == len(page.all("nr-number")) == 3


def test_a_card_names_the_article_and_quotes_the_span() -> None:
    text = Page(render.answer_html(answer(cited("One.", (0, 11))))).text
    for part in ("A title", "The Paper", "4 August 2023", "First fact."):
        assert part in text


def test_what_is_unknown_is_left_out_of_the_byline() -> None:
    page = Page(render.article_html(article(source=None, published=None), 0, 5))
    assert " · " not in page.text
    assert "None" not in page.text


def test_an_abstention_lists_the_closest_without_numbers() -> None:
    page = Page(render.answer_html(abstention(*[article(id=f"a{n}") for n in range(5)])))
    assert "The archive does not say." in page.text
    assert "Closest passages" in page.text
    assert len(page.all("nr-card")) == render.CLOSEST
    assert not page.all("nr-cite")
    assert not page.all("nr-number")


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
