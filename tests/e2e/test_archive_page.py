"""The page about the archive in a real browser, on a real archive.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from chat_page import CORPUS, HOSTILE, MS, Browser, Page, expect, launched, photograph, served
from filelock import FileLock

from rag import Archive, Article, Settings

# Gradio's queue counts its events with an option that pandas is about to drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:SSR mode is not supported with multi-page apps"),
]

BOTH_WIDTHS = pytest.mark.parametrize("width, height", [(1440, 900), (390, 844)])
STORY = "<html><head><title>Kiln reopens</title></head><body><article>{}</article></body></html>"

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "archive"


@pytest.fixture(scope="module")
def archive(folder: Path) -> Iterator[Archive]:
    with Archive.open(folder, Settings(allow_private_urls=True)) as archive:
        assert not archive.ingest(CORPUS, HOSTILE).failures
        yield archive


@pytest.fixture(scope="module")
def address(archive: Archive) -> Iterator[str]:
    with served(archive, wording=False) as url:
        yield url.rstrip("/")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Open the page in a fresh session; what must never happen is collected and checked."""
    contexts, wrong = [], []

    def go(query: str = "", *, width: int = 1440, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        context.set_default_timeout(MS)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith((address, "data:", "blob:")) or wrong.append(r.url),
        )
        page.goto(f"{address}/archive{query}")
        expect(page.locator(".nr-count")).to_be_attached(timeout=MS)
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def extra(archive: Archive) -> Iterator[Article]:
    """An article that a test may delete."""
    article = Article("extra", "Extra pelican", "A pelican stood still.", "Extra Post")
    archive.ingest(article)
    yield article
    if any(held.id == article.id for held in archive.articles()):
        archive.delete(article.id)


@pytest.fixture
def dropping(archive: Archive) -> Iterator[None]:
    """What the test adds is gone after it."""
    before = {article.id for article in archive.articles()}
    yield
    for article in archive.articles():
        if article.id not in before:
            archive.delete(article.id)


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


def fact(page: Page, name: str, where: str) -> str:
    found = page.locator(f"{where} dl > div", has=page.get_by_text(name, exact=True))
    return found.locator("dd").text_content() or ""


def search(page: Page, words: str) -> None:
    page.get_by_role("textbox", name="Search titles").fill(words)
    page.get_by_role("textbox", name="Search titles").press("Enter")


def drop(page: Page, *paths: Path) -> None:
    page.locator("#nr-files input[type=file]").set_input_files([str(path) for path in paths])


def ended(page: Page, told: str) -> None:
    expect(page.locator("#nr-progress .nr-status")).to_have_text(told, timeout=4 * MS)


@BOTH_WIDTHS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_says_and_plots_what_is_in_the_archive(
    visit: Visit, archive: Archive, width: int, height: int, scheme: str
) -> None:
    page = visit(width=width, height=height, scheme=scheme)
    status = archive.status()
    expect(page.get_by_role("heading", level=1)).to_have_text("Archive")
    assert fact(page, "Articles", "#nr-archive-head") == str(status.articles)
    assert fact(page, "First day", "#nr-archive-head") == "17 January 2023"
    assert fact(page, "Last day", "#nr-archive-head") == "4 June 2024"
    for plot, label in (("#nr-by-time", "2023-08"), ("#nr-by-outlet", "Port Ellery Beacon")):
        expect(page.locator(f"{plot} svg")).to_contain_text(label, timeout=MS)
        marks = page.locator(f"{plot} svg .mark-rect path")
        photograph(page, "archive-plots")
        page.locator(f"{plot}-table summary").click()
        rows = page.locator(f"{plot}-table tbody tr")
        assert rows.count() == marks.count()
        counts = rows.locator("td").all_text_contents()
        assert sum(map(int, counts)) == status.articles - (status.undated if "time" in plot else 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_latest_come_first_and_more_can_be_shown(visit: Visit, archive: Archive) -> None:
    page = visit()
    titles = [article.title for article in archive.articles()]
    expect(page.locator(".nr-count")).to_have_text("Latest articles")
    assert page.locator(".nr-entry .nr-title").all_text_contents() == titles[:20]
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".nr-entry")).to_have_count(len(titles), timeout=MS)
    assert page.locator(".nr-entry .nr-title").all_text_contents() == titles
    assert page.get_by_role("button", name="Show more").count() == 0


def test_articles_are_found_by_words_outlet_and_days(visit: Visit, archive: Archive) -> None:
    page = visit()
    search(page, "harbor bridge")
    expect(page.locator(".nr-count")).to_have_text(re.compile("found$"), timeout=MS)
    found = [article.title for article in archive.find("harbor bridge", 20)]
    assert page.locator(".nr-entry .nr-title").all_text_contents() == found
    page.get_by_label("Outlets").click()
    page.get_by_role("option", name="Ellery Bay Radio").click()
    narrowed = archive.find("harbor bridge", source="Ellery Bay Radio")
    assert 0 < len(narrowed) < len(found)
    expect(page.locator(".nr-entry")).to_have_count(len(narrowed), timeout=MS)
    page.get_by_label("From day, as year-month-day").fill("2024-06-04")
    page.get_by_label("From day, as year-month-day").press("Enter")
    expect(page.locator(".nr-count")).to_have_text("No article found", timeout=MS)
    page.get_by_label("From day, as year-month-day").fill("2024-06-03")
    page.get_by_label("From day, as year-month-day").press("Enter")
    expect(page.locator(".nr-count")).to_have_text("1 article found", timeout=MS)
    page.get_by_label("To day, as year-month-day").fill("2024-06-02")
    page.get_by_label("To day, as year-month-day").press("Enter")
    expect(page.locator(".nr-count")).to_have_text("No article found", timeout=MS)


@BOTH_WIDTHS
def test_an_article_opens_with_its_data_and_passages_and_can_be_left(
    visit: Visit, archive: Archive, width: int, height: int
) -> None:
    page = visit(width=width, height=height)
    search(page, "wind turbines")
    expect(page.locator(".nr-count")).to_have_text(re.compile("found$"), timeout=MS)
    article = archive.find("wind turbines")[0]
    page.locator(".nr-entry .nr-title").first.click()
    shown = page.locator("article.nr-stored")
    expect(shown.get_by_role("heading", level=2)).to_have_text(article.title, timeout=MS)
    expect(shown.get_by_role("heading", level=2)).to_be_focused()
    expect(shown.get_by_role("heading", level=2)).to_be_in_viewport()
    assert fact(page, "Outlet", ".nr-stored") == article.source
    assert fact(page, "Id", ".nr-stored") == article.id
    assert fact(page, "Revision", ".nr-stored") == "1"
    expect(shown.get_by_role("link")).to_have_attribute("href", article.url)
    spans = archive.passages(article.id)
    passages = [article.text[start:end] for start, end in spans]
    assert shown.locator(".nr-passage").all_text_contents() == passages
    assert page.url.endswith(f"/archive?article={article.id}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("#nr-by-outlet svg")).to_be_visible(timeout=MS)
    assert page.url.endswith("/archive")
    page.go_back()
    expect(shown).to_be_visible(timeout=MS)


def test_an_address_opens_its_article(visit: Visit, archive: Archive) -> None:
    article = archive.articles()[5]
    page = visit(f"?article={article.id}")
    expect(page.locator(".nr-stored h2")).to_have_text(article.title, timeout=MS)
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("#nr-by-time svg")).to_contain_text("2023-08", timeout=MS)
    missing = visit("?article=nothing-like-it")
    expect(missing.locator(".nr-error")).to_have_text(
        "The archive has no article nothing-like-it.", timeout=MS
    )
    expect(missing.get_by_role("button", name="Delete article")).to_be_hidden()


def test_files_are_added_and_each_failure_has_a_line(
    visit: Visit, archive: Archive, tmp_path: Path, dropping: None
) -> None:
    good = tmp_path / "<img src=x onerror=alert(1)>.jsonl"
    records = [{"title": f"Gannet {n}", "text": f"Gannet {n} flew."} for n in range(3)]
    good.write_text("\n".join([*map(json.dumps, records), "{broken"]), encoding="utf-8")
    bad = tmp_path / "photo.png"
    bad.write_bytes(b"\x89PNG")
    page = visit()
    before = archive.status().articles
    drop(page, good, bad)
    ended(page, "Done: 3 added, 2 failed.")
    lines = page.locator(".nr-failures li").all_text_contents()
    assert re.match(r".+\.jsonl:4: is not JSON", lines[0])
    assert re.match(r"photo\.png: is none of the supported kinds", lines[1])
    expect(page.locator("#nr-archive-head")).to_contain_text(str(before + 3), timeout=MS)
    expect(page.locator("#nr-by-outlet svg")).to_contain_text("(none)", timeout=MS)
    search(page, "gannet flew")
    expect(page.locator(".nr-count")).to_have_text("3 articles found", timeout=MS)
    assert page.locator("#nr-archive img, #nr-archive script").count() == 0
    photograph(page, "archive-added")


def test_uploads_do_not_stay(visit: Visit, tmp_path: Path, dropping: None) -> None:
    note = tmp_path / "note.txt"
    note.write_text("Nobody keeps this note of 4711 words.", encoding="utf-8")
    page = visit()
    with page.expect_response(re.compile("/upload\\?")) as sent:
        drop(page, note)
    (kept,) = map(Path, sent.value.json())
    ended(page, "Done: 1 added.")
    assert kept.name == "note.txt"
    assert not kept.parent.exists()


def test_a_pasted_article_is_added_and_the_form_is_emptied(
    visit: Visit, archive: Archive, dropping: None
) -> None:
    page = visit()
    page.get_by_role("tab", name="Paste").click()
    title = page.get_by_label("Title", exact=True)
    title.fill("Otters <i>return</i>")
    page.get_by_label("Outlet", exact=True).fill("River Post")
    page.get_by_label("Date", exact=True).fill("1 <b>March</b>")
    page.get_by_label("Text", exact=True).fill("Nine otters were counted.")
    page.get_by_role("button", name="Add this article").click()
    expect(page.locator("#nr-progress .nr-error")).to_have_text(
        '"1 <b>March</b>" is not a day such as 2024-03-09.', timeout=MS
    )
    page.get_by_label("Date", exact=True).fill("2024-03-01")
    page.get_by_role("button", name="Add this article").click()
    ended(page, "Done: 1 added.")
    expect(title).to_have_value("", timeout=MS)
    (stored,) = archive.find("otters counted")
    assert (stored.title, stored.source) == ("Otters <i>return</i>", "River Post")
    assert (stored.published, stored.text) == (date(2024, 3, 1), "Nine otters were counted.")


def test_addresses_are_fetched_and_added(
    visit: Visit, archive: Archive, site: str, dropping: None
) -> None:
    page = visit()
    page.get_by_role("tab", name="Web address").click()
    lines = page.get_by_label("Addresses of articles")
    lines.fill(f"{site}\n/etc/passwd\njavascript:alert(1)")
    page.get_by_role("button", name="Fetch and add").click()
    ended(page, "Done: 1 added, 2 failed.")
    assert page.locator(".nr-failures li").all_text_contents() == [
        "/etc/passwd: is not a web address (http or https)",
        "javascript:alert(1): is not a web address (http or https)",
    ]
    (stored,) = archive.find("kiln pots")
    assert stored.url == site


def test_a_second_writer_is_told_in_the_archives_own_words(
    visit: Visit, archive: Archive, folder: Path, tmp_path: Path, extra: Article
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("A note.", encoding="utf-8")
    told = "is being written by another process; try again later"
    page = visit(f"?article={extra.id}")
    with FileLock(folder / "write.lock"):
        page.get_by_role("button", name="Delete article").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.locator("#nr-told .nr-error")).to_contain_text(told, timeout=MS)
        page.get_by_role("button", name="Back", exact=True).click()
        drop(page, note)
        expect(page.locator("#nr-progress .nr-error")).to_contain_text(told, timeout=MS)
    ended(page, "Stopped: 0 added.")
    assert archive.article(extra.id) == extra


def test_an_article_is_deleted_once_that_is_confirmed(
    visit: Visit, archive: Archive, extra: Article
) -> None:
    page = visit()
    search(page, "pelican")
    expect(page.locator(".nr-count")).to_have_text("1 article found", timeout=MS)
    page.locator(".nr-entry .nr-title").click()
    page.get_by_role("button", name="Delete article").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused(timeout=MS)
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_hidden(timeout=MS)
    assert archive.article(extra.id) == extra
    page.get_by_role("button", name="Delete article").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#nr-told")).to_have_text(f"Deleted: {extra.title}", timeout=MS)
    expect(page.locator(".nr-count")).to_have_text("No article found", timeout=MS)
    assert archive.find("pelican") == []
    assert page.url.endswith("/archive")


def test_a_hostile_article_stays_text(visit: Visit) -> None:
    page = visit()
    search(page, "Quillfeather heist")
    expect(page.locator(".nr-count")).to_have_text("1 article found", timeout=MS)
    page.locator(".nr-entry .nr-title").click()
    shown = page.locator("article.nr-stored")
    expect(shown.get_by_role("heading", level=2)).to_have_text(HOSTILE.title, timeout=MS)
    assert "".join(shown.locator(".nr-passage").all_text_contents()).split() == HOSTILE.text.split()
    for inside in ("a", "img", "script", "iframe", "b"):
        assert shown.locator(inside).count() == 0


def test_every_control_has_a_name(visit: Visit) -> None:
    page = visit()
    expect(page.locator("#nr-by-outlet svg")).to_be_visible(timeout=MS)
    for tab in ("Files", "Paste", "Web address"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        nameless = page.locator(
            "#nr-archive :is(input, textarea, button):not([aria-label])"
        ).evaluate_all(
            "all => all.filter(e => !e.labels?.length && !e.textContent.trim() && e.offsetParent)"
            ".map(e => e.outerHTML)"
        )
        assert nameless == []
