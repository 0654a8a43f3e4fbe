"""Make the README's picture from the real page.

    python tests/screenshot.py ARCHIVE PICTURE

ARCHIVE holds `corpus/`; the local language model words the answer.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from rag import Archive
from ui.server import start

QUESTION = "why is Kim boosting production?"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
TIMEOUT_MS = 180_000


def main(folder: str, picture: str) -> None:
    """Ask, open the first citation, and photograph the page."""
    Path(picture).parent.mkdir(parents=True, exist_ok=True)
    with Archive.open(folder, create=False) as archive, sync_playwright() as playwright:
        page = start(archive, port=7869)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        view = browser.new_page(viewport={"width": 1280, "height": 760})
        view.set_default_timeout(TIMEOUT_MS)
        view.goto(page.url)
        view.get_by_label("Question", exact=True).fill(QUESTION)
        view.get_by_label("Question", exact=True).press("Enter")
        view.locator(".nr-answer .nr-cite").first.wait_for()
        view.locator("#nr-latest .nr-actions").wait_for()
        view.locator(".nr-cite").first.click()
        view.locator("#nr-mark").wait_for()
        view.wait_for_timeout(500)
        view.screenshot(path=picture)
        browser.close()
        page.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
