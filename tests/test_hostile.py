"""Hostile text through every pure renderer and export: it stays text, and changes nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache
from urllib.parse import unquote

import pytest
from hostile import HOSTILE, NAMED
from markdown_it import MarkdownIt
from markup import addresses, parse, skeleton, texts, words

from rag import (
    Answer,
    ArchiveStatus,
    Article,
    Asked,
    Citation,
    Conversation,
    ConversationSummary,
    Evidence,
    Exchange,
    Failure,
    Feedback,
    IngestReport,
    Looked,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)
from ui import adding, bars, export, overview_html, render, sources, turns
from ui.answering import Progress

HARMLESS = "Harmless words"
NOW = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
NAMES = pytest.mark.parametrize("evil", HOSTILE, ids=list(NAMED))


def article(evil: str, **fields: object) -> Article:
    given = {"id": evil, "title": evil, "source": evil, "published": date(2024, 1, 2)}
    return Article(text=f"{evil} end", **{**given, **fields})  # type: ignore[arg-type]


def citation(evil: str, **fields: object) -> Citation:
    return Citation(article(evil, **fields), 0, len(evil))


def passages(evil: str) -> tuple[RankedPassage, ...]:
    copy = article(evil, id="copy", source="Elsewhere")
    return (RankedPassage(1, article(evil), 0, len(evil), 0.5, (copy,)),)


def answered(evil: str) -> Answer:
    cited = citation(evil)
    told = (Sentence(evil, (cited,), 1.0), Sentence(f"{evil}, or so", (cited,), 0.5))
    trace = Trace(query=f"{evil}?", notes=(evil,))
    short = Short(evil, cited)
    return Answer(evil, "answered", told, passages(evil), trace, short, 0.5, missing=evil)


def abstained(evil: str) -> Answer:
    looked = Looked(evil, (evil,), 3, date(2024, 1, 1), date(2024, 2, 2))
    return Answer(evil, "abstained", (), passages(evil), Trace(), looked=looked)


def exchange(evil: str, answer: Answer | None, **fields: object) -> Exchange:
    asked = Asked(as_of=date(2024, 3, 3), sources=(evil,))
    feedback = Feedback("up", evil)
    return Exchange("1", evil, asked, NOW, f"{evil}?", answer, feedback=feedback, **fields)  # type: ignore[arg-type]


def conversation(evil: str) -> Conversation:
    sentences = answered(evil).sentences
    parts = (
        exchange(evil, answered(evil)),
        exchange(evil, abstained(evil)),
        exchange(evil, None, error=evil),
        exchange(evil, None, stopped=True, sentences=sentences),
    )
    return Conversation("1", evil, NOW, NOW, parts)


def numbers(evil: str) -> dict[Citation, int]:
    return {citation(evil): 1}


def quotes(evil: str) -> Evidence:
    return Evidence(evil, passages(evil), (Sentence(evil, (citation(evil),), 1.0),))


def status(evil: str, articles: int = 1) -> ArchiveStatus:
    return ArchiveStatus(evil, articles, 1, 0, None, None, 1, {evil: 1}, evil, 1)


RENDERERS: dict[str, Callable[[str], str]] = {
    "sentence": lambda e: sources.sentence_html(answered(e).sentences[1], numbers(e)),
    "sources of an answer": lambda e: sources.sources_html(answered(e), numbers(e)),
    "sources of evidence": lambda e: sources.sources_html(quotes(e), numbers(e)),
    "sources of an abstention": lambda e: sources.sources_html(abstained(e), {}),
    "article": lambda e: sources.article_html(article(e), [citation(e)], citation(e)),
    "error": render.error_html,
    "turn": lambda e: turns.turn_html(Progress(exchange(e, answered(e)), ended=True), latest=True),
    "turn under way": lambda e: turns.turn_html(Progress(exchange(e, None), quotes(e))),
    "turn that found nothing": lambda e: turns.turn_html(
        Progress(exchange(e, abstained(e)), ended=True)
    ),
    "turn that failed": lambda e: turns.turn_html(Progress(exchange(e, None, error=e), ended=True)),
    "welcome": lambda e: turns.welcome_html(status(e), [e]),
    "welcome to nothing": lambda e: turns.welcome_html(status(e, 0), []),
    "saved conversations": lambda e: turns.list_html(
        [ConversationSummary("1", e, NOW, 1)], "1", "", NOW
    ),
    "list of articles": lambda e: overview_html.list_html([article(e)], searched=True, more=True),
    "stored article": lambda e: overview_html.article_html(article(e), [(0, len(e))]),
    "deleted article": overview_html.deleted_html,
    "table": lambda e: overview_html.table_html(bars.Bars("Outlet", (e,), (1,))),
    "adding": lambda e: overview_html.progress_html(
        adding.Progress(2, 1, e, IngestReport(failures=(Failure(e, e),)), failed=1)
    ),
    "answer as HTML": lambda e: export.answer_as(answered(e), "html"),
    "abstention as HTML": lambda e: export.answer_as(abstained(e), "html"),
    "conversation as HTML": lambda e: export.conversation_as(conversation(e), "html"),
    "answer as Markdown": lambda e: as_page(export.answer_as(answered(e), "markdown")),
    "abstention as Markdown": lambda e: as_page(export.answer_as(abstained(e), "markdown")),
    "conversation as Markdown": lambda e: as_page(
        export.conversation_as(conversation(e), "markdown")
    ),
}


def where(page: str) -> set[str]:
    """The addresses of a page, but for the ids of articles, which are percent-encoded."""
    return {re.sub(r"^\?article=[\w.~%-]*$", "?article=", address) for address in addresses(page)}


def as_page(markdown: str) -> str:
    """Markdown as a lenient reader shows it: with HTML, tables and strikethrough."""
    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": 100})
    return reader.enable(["table", "strikethrough"]).render(markdown)


def gist(evil: str) -> str:
    """The beginning of a text as a page must show it."""
    return " ".join(render.visible(evil).split())[:60].strip().casefold()


@cache
def harmless(place: str) -> str:
    return RENDERERS[place](HARMLESS)


@pytest.mark.parametrize("place", RENDERERS)
@NAMES
def test_a_page_with_it_is_built_like_any_other(evil: str, place: str) -> None:
    page = RENDERERS[place](evil)
    assert skeleton(page) == skeleton(harmless(place))
    assert where(page) == where(harmless(place))
    assert gist(evil) in words(page).casefold()


@NAMES
def test_an_article_is_shown_whole_and_marked_where_it_was_cited(evil: str) -> None:
    page = sources.article_html(article(evil), [citation(evil)], citation(evil))
    assert texts(page, "nr-text") == [render.visible(f"{evil} end")]
    (mark,) = parse(page).xpath("//mark")
    assert mark.text_content() == render.visible(evil)


PAGES_WITH_ADDRESS: dict[str, Callable[[Citation], str]] = {
    "article": lambda c: sources.article_html(c.article, [c], c),
    "stored article": lambda c: overview_html.article_html(c.article, []),
    "as HTML": lambda c: export.answer_as(told_from(c), "html"),
    "as Markdown": lambda c: as_page(export.answer_as(told_from(c), "markdown")),
}


def told_from(cited: Citation) -> Answer:
    return Answer("q", "answered", (Sentence("s", (cited,), 1.0),), (), Trace())


@pytest.mark.parametrize("place", PAGES_WITH_ADDRESS)
@NAMES
def test_as_an_address_it_is_a_link_only_where_that_is_safe(evil: str, place: str) -> None:
    page, other = (
        PAGES_WITH_ADDRESS[place](citation(HARMLESS, url=url))
        for url in (evil, "https://paper.example/a" if render.safe_url(evil) else "unsafe")
    )
    assert skeleton(page) == skeleton(other)
    linked = {unquote(address) for address in addresses(page)}
    assert linked == ({unquote(render.safe_url(evil))} if render.safe_url(evil) else set())


@NAMES
def test_plain_text_obeys_nothing(evil: str) -> None:
    told = export.conversation_as(conversation(evil), "text")
    assert gist(evil) in " ".join(told.split()).casefold()
    assert told == render.visible(told)
    assert "\r" not in told
    harmless = export.conversation_as(conversation(HARMLESS), "text")
    assert told.count("\n") == harmless.count("\n")
    told.encode()


@NAMES
def test_a_button_brings_back_the_very_place(evil: str) -> None:
    page = sources.sentence_html(answered(evil).sentences[0], numbers(evil))
    (button,) = parse(page).xpath("//button")
    sendable = "".join(c for c in evil if c != "\0" and not "\ud800" <= c <= "\udfff")
    sent = button.get("data-article").replace("\ufffd", "")
    assert sent == sendable.replace("\ufffd", "")


def test_there_are_enough_of_them_and_no_two_alike() -> None:
    assert len(set(HOSTILE)) == len(NAMED) >= 60
