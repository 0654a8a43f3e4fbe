"""What the browser tests of the chat share: articles, a stand-in model, a server, and gestures."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pytest

from rag import Archive, Article, Citation
from ui import server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page, expect = playwright.Browser, playwright.Page, playwright.expect

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
ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "corpus"
PICTURES = Path(os.environ.get("NEWSRAG_SCREENSHOTS") or ROOT / "build" / "screenshots")
MS = 60_000
"""How long anything may take, on a machine that is busy with other things."""
expect.set_options(timeout=MS)

View = tuple[int, int, str]
"""Width, height and mode of a page, as `visit` takes them."""
BOTH = pytest.mark.parametrize(
    "view", [(1440, 900, "light"), (390, 844, "dark")], ids=["wide", "phone"]
)

LAMP = "Engineer Odile Brandt replaced the lamp of the Tamarisk lighthouse in March."
LIGHTHOUSE = Article(
    id="lighthouse",
    title="Tamarisk lighthouse 🗼 has a new lamp",
    text="\n\n".join([f"Paragraph {n} is about the weather." for n in range(60)] + [LAMP, "End."]),
    source="Callow Herald",
    url="https://callow.example/lamp",
    published=date(2024, 3, 9),
)
LAMP_CITATION = Citation(
    LIGHTHOUSE, LIGHTHOUSE.text.index(LAMP), LIGHTHOUSE.text.index(LAMP) + len(LAMP)
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
    first = re.search(r"\[1\] (?:\(.*\) )?(.*)", prompt)  # without its title, which may have ")"
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
    page = server.start(archive, port=0, wording=wording)
    try:
        yield page.url
    finally:
        page.close()


@contextmanager
def launched() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("chromium is not installed; set CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


Open = Callable[..., Page]

_QUEUE = "/gradio_api/queue/"
_UNDER_WAY: WeakKeyDictionary[Page, set[Any]] = WeakKeyDictionary()
"""Requests of each page that are not over: what is sent to the server, and what it streams back."""


def watch_requests(page: Page) -> None:
    under_way = _UNDER_WAY[page] = set()

    def over(request: Any) -> None:  # Playwright takes no built-in function
        under_way.discard(request)

    page.on("request", lambda one: _QUEUE in one.url and under_way.add(one))
    page.on("requestfinished", over)
    page.on("requestfailed", over)


def settled(page: Page) -> None:
    """Wait until the server has said all: who leaves before breaks a stream off.

    Gradio's client then writes an error to the console, of a page that nobody sees any more.
    """
    end = time.monotonic() + MS / 1000
    while _UNDER_WAY[page]:
        assert time.monotonic() < end, [one.url for one in _UNDER_WAY[page]]
        page.wait_for_timeout(20)


@contextmanager
def visiting(browser: Browser) -> Iterator[Open]:
    """Opens an address in a fresh session; at the end, nothing must have gone wrong in any."""
    contexts, wrong = [], []

    def go(
        url: str,
        width: int = 1440,
        height: int = 900,
        scheme: str = "light",
        shows: str = "#nr-latest :is(.nr-welcome, .nr-turn)",
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, **options
        )
        context.set_default_timeout(MS)
        contexts.append(context)
        page = context.new_page()
        watch_requests(page)
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        home = urlsplit(url)._replace(path="/", query="").geturl()
        page.on(
            "request",
            lambda r: r.url.startswith((home, "data:", "blob:")) or wrong.append(r.url),
        )
        page.goto(url)
        expect(page.locator(shows)).to_be_visible()
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def ask(page: Page, question: str, shown: str = "") -> None:
    """Ask what is then shown as the question, by default as it was typed."""
    box = page.get_by_label("Question", exact=True)
    box.fill(question)
    box.press("Enter")
    expect(box).to_have_value("")
    expect(page.locator(".nr-turn").last).to_contain_text(shown or question)


def done(page: Page) -> None:
    """Wait for the end of the answer under way."""
    expect(page.locator("#nr-latest .nr-actions")).to_be_visible(timeout=4 * MS)
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


def drawer(page: Page) -> None:
    """Open the saved conversations, where they are not open."""
    if not page.locator("#nr-sidebar.open").count():
        page.get_by_role("button", name="Toggle Sidebar").click()
    expect(page.get_by_label("Search conversations")).to_be_in_viewport()


def to_sources(page: Page) -> None:
    """Show the sources of the latest answer, where the conversation covers them."""
    if page.locator("#nr-right").is_hidden():
        page.locator("#nr-latest .nr-to-sources").first.click()


def forget(archive: Archive) -> None:
    """Delete what is saved, for the next test."""
    kept = archive.conversations()
    for one in kept.list():
        kept.delete(one.id)


def check_highlight(page: Page, quote: str) -> None:
    mark = page.locator("#nr-mark")
    expect(mark).to_have_text(quote)  # not the mark of an article opened before
    expect(mark).to_be_in_viewport()
    assert mark.text_content() == quote


def photograph(page: Page, name: str) -> None:
    """Keep a picture of the page, named after its width and mode too, among those of the CI."""
    mode = "dark" if page.locator("body.dark").count() else "light"
    file = PICTURES / f"{name}-{page.viewport_size['width']}-{mode}.png"
    page.screenshot(path=file, animations="disabled")
