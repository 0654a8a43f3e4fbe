"""Sentences, cards and the article in a real browser, without a server: layout, keys, speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

import pytest
from conftest import ROOT

from rag import Answer, Article, Citation, Sentence, Trace
from ui import sources
from ui.render import number

from .chat_page import Browser, Page, expect

STATIC = ROOT / "ui" / "static"
WORDS = 18_000
TODAY = date(2024, 5, 6)

PARAGRAPH = "The harbour of Callow was dredged again this spring, as every spring. " * 10
LONG = Article(
    "long",
    "How the harbour was dredged",
    f"{PARAGRAPH}\n\n" * (WORDS // len(PARAGRAPH.split())) + "It cost 9 crowns. It was loud.",
    "Callow Herald",
    published=date(2024, 3, 9),
)
SHORT = Article("short", "A second source", "The lamp is new. It is bright.", "Daily Note")
COST = LONG.text.index("It cost")
CITED = (
    Citation(LONG, COST, COST + 17),
    Citation(SHORT, 0, 16),
    Citation(LONG, 0, 70),
)
ANSWER = Answer(
    "q",
    "answered",
    (
        Sentence("It cost 9 crowns, and the lamp at the end of it is new.", CITED[:2], 0.93),
        Sentence("The harbour was dredged.", CITED[2:], 0.6),
    ),
    (),
    Trace(),
)
NUMBERS = number(CITED)
SOURCES = sources.sources_html(ANSWER, NUMBERS, TODAY)

PANE = """
(script) => {
  const watching = [], pane = document.getElementById("pane");
  window.sent = [];
  window.show = (html) => { pane.innerHTML = html; watching.forEach((run) => run()); };
  new Function("element", "trigger", "watch", script)(
    pane, (kind, data) => window.sent.push({ kind, ...data }), (_, run) => watching.push(run));
}
"""
"""What gr.HTML gives to the script of a pane."""


@pytest.fixture(params=[1440, 390])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The words of an answer over its sources, each in a part that scrolls."""
    context = browser.new_context(viewport={"width": request.param, "height": 844})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    told = " ".join(sources.sentence_html(sentence, NUMBERS) for sentence in ANSWER.sentences)
    style = (STATIC / "pane.css").read_text(encoding="utf-8")
    page.set_content(
        f'<!doctype html><html lang="en"><style>{style}</style>'
        "<style>body{margin:0}#talk,#pane{height:400px;overflow:auto;padding:12px}</style>"
        f'<div id="talk"><p id="told">{told}</p></div><div id="pane"></div></html>'
    )
    page.evaluate(PANE, (STATIC / "pane.js").read_text(encoding="utf-8"))
    show(page, SOURCES)
    yield page
    context.close()
    assert wrong == []


def show(page: Page, html: str) -> None:
    page.evaluate("html => window.show(html)", html)


def article(citation: Citation, opened: int = 0) -> str:
    return sources.article_html(citation.article, CITED, citation, opened, TODAY)


def sent(page: Page) -> list[tuple[str, str]]:
    """What was sent to the server since last asked: the kind and the article's id."""
    events = json.loads(page.evaluate("JSON.stringify(window.sent.splice(0))"))
    return [(event["kind"], event.get("article", "")) for event in events]


def test_a_popover_shows_on_hover_and_on_focus_and_moves_nothing(page: Page) -> None:
    sentence, popover = page.locator(".nr-sentence").first, page.locator(".nr-popover").first
    size = "[document.getElementById('told').offsetHeight, document.body.scrollHeight]"
    before = page.evaluate(size)
    expect(popover).to_be_hidden()
    sentence.locator(".nr-words").hover()
    expect(popover).to_be_visible()
    box, words = popover.bounding_box(), sentence.locator(".nr-words").bounding_box()
    assert box["y"] >= words["y"] + words["height"] - 1
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.viewport_size["width"]
    assert page.evaluate(size) == before
    page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    page.mouse.move(5, 700)
    sentence.locator(".nr-words").hover()
    expect(popover).to_be_visible()
    page.mouse.move(5, 700)
    expect(popover).to_be_hidden()
    page.keyboard.press("Tab")
    expect(sentence.locator(".nr-cite").first).to_be_focused()
    expect(popover).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_the_keys_go_through_the_citations_and_back(page: Page) -> None:
    marker = page.get_by_role("button", name="Citation 1: How the harbour was dredged").first
    marker.focus()
    page.keyboard.press("Enter")  # the talk's own script sends this one
    show(page, article(CITED[0]))
    mark = page.locator("#nr-mark")
    expect(mark).to_be_focused()
    expect(mark).to_be_in_viewport()
    expect(mark).to_have_text("It cost 9 crowns.")
    page.keyboard.press("k")
    assert sent(page) == []
    for key in ("j", "ArrowRight"):
        page.keyboard.press(key)
        assert sent(page) == [("open", "short")]
    show(page, article(CITED[1], 1))
    expect(mark).to_be_focused()
    for key, other in (("k", "long"), ("ArrowLeft", "long"), ("j", "long")):
        page.keyboard.press(key)
        assert sent(page) == [("open", other)]
    for key in ("Backspace", "Escape"):
        page.keyboard.press(key)
        assert sent(page) == [("back", "")]
    show(page, SOURCES)
    expect(marker).to_be_focused()
    expect(marker).to_be_in_viewport()


def test_back_from_a_card_is_back_to_that_card(page: Page) -> None:
    title = page.locator(".nr-title")
    title.nth(0).focus()
    page.keyboard.press("j")
    expect(title.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(title.nth(2)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    assert sent(page) == [("open", "short")]
    show(page, article(CITED[1]))
    page.get_by_role("button", name="Back to the sources").click()
    show(page, SOURCES)
    expect(title.nth(1)).to_be_focused()


def test_back_is_to_the_card_where_the_words_are_covered(page: Page) -> None:
    page.locator("#told .nr-cite").nth(1).click()
    show(page, article(CITED[1]))
    page.evaluate("document.getElementById('talk').inert = true")
    page.keyboard.press("Escape")
    show(page, SOURCES)
    expect(page.locator(".nr-title").nth(1)).to_be_focused()


def test_keys_in_the_talk_and_while_writing_are_left_alone(page: Page) -> None:
    show(page, article(CITED[0]) + '<input id="writing">')
    page.locator("#writing").press("j")
    page.locator("#told .nr-cite").first.press("j")
    page.locator("#nr-mark").press("Control+j")
    assert sent(page) == []


def test_a_click_anywhere_on_a_card_opens_it(page: Page) -> None:
    page.locator(".nr-card blockquote").nth(1).click(force=True)  # the title lies over it
    assert sent(page) == [("open", "short")]


def test_a_long_article_opens_at_its_mark_at_once(page: Page) -> None:
    milliseconds = page.evaluate(
        """html => new Promise((done) => {
            const began = performance.now();
            window.show(html);
            requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
        })""",
        article(CITED[0]),
    )
    expect(page.locator("#nr-mark")).to_be_in_viewport()
    assert page.locator(".nr-text").text_content() == LONG.text
    assert len(LONG.text.split()) >= WORDS
    print(f"an article of {WORDS} words was drawn in {milliseconds:.0f} ms")
