"""Measure what a reader waits for on the real page, in Chromium, beside what the archive takes.

    python tests/latency.py [--questions 20]

From pressing Enter to the first quoted evidence, against `Archive.ask(wording=False)` in the same
process; and from a click on a citation to its mark in view, in an article of 18,000 words. The
archive is made of `corpus/` and that article.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from eval.datasets import load_questions
from rag import Archive, Article
from ui.server import start

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
OPENINGS = 10
MOST_TO_EVIDENCE, MOST_TO_OPEN = 150, 300
WORDS = 18_000
LONG_QUESTION = "What did the dredging of Callow harbour cost?"

PARAGRAPH = "The harbour of Callow was dredged again this spring, as in every spring before. " * 8
COST = "The dredging of Callow harbour cost 41,000 crowns."
LONG = Article(
    "long",
    "How Callow harbour was dredged",
    f"{PARAGRAPH}\n\n" * (1 + WORDS // len(PARAGRAPH.split())) + f"{COST} It was loud.",
    "Callow Herald",
    published=date(2024, 3, 9),
)

CLOCK = """([begins, shown]) => {
  window.took = new Promise((told) => {
    let began = 0;
    const begin = (event) => {
      if (event.type === "keydown" && event.key !== "Enter") return;
      began ||= performance.now();
    };
    document.addEventListener(begins, begin, { capture: true });
    const look = () => {
      const found = began && document.querySelector(shown);
      if (!found || !found.getClientRects().length) return;
      const { top, bottom } = found.getBoundingClientRect();
      if (bottom < 0 || top > innerHeight) return;
      watching.disconnect();
      document.removeEventListener(begins, begin, { capture: true });
      // painted: the frame that has it was drawn
      requestAnimationFrame(() => setTimeout(() => told(performance.now() - began)));
    };
    const watching = new MutationObserver(look);
    watching.observe(document.body, { subtree: true, childList: true, attributes: true });
    document.addEventListener("scroll", look, { capture: true, passive: true });
  });
}"""
"""Starts a clock that runs from an event (`begins`) until `shown` is in view and was painted."""


def main() -> int:
    """Print both waits; 1 when one of them is too long."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--questions", type=int, default=20)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Archive.open(Path(folder) / "archive") as archive,
        sync_playwright() as driver,
    ):
        archive.ingest(ROOT / "corpus", LONG)
        known = load_questions(ROOT / "eval" / "sets" / "corpus.jsonl", archive.articles())
        found = (q.question for q in known.questions if answered(archive, q.question))
        asked = list(islice(found, given.questions))
        server = start(archive, port=0, wording=False)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(server.url)
            page.locator(".nr-welcome").wait_for()
            evidence(page, archive, asked[-1])  # what is loaded at the first use
            pairs = [evidence(page, archive, question) for question in asked]
            opened = openings(page)
        finally:
            browser.close()
            server.close()
    ours, bare = (median(times) for times in zip(*pairs, strict=True))
    more = median(ours - bare for ours, bare in pairs)
    opening = median(opened)
    print(f"Enter to the first quote, p50 of {len(pairs)}: {ours:.0f} ms on the page")
    print(f"Archive.ask(wording=False), p50 of the same: {bare:.0f} ms")
    print(f"the page takes {more:.0f} ms more, {ours / bare:.2f} times as long")
    words = len(LONG.text.split())
    print(f"click to mark in {words:,} words, p50 of {len(opened)}: {opening:.0f} ms")
    return int(more > MOST_TO_EVIDENCE or opening > MOST_TO_OPEN)


def answered(archive: Archive, question: str) -> bool:
    return archive.ask(question, wording=False).status == "answered"


def evidence(page: Page, archive: Archive, question: str) -> tuple[float, float]:
    """Milliseconds to the first quote of an answer on the page, and those of the archive alone."""
    ours = on_page(page, question)
    began = time.perf_counter()
    archive.ask(question, wording=False)
    return ours, 1000 * (time.perf_counter() - began)


def on_page(page: Page, question: str) -> float:
    """Milliseconds to the first quote of an answer in a new conversation."""
    page.get_by_role("button", name="New conversation").click()
    page.locator(".nr-welcome").wait_for()
    page.wait_for_timeout(300)
    box = page.get_by_label("Question", exact=True)
    box.fill(question)
    took = timed(page, "keydown", ".nr-stage :is(blockquote, p)", lambda: box.press("Enter"))
    page.locator("#nr-latest .nr-actions").wait_for()
    page.get_by_role("button", name="Ask", exact=True).wait_for()
    return took


def openings(page: Page) -> list[float]:
    """Milliseconds to the mark of a citation in the long article, opened again and again."""
    on_page(page, LONG_QUESTION)
    told = page.locator("#nr-latest .nr-sentence", has_text=COST)
    times = []
    for _ in range(OPENINGS):
        marker = told.locator(".nr-cite").first
        times.append(timed(page, "click", "#nr-mark", marker.click))
        assert COST in (page.locator("#nr-mark").text_content() or "")
        page.get_by_role("button", name="Back to the sources").click()
        page.locator("#nr-sources .nr-card").first.wait_for()
    return times


def timed(page: Page, begins: str, shown: str, act: Callable[[], Any]) -> float:
    page.evaluate(CLOCK, [begins, shown])
    act()
    return float(page.evaluate("window.took"))


if __name__ == "__main__":
    sys.exit(main())
