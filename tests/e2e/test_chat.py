"""The chat in a real browser, on a real archive. Only the language model is ever stood in for.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag import Archive, Article, NewsragError, Settings
from ui import app

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page, expect = playwright.Browser, playwright.Page, playwright.expect

# Gradio's queue counts its events with an option that pandas is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
]
CORPUS = Path(__file__).parents[2] / "corpus"
MS = 30_000

LAMP = "Engineer Odile Brandt replaced the lamp of the Tamarisk lighthouse in March."
LIGHTHOUSE = Article(
    id="lighthouse",
    title="Tamarisk lighthouse 🗼 has a new lamp",
    text="\n\n".join([f"Paragraph {n} is about the weather." for n in range(60)] + [LAMP, "End."]),
    source="Callow Herald",
    url="https://callow.example/lamp",
    published=date(2024, 3, 9),
)
LOOT = 'The Quillfeather heist loot was 40 crowns of "gold" & <b>silver</b>.'
HOSTILE = Article(
    id='"><script>alert(1)</script>',
    title='<script>alert(2)</script><img src=x onerror="alert(3)"> Quillfeather heist',
    text=(
        "**Bob** planned it, [a link](https://evil.example/x) says. "
        "![i](https://evil.example/p.png) `${alert(4)}` {{alert}} $x^2$\n\n"
        f'{LOOT}\n\n<img src="https://evil.example/q.png" onerror="alert(5)"> '
        '<script src="https://evil.example/s.js"></script>'
    ),
    source="<iframe src=https://evil.example></iframe>",
    url="javascript:alert(6)",
    published=date(2024, 1, 1),
)
LAMP_QUESTION = "Who replaced the lamp of the Tamarisk lighthouse?"


class Model:
    """An OpenAI-compatible endpoint that repeats the first evidence, once `release` is set."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.prompts: list[str] = []
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                model.prompts.append(body["messages"][-1]["content"])
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                model.release.wait(60)
                with suppress(OSError):  # the chat may have been stopped
                    self.wfile.write(_reply(model.prompts[-1]))

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


def _reply(prompt: str) -> bytes:
    first = re.search(r"\[1\] (.*)", prompt)
    words = f"{first[1] if first else 'Nothing.'} [1]"
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    deltas = [{"role": "assistant", "content": words}, {}]
    lines = [
        json.dumps({**chunk, "choices": [{"index": 0, "delta": d, "finish_reason": end}]})
        for d, end in zip(deltas, (None, "stop"), strict=True)
    ]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


@contextmanager
def served(archive: Archive, wording: bool = True) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    page = app.start(archive, port=port, wording=wording)
    try:
        yield str(page.local_url)
    finally:
        page.close(verbose=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat") / "archive"
    with Archive.open(path, Settings()) as archive:
        report = archive.ingest(CORPUS, LIGHTHOUSE, HOSTILE)
        assert not report.failures
    return path


@pytest.fixture(scope="module")
def archive(folder: Path) -> Iterator[Archive]:
    with Archive.open(folder, Settings()) as archive:
        yield archive


@pytest.fixture(scope="module")
def quoting(archive: Archive) -> Iterator[str]:
    """The address of a chat without a language model."""
    with served(archive, wording=False) as url:
        yield url


@pytest.fixture
def model() -> Iterator[Model]:
    model = Model()
    yield model
    model.close()


@pytest.fixture
def wording(folder: Path, model: Model) -> Iterator[str]:
    """The address of a chat with the stand-in model."""
    settings = Settings(model=model.url, model_name="fake")
    with Archive.open(folder, settings) as archive, served(archive) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed; set CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Open an address in a fresh session; what must never happen is collected and checked."""
    contexts, wrong = [], []

    def go(url: str, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(MS)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith((url, "data:", "blob:")) or wrong.append(r.url),
        )
        page.goto(url)
        expect(page.locator(".nr-welcome")).to_be_visible(timeout=MS)
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def ask(page: Page, question: str) -> None:
    page.get_by_label("Question").fill(question)
    page.get_by_label("Question").press("Enter")
    expect(page.locator(".nr-turn").last).to_contain_text(question, timeout=MS)


def done(page: Page) -> None:
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible(timeout=4 * MS)


def check_highlight(page: Page, quote: str) -> None:
    mark = page.locator("#nr-mark")
    expect(mark).to_be_in_viewport(timeout=MS)
    assert mark.text_content() == quote


def test_a_citation_opens_the_article_at_the_quote(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    card = page.locator(".nr-card").first
    for part in (LIGHTHOUSE.title, "Callow Herald", "9 March 2024", LAMP):
        expect(card).to_contain_text(part)
    page.locator(".nr-cite").first.click()
    check_highlight(page, LAMP)
    shown = page.locator(".nr-article")
    expect(shown.get_by_role("heading")).to_have_text(LIGHTHOUSE.title)
    expect(shown.get_by_role("link")).to_have_attribute("href", "https://callow.example/lamp")
    assert page.locator(".nr-text").text_content() == LIGHTHOUSE.text
    assert page.locator("#nr-left").bounding_box()["x"] < 720 <= shown.bounding_box()["x"]


def test_the_same_citation_scrolls_back_to_its_place(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    for _ in range(2):
        page.locator(".nr-cite").first.click()
        check_highlight(page, LAMP)
        page.locator(".nr-back").scroll_into_view_if_needed()
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
    page.get_by_role("button", name="Back to the answer").press(key)
    expect(citation.first).to_be_focused()


def test_on_a_phone_the_article_comes_below(visit: Open, quoting: str) -> None:
    page = visit(quoting, 390, 844)
    ask(page, LAMP_QUESTION)
    done(page)
    page.locator(".nr-cite").first.click()
    check_highlight(page, LAMP)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Back to the answer").click()
    expect(page.locator(".nr-cite").first).to_be_in_viewport()


def test_a_hostile_article_is_shown_as_text(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, "How large was the Quillfeather heist loot?")
    done(page)
    expect(page.locator(".nr-card").first).to_contain_text(HOSTILE.title)
    page.locator(".nr-title").first.click()
    expect(page.locator("#nr-mark")).to_be_visible(timeout=MS)
    assert page.locator(".nr-text").text_content() == HOSTILE.text
    assert page.locator(".nr-article h2").text_content() == HOSTILE.title
    assert page.locator(".nr-article .nr-url").text_content() == HOSTILE.url
    for inside in ("a", "img", "script", "iframe", "b", "strong", "em", "code"):
        assert page.locator(f"#nr-panes .html-container {inside}").count() == 0


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
    citation = page.locator(".nr-cite").first
    citation.evaluate("(button, [name, value]) => { button.dataset[name] = value }", [name, value])
    citation.click()
    expect(page.locator("#nr-article .nr-error")).to_contain_text(told, timeout=MS)
    assert page.locator("#nr-mark").count() == 0


def test_an_abstention_lists_the_closest_passages(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, "Who won the chess boxing final in Lisbon?")
    done(page)
    turn = page.locator(".nr-turn")
    expect(turn).to_contain_text("The archive does not say.")
    expect(turn).to_contain_text("Closest passages")
    assert page.locator(".nr-cite, .nr-number").count() == 0
    page.locator(".nr-title").first.click()
    expect(page.locator("#nr-mark")).to_be_visible(timeout=MS)


def test_an_example_is_asked_and_a_new_conversation_starts(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    example = page.locator(".nr-example").first
    question = example.text_content()
    example.click()
    expect(page.locator("h2.nr-question")).to_have_text(question or "-", timeout=MS)
    done(page)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".nr-welcome")).to_be_visible(timeout=MS)
    assert page.locator(".nr-turn").count() == 0


def test_a_follow_up_is_understood_from_the_conversation(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    ask(page, "And when did she do it?")
    done(page)
    last = page.locator(".nr-turn").last
    expect(last).to_contain_text("Understood as:")
    expect(last).to_contain_text("Tamarisk")
    expect(last.get_by_role("heading")).to_be_in_viewport()


def test_two_readers_do_not_see_each_other(visit: Open, quoting: str) -> None:
    first, second = visit(quoting), visit(quoting)
    ask(first, LAMP_QUESTION)
    ask(second, "How large was the Quillfeather heist loot?")
    done(first)
    done(second)
    expect(first.locator(".nr-turn")).to_have_count(1)
    expect(second.locator(".nr-turn")).to_have_count(1)
    expect(first.locator(".nr-talk")).not_to_contain_text("Quillfeather")


def test_the_quotes_stand_before_the_model_has_said_a_word(
    visit: Open, wording: str, model: Model
) -> None:
    page = visit(wording)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_contain_text(LAMP, timeout=MS)
    expect(page.locator(".nr-status")).to_have_text("Evidence found – wording it…")
    page.locator(".nr-cite").first.click()
    check_highlight(page, LAMP)
    model.release.set()
    expect(page.locator(".nr-answer")).to_contain_text(LAMP, timeout=MS)
    done(page)
    assert page.locator(".nr-quotes, .nr-status").count() == 0


def test_stop_keeps_what_is_shown_and_the_next_question_works(
    visit: Open, wording: str, model: Model
) -> None:
    page = visit(wording)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_be_visible(timeout=MS)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped.")).to_be_visible(timeout=MS)
    done(page)
    expect(page.locator(".nr-quotes")).to_contain_text(LAMP)
    model.release.set()
    ask(page, "How large was the Quillfeather heist loot?")
    expect(page.locator(".nr-turn").last.locator(".nr-answer")).to_be_visible(timeout=MS)
    done(page)
    expect(page.locator(".nr-turn").first).to_contain_text("Stopped.")


def test_a_model_that_is_away_leaves_a_note(visit: Open, folder: Path) -> None:
    away = Settings(model="http://127.0.0.1:9/v1", model_name="none")
    with Archive.open(folder, away) as archive, served(archive) as url:
        page = visit(url)
        ask(page, LAMP_QUESTION)
        done(page)
        expect(page.locator(".nr-answer")).to_contain_text(LAMP)
        expect(page.locator(".nr-note")).to_contain_text("cannot be reached")


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


def test_an_empty_archive_says_how_to_fill_it(visit: Open, tmp_path: Path) -> None:
    with Archive.open(tmp_path / "empty", Settings()) as archive, served(archive) as url:
        page = visit(url)
        expect(page.locator(".nr-welcome")).to_contain_text("newsrag ingest")
        assert page.locator(".nr-example").count() == 0


def test_a_port_in_use_is_one_sentence(archive: Archive) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(NewsragError, match="choose another port"):
            app.start(archive, port=taken.getsockname()[1])


def test_the_local_model_words_the_answer(visit: Open, archive: Archive) -> None:
    with served(archive) as url:
        page = visit(url)
        ask(page, "why is Kim boosting production?")
        expect(page.locator(".nr-quotes")).to_be_visible(timeout=4 * MS)
        done(page)
        turn = page.locator(".nr-turn")
        expect(turn.locator(".nr-answer")).to_be_visible()
        assert page.locator(".nr-note").count() == 0
        quote = turn.locator(".nr-card blockquote").first.text_content()
        turn.locator(".nr-cite").first.click()
        check_highlight(page, quote or "-")
