"""Answers that a language model words, in a real browser: while they come, stopped, gone back to.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag import Archive, Settings

from .chat_page import BOTH, MS, Open, View, ask, check_highlight, done, drawer, expect, photograph
from .serving import LAMP, LAMP_QUESTION, forget, served


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
    first = re.search(r"\[1\] (?:\(.*\) )?(.*)", prompt)  # without its title, which may have ")"
    words = f"{first[1] if first else 'Nothing.'} [1]"
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "fake"}
    deltas = [{"role": "assistant", "content": words}, {}]
    lines = [
        json.dumps({**chunk, "choices": [{"index": 0, "delta": d, "finish_reason": end}]})
        for d, end in zip(deltas, (None, "stop"), strict=True)
    ]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Model]:
    model = Model()
    yield model
    model.close()


@pytest.fixture(scope="module")
def archive(folder: Path, stand_in: Model) -> Iterator[Archive]:
    """An archive with the stand-in model, which refuses nothing: other tests are about that."""
    settings = Settings(model=stand_in.url, model_name="fake", accepted_error=1)
    with Archive.open(folder, settings) as archive:
        yield archive


@pytest.fixture(scope="module")
def address(archive: Archive) -> Iterator[str]:
    with served(archive) as url:
        yield url


@pytest.fixture
def model(stand_in: Model) -> Iterator[Model]:
    """The stand-in model, which says nothing until it is let go."""
    stand_in.release.clear()
    yield stand_in
    stand_in.release.set()


@pytest.fixture
def wording(archive: Archive, address: str, model: Model) -> str:
    """The address of a chat with the stand-in model, in which nothing is saved yet."""
    forget(archive)
    return address


@BOTH
def test_the_quotes_stand_before_the_model_has_said_a_word(
    visit: Open, wording: str, model: Model, view: View
) -> None:
    page = visit(wording, *view)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_contain_text(LAMP)
    expect(page.locator(".nr-status")).to_have_text("Evidence found – wording it…")
    photograph(page, "evidence-before-words")
    expect(page.locator("#nr-sources .nr-card").first).to_contain_text(LAMP)
    page.locator(".nr-cite").first.click()
    check_highlight(page, LAMP)
    model.release.set()
    expect(page.locator(".nr-answer")).to_contain_text(LAMP)
    done(page)
    assert page.locator(".nr-quotes, .nr-busy").count() == 0
    check_highlight(page, LAMP)  # what was opened meanwhile stays open


@BOTH
@pytest.mark.parametrize("by_key", [False, True], ids=["button", "key"])
def test_stop_keeps_what_is_shown_and_the_next_question_works(
    visit: Open, wording: str, model: Model, by_key: bool, view: View
) -> None:
    page = visit(wording, *view)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_be_visible()
    if by_key:
        page.keyboard.press("Escape")
    else:
        page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    done(page)
    expect(page.locator(".nr-answer")).to_contain_text(LAMP)
    model.release.set()
    ask(page, "How large was the Quillfeather heist loot?")
    expect(page.locator(".nr-turn").last.locator(".nr-answer")).to_be_visible()
    done(page)
    expect(page.locator(".nr-turn").first).to_contain_text("Stopped.")


@BOTH
def test_a_reload_in_the_midst_of_an_answer_loses_nothing(
    visit: Open, wording: str, model: Model, view: View
) -> None:
    page = visit(wording, *view)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_be_visible()
    page.reload()
    expect(page.locator(".nr-quotes")).to_contain_text(LAMP)
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    second = visit(page.url, *view)
    expect(second.locator(".nr-quotes")).to_contain_text(LAMP)
    model.release.set()
    for reader in (page, second):
        done(reader)
        expect(reader.locator(".nr-answer")).to_contain_text(LAMP)


@BOTH
def test_an_answer_goes_on_while_another_conversation_is_read(
    visit: Open, wording: str, model: Model, view: View
) -> None:
    page = visit(wording, *view)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_be_visible()
    drawer(page)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".nr-welcome")).to_be_visible()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    model.release.set()
    drawer(page)
    page.locator(".nr-open-kept").click()
    done(page)
    expect(page.locator(".nr-answer")).to_contain_text(LAMP)


@BOTH
def test_nothing_jumps_while_an_answer_streams_in(
    visit: Open, wording: str, model: Model, view: View
) -> None:
    page = visit(wording, *view)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_be_visible()
    page.evaluate("""() => {
      window.shifts = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.shifts += entry.value;
      }).observe({ type: "layout-shift", buffered: false });
    }""")
    model.release.set()
    done(page)
    assert page.evaluate("window.shifts") < 0.01


def test_a_model_that_is_away_leaves_a_note(visit: Open, folder: Path) -> None:
    away = Settings(model="http://127.0.0.1:9/v1", model_name="none")
    with Archive.open(folder, away) as archive, served(archive) as url:
        page = visit(url)
        ask(page, LAMP_QUESTION)
        done(page)
        expect(page.locator(".nr-answer")).to_contain_text(LAMP)
        expect(page.locator(".nr-note")).to_contain_text("cannot be reached")


def test_the_local_model_words_the_answer(visit: Open, folder: Path) -> None:
    with Archive.open(folder, Settings()) as archive, served(archive) as url:
        page = visit(url)
        ask(page, "why is Kim boosting production?")
        expect(page.locator(".nr-quotes")).to_be_visible(timeout=4 * MS)
        done(page)
        turn = page.locator(".nr-turn")
        expect(turn.locator(".nr-answer")).to_be_visible()
        assert page.locator(".nr-note").count() == 0
        quote = page.locator("#nr-sources .nr-card blockquote").first.text_content()
        turn.locator(".nr-cite").first.click()
        check_highlight(page, quote or "-")
