"""What the browser tests of the chat share: gestures, and what they look for."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pytest
from conftest import ROOT

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
PICTURES = Path(os.environ.get("NEWSRAG_SCREENSHOTS") or ROOT / "build" / "screenshots")
MS = 60_000
"""How long anything may take, on a machine that is busy with other things."""
expect.set_options(timeout=MS)

View = tuple[int, int, str]
"""Width, height and mode of a page, as `visit` takes them."""
BOTH = pytest.mark.parametrize(
    "view", [(1440, 900, "light"), (390, 844, "dark")], ids=["wide", "phone"]
)


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


def search(page: Page, words: str) -> None:
    page.get_by_role("textbox", name="Search titles").fill(words)
    page.get_by_role("textbox", name="Search titles").press("Enter")


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
