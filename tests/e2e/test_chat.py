"""Asking and reading in a real browser, on a real archive. Only the language model is stood in for.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag import (
    Answer,
    Archive,
    Evidence,
    Looked,
    NewsragError,
    RankedPassage,
    Sentence,
    Settings,
    Short,
    Trace,
)
from ui import server

from .chat_page import (
    BOTH,
    MS,
    Open,
    View,
    ask,
    check_highlight,
    done,
    drawer,
    expect,
    photograph,
    to_sources,
)
from .serving import HOSTILE, LAMP, LAMP_CITATION, LAMP_QUESTION, LIGHTHOUSE, served

FIRST = re.compile(r"^\D*1\D*$")
"""The marker of the first citation; a short answer's marker stands before it."""


def test_a_citation_opens_the_article_at_the_quote(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    card = page.locator("#nr-sources .nr-card").first
    for part in (LIGHTHOUSE.title, "Callow Herald", "9 March 2024", LAMP):
        expect(card).to_contain_text(part)
    page.locator(".nr-cite", has_text=FIRST).first.click()
    check_highlight(page, LAMP)
    shown = page.locator(".nr-article")
    expect(shown.locator(".nr-headline")).to_have_text(LIGHTHOUSE.title)
    expect(shown.get_by_role("link")).to_have_attribute("href", "https://callow.example/lamp")
    assert page.locator(".nr-text").text_content() == LIGHTHOUSE.text
    assert page.locator("#nr-left").bounding_box()["x"] < 720 <= shown.bounding_box()["x"]


def test_the_same_citation_scrolls_back_to_its_place(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    for _ in range(2):
        page.locator(".nr-cite", has_text=FIRST).first.click()
        check_highlight(page, LAMP)
        page.locator("#nr-right").evaluate("pane => pane.scrollTo(0, 0)")
        expect(page.locator("#nr-mark")).not_to_be_in_viewport()


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_the_keyboard_opens_a_citation_and_goes_back(visit: Open, quoting: str, key: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    citation = page.get_by_role("button", name=f"Citation 1: {LIGHTHOUSE.title}")
    citation.first.focus()
    page.keyboard.press(key)
    check_highlight(page, LAMP)
    expect(page.locator("#nr-mark")).to_be_focused()
    page.get_by_role("button", name="Back to the sources").press(key)
    expect(citation.first).to_be_focused()
    expect(page.locator("#nr-sources .nr-card").first).to_be_visible()


def test_on_a_phone_the_pane_covers_the_conversation(visit: Open, quoting: str) -> None:
    page = visit(quoting, 390, 844)
    ask(page, LAMP_QUESTION)
    done(page)
    expect(page.locator("#nr-right")).to_be_hidden()
    page.locator(".nr-cite", has_text=FIRST).first.click()
    check_highlight(page, LAMP)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Back to the sources").click()
    expect(page.locator("#nr-sources .nr-card").first).to_be_visible()
    page.get_by_role("button", name="Back to the conversation").click()
    expect(page.locator("#nr-right")).to_be_hidden()
    expect(page.locator(".nr-cite", has_text=FIRST).first).to_be_focused()
    page.get_by_role("button", name="source", exact=False).first.click()
    expect(page.locator("#nr-sources .nr-card").first).to_be_in_viewport()


def test_a_hostile_article_is_shown_as_text(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, "How large was the Quillfeather heist loot?")
    done(page)
    expect(page.locator(".nr-card").first).to_contain_text(HOSTILE.title)
    page.locator(".nr-title").first.click()
    expect(page.locator("#nr-mark")).to_be_visible()
    assert page.locator(".nr-text").text_content() == HOSTILE.text
    assert page.locator(".nr-article h2").text_content() == HOSTILE.title
    assert page.locator(".nr-article .nr-url").text_content() == HOSTILE.url
    for inside in ("a", "img", "script", "iframe", "b", "strong", "em", "code"):
        assert page.locator(f"#nr-panes .html-container {inside}").count() == 0
        assert page.locator(f"#nr-sidebar .html-container {inside}").count() == 0


@pytest.mark.parametrize("question", ["<img src=x onerror=alert(1)> {{x}}", "**a** $x$ [b](//c)"])
def test_a_hostile_question_is_shown_as_text(visit: Open, quoting: str, question: str) -> None:
    page = visit(quoting)
    ask(page, question)
    done(page)
    assert page.locator("h2.nr-question").text_content() == question


@pytest.mark.parametrize(
    "name, value, told",
    [
        ("end", "999999", "outside its article"),
        ("start", "-4", "outside its article"),
        ("start", "1e3", "not valid"),
        ("revision", "77", ""),
        ("article", "../../etc/passwd", ""),
    ],
)
def test_a_forged_place_opens_nothing(
    visit: Open, quoting: str, name: str, value: str, told: str
) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    citation = page.locator(".nr-cite", has_text=FIRST).first
    citation.evaluate("(button, [name, value]) => { button.dataset[name] = value }", [name, value])
    citation.click()
    expect(page.locator("#nr-article .nr-error")).to_contain_text(told)
    assert page.locator("#nr-mark").count() == 0


@BOTH
def test_an_abstention_lists_the_closest_passages(visit: Open, quoting: str, view: View) -> None:
    page = visit(quoting, *view)
    ask(page, "Who won the chess boxing final in Lisbon?")
    done(page)
    expect(page.locator(".nr-turn")).to_contain_text("The archive does not say.")
    looked = page.locator(".nr-turn .nr-looked li")
    expect(looked.first).to_have_text("Looked for: Who won the chess boxing final in Lisbon?")
    expect(looked.last).to_have_text(re.compile(r"^Searched \d+ articles from .+ to .+\.$"))
    to_sources(page)
    expect(page.locator("#nr-sources")).to_contain_text("Closest passages")
    assert page.locator(".nr-cite, .nr-number").count() == 0
    page.locator("#nr-sources .nr-title").first.click()
    expect(page.locator("#nr-mark")).to_be_visible()


@BOTH
def test_an_example_is_asked_and_a_new_conversation_starts(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(quoting, *view)
    example = page.locator(".nr-example").first
    question = example.text_content()
    example.click()
    expect(page.locator("h2.nr-question")).to_have_text(question or "-")
    done(page)
    drawer(page)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".nr-welcome")).to_be_visible()
    assert page.locator(".nr-turn").count() == 0


@BOTH
def test_a_follow_up_is_understood_from_the_conversation(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(quoting, *view)
    ask(page, LAMP_QUESTION)
    done(page)
    ask(page, "And when did she do it?")
    done(page)
    last = page.locator(".nr-turn").last
    expect(last).to_contain_text("Understood as:")
    expect(last).to_contain_text("Tamarisk")
    photograph(page, "follow-up")
    expect(last.get_by_role("heading")).to_be_in_viewport()
    last.get_by_role("button", name="Edit the question as understood").click()
    box = page.get_by_label("Question", exact=True)
    expect(box).to_have_value(re.compile("Tamarisk"))
    ask(page, "How large was the Quillfeather heist loot?", shown="And when did she do it?")
    done(page)
    expect(page.locator(".nr-turn")).to_have_count(2)
    expect(page.locator(".nr-turn").last).to_contain_text("Understood as: How large")


def test_two_readers_do_not_see_each_other(visit: Open, quoting: str) -> None:
    first, second = visit(quoting), visit(quoting)
    ask(first, LAMP_QUESTION)
    ask(second, "How large was the Quillfeather heist loot?")
    done(first)
    done(second)
    expect(first.locator(".nr-turn")).to_have_count(1)
    expect(second.locator(".nr-turn")).to_have_count(1)
    expect(first.locator("#nr-scroll")).not_to_contain_text("Quillfeather")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "error, told",
    [
        (NewsragError("the <b>disk</b> is full"), "The <b>disk</b> is full."),
        (ZeroDivisionError("secret"), "unexpected error"),
    ],
)
def test_an_error_is_one_sentence_in_the_chat(
    visit: Open,
    quoting: str,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
) -> None:
    def fail(*_: object, **__: object) -> Iterator[object]:
        raise error

    page = visit(quoting)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "stream", fail)
        ask(page, "Anything?")
        done(page)
    expect(page.locator(".nr-error")).to_contain_text(told)
    assert "secret" not in (page.locator("body").text_content() or "")
    ask(page, LAMP_QUESTION)
    done(page)
    expect(page.locator(".nr-turn").last.locator(".nr-answer")).to_contain_text(LAMP)


def test_what_comes_with_the_answer_moves_none_of_it(
    visit: Open, quoting: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    worded, quote = (Sentence(text, (LAMP_CITATION,), 0.93) for text in ("Odile did.", LAMP))
    answer = Answer("q", "answered", (worded, quote), (), Trace(), None, 0.87, "the price.")
    short = Short("Odile Brandt", LAMP_CITATION)
    finish = threading.Event()

    def stream(question: str, **_: object) -> Iterator[object]:
        yield from (Evidence(question, (), (quote,)), worded, quote)
        finish.wait(MS / 1000)
        yield replace(answer, short=short if question == "Who?" else None)

    page = visit(quoting)
    monkeypatch.setattr(archive, "stream", stream)
    ask(page, "Why?")
    shown = page.locator(".nr-answer blockquote")
    expect(shown).to_contain_text(LAMP)
    expect(page.locator(".nr-status")).to_be_visible()
    before = shown.bounding_box()
    finish.set()
    expect(page.locator(".nr-probability")).to_contain_text("87 %")
    assert shown.bounding_box() == before
    expect(page.locator(".nr-missing")).to_have_text("Not in the archive: the price.")
    done(page)
    ask(page, "Who?")
    expect(page.locator(".nr-short span")).to_have_text(short.text)
    page.locator(".nr-short .nr-cite").click()
    check_highlight(page, LAMP)


def test_every_passage_of_a_refusal_can_be_opened(
    visit: Open, quoting: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = [(0, 34), (LAMP_CITATION.start, LAMP_CITATION.end)]
    passages = tuple(RankedPassage(n, LIGHTHOUSE, *span, 1.0) for n, span in enumerate(spans))
    looked = Looked("Who?", ("price",), 40)
    refusal = Answer("Who?", "abstained", (), passages, Trace(), looked=looked)
    page = visit(quoting)
    monkeypatch.setattr(archive, "stream", lambda *_, **__: iter([refusal]))
    ask(page, "Who?")
    done(page)
    expect(page.locator(".nr-turn .nr-looked li")).to_have_text(list(looked.lines))
    page.get_by_role("button", name="Open this passage").click()
    check_highlight(page, LAMP)
    page.get_by_role("button", name="Back to the sources").click()
    page.locator("#nr-sources .nr-title").click()
    check_highlight(page, LIGHTHOUSE.text[:34])


def test_an_empty_archive_says_how_to_fill_it(visit: Open, tmp_path: Path) -> None:
    with Archive.open(tmp_path / "empty", Settings()) as archive, served(archive) as url:
        page = visit(url)
        expect(page.locator(".nr-welcome")).to_contain_text("newsrag ingest")
        photograph(page, "empty-archive")
        assert page.locator(".nr-example").count() == 0


def test_a_port_in_use_is_one_sentence(archive: Archive) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(NewsragError, match="choose another port"):
            server.start(archive, port=taken.getsockname()[1])
