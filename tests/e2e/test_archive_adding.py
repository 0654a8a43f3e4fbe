"""Adding to the archive on its page, in a real browser: files, a form, addresses.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag import Archive, IngestReport

from .chat_page import BOTH, MS, Open, Page, View, expect, photograph, search

STORY = "<html><head><title>Kiln reopens</title></head><body><article>{}</article></body></html>"


@pytest.fixture
def dropping(editable: Archive) -> Iterator[None]:
    """What the test adds is gone after it."""
    before = {article.id for article in editable.articles()}
    yield
    for article in editable.articles():
        if article.id not in before:
            editable.delete(article.id)


@pytest.fixture
def site() -> Iterator[str]:
    """The address of an article on the web."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told = "".join(f"<p>The kiln fired its first {n} pots on Sunday.</p>" for n in range(9))
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(STORY.format(told).encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/kiln"
    server.shutdown()
    server.server_close()


def drop(page: Page, *paths: Path) -> None:
    page.locator("#nr-files input[type=file]").set_input_files([str(path) for path in paths])


def ended(page: Page, told: str) -> None:
    expect(page.locator("#nr-progress .nr-status")).to_have_text(told, timeout=4 * MS)


@BOTH
def test_files_are_added_and_each_failure_has_a_line(
    archive_page: Open, editable: Archive, tmp_path: Path, dropping: None, view: View
) -> None:
    good = tmp_path / "<img src=x onerror=alert(1)>.jsonl"
    records = [{"title": f"Gannet {n}", "text": f"Gannet {n} flew."} for n in range(3)]
    good.write_text("\n".join([*map(json.dumps, records), "{broken"]), encoding="utf-8")
    bad = tmp_path / "photo.png"
    bad.write_bytes(b"\x89PNG")
    page = archive_page("", *view)
    before = editable.status().articles
    drop(page, good, bad)
    ended(page, "Done: 3 added, 2 failed.")
    lines = page.locator(".nr-failures li").all_text_contents()
    assert re.match(r".+\.jsonl:4: is not JSON", lines[0])
    assert re.match(r"photo\.png: is none of the supported kinds", lines[1])
    expect(page.locator("#nr-archive-head")).to_contain_text(str(before + 3))
    expect(page.locator("#nr-by-outlet svg")).to_contain_text("(none)")
    search(page, "gannet flew")
    expect(page.locator(".nr-count")).to_have_text("3 articles found")
    assert page.locator("#nr-archive img, #nr-archive script").count() == 0
    photograph(page, "archive-added")


DROP = """(place, files) => {
  const data = new DataTransfer();
  for (const [name, words] of files) data.items.add(new File([words], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const options = { dataTransfer: data, bubbles: true, cancelable: true };
    place.dispatchEvent(new DragEvent(kind, options));
  }
}"""


@BOTH
def test_dropped_files_are_told_one_by_one_while_they_are_read(
    archive_page: Open,
    editable: Archive,
    monkeypatch: pytest.MonkeyPatch,
    dropping: None,
    view: View,
) -> None:
    go_on = threading.Semaphore(0)
    ingest = editable.ingest

    def slow(given: Path, **options: Any) -> IngestReport:
        try:
            return ingest(given, **options)
        finally:
            go_on.acquire(timeout=MS / 1000)

    page = archive_page("", *view)
    monkeypatch.setattr(editable, "ingest", slow)
    files = [("first.txt", "A first tern."), ("bad.png", "no"), ("third.txt", "A third tern.")]
    page.locator("#nr-files button").first.evaluate(DROP, files)
    told = page.locator("#nr-progress .nr-status")
    expect(told).to_have_text("Reading first.txt (1 of 3): 1 added.")
    expect(page.locator("#nr-progress progress")).to_have_attribute("value", "0")
    go_on.release()
    expect(told).to_contain_text("Reading bad.png (2 of 3)")
    go_on.release()
    expect(told).to_have_text("Reading third.txt (3 of 3): 2 added, 1 failed.")
    expect(page.locator(".nr-failures li")).to_have_text(re.compile(r"bad\.png: is none of the"))
    photograph(page, "archive-adding")
    go_on.release()
    ended(page, "Done: 2 added, 1 failed.")


def test_uploads_do_not_stay(archive_page: Open, tmp_path: Path, dropping: None) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Nobody keeps this note of 4711 words.", encoding="utf-8")
    page = archive_page()
    with page.expect_response(re.compile("/upload\\?")) as sent:
        drop(page, note)
    (kept,) = map(Path, sent.value.json())
    ended(page, "Done: 1 added.")
    assert kept.name == "note.txt"
    assert not kept.parent.exists()


@BOTH
def test_a_pasted_article_is_added_and_the_form_is_emptied(
    archive_page: Open, editable: Archive, dropping: None, view: View
) -> None:
    page = archive_page("", *view)
    page.get_by_role("tab", name="Paste").click()
    title = page.get_by_label("Title", exact=True)
    title.fill("Otters <i>return</i>")
    page.get_by_label("Outlet", exact=True).fill("River Post")
    page.get_by_label("Date", exact=True).fill("1 <b>March</b>")
    page.get_by_label("Text", exact=True).fill("Nine otters were counted.")
    page.get_by_role("button", name="Add this article").click()
    expect(page.locator("#nr-progress .nr-error")).to_have_text(
        '"1 <b>March</b>" is not a day such as 2024-03-09.'
    )
    page.get_by_label("Date", exact=True).fill("2024-03-01")
    page.get_by_role("button", name="Add this article").click()
    ended(page, "Done: 1 added.")
    expect(title).to_have_value("")
    (stored,) = editable.find("otters counted")
    assert (stored.title, stored.source) == ("Otters <i>return</i>", "River Post")
    assert (stored.published, stored.text) == (date(2024, 3, 1), "Nine otters were counted.")


@BOTH
def test_addresses_are_fetched_and_added(
    archive_page: Open, editable: Archive, site: str, dropping: None, view: View
) -> None:
    page = archive_page("", *view)
    page.get_by_role("tab", name="Web address").click()
    lines = page.get_by_label("Addresses of articles")
    lines.fill(f"{site}\n/etc/passwd\njavascript:alert(1)")
    page.get_by_role("button", name="Fetch and add").click()
    ended(page, "Done: 1 added, 2 failed.")
    assert page.locator(".nr-failures li").all_text_contents() == [
        "/etc/passwd: is not a web address (http or https)",
        "javascript:alert(1): is not a web address (http or https)",
    ]
    (stored,) = editable.find("kiln pots")
    assert stored.url == site
