"""The page about the archive in a real browser, on a real archive.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from rag import Archive, Article

from .chat_page import BOTH, Open, Page, View, expect, photograph, search
from .serving import HOSTILE


@pytest.fixture
def extra(editable: Archive) -> Iterator[Article]:
    """An article that a test may delete."""
    article = Article("extra", "Extra pelican", "A pelican stood still.", "Extra Post")
    editable.ingest(article)
    yield article
    if any(held.id == article.id for held in editable.articles()):
        editable.delete(article.id)


def fact(page: Page, name: str, where: str) -> str:
    found = page.locator(f"{where} dl > div", has=page.get_by_text(name, exact=True))
    return found.locator("dd").text_content() or ""


@BOTH
def test_the_page_says_and_plots_what_is_in_the_archive(
    archive_page: Open, editable: Archive, view: View
) -> None:
    page = archive_page("", *view)
    status = editable.status()
    expect(page.get_by_role("heading", level=1)).to_have_text("Archive")
    assert fact(page, "Articles", "#nr-archive-head") == str(status.articles)
    assert fact(page, "First day", "#nr-archive-head") == "17 January 2023"
    assert fact(page, "Last day", "#nr-archive-head") == "4 June 2024"
    for plot, label in (("#nr-by-time", "2023-08"), ("#nr-by-outlet", "Port Ellery Beacon")):
        expect(page.locator(f"{plot} svg")).to_contain_text(label)
        marks = page.locator(f"{plot} svg .mark-rect path")
        photograph(page, "archive-plots")
        page.locator(f"{plot}-table summary").click()
        rows = page.locator(f"{plot}-table tbody tr")
        assert rows.count() == marks.count()
        counts = rows.locator("td").all_text_contents()
        assert sum(map(int, counts)) == status.articles - (status.undated if "time" in plot else 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= view[0]


@BOTH
def test_the_latest_come_first_and_more_can_be_shown(
    archive_page: Open, editable: Archive, view: View
) -> None:
    page = archive_page("", *view)
    titles = [article.title for article in editable.articles()]
    expect(page.locator(".nr-count")).to_have_text("Latest articles")
    assert page.locator(".nr-entry .nr-title").all_text_contents() == titles[:20]
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".nr-entry")).to_have_count(len(titles))
    assert page.locator(".nr-entry .nr-title").all_text_contents() == titles
    assert page.get_by_role("button", name="Show more").count() == 0


@BOTH
def test_articles_are_found_by_words_outlet_and_days(
    archive_page: Open, editable: Archive, view: View
) -> None:
    page = archive_page("", *view)
    search(page, "harbor bridge")
    expect(page.locator(".nr-count")).to_have_text(re.compile("found$"))
    found = [article.title for article in editable.find("harbor bridge", 20)]
    assert page.locator(".nr-entry .nr-title").all_text_contents() == found
    page.get_by_label("Outlets").click()
    page.get_by_role("option", name="Ellery Bay Radio").click()
    narrowed = editable.find("harbor bridge", source="Ellery Bay Radio")
    assert 0 < len(narrowed) < len(found)
    expect(page.locator(".nr-entry")).to_have_count(len(narrowed))
    page.get_by_label("From day, as year-month-day").fill("2024-06-04")
    page.get_by_label("From day, as year-month-day").press("Enter")
    expect(page.locator(".nr-count")).to_have_text("No article found")
    page.get_by_label("From day, as year-month-day").fill("2024-06-03")
    page.get_by_label("From day, as year-month-day").press("Enter")
    expect(page.locator(".nr-count")).to_have_text("1 article found")
    page.get_by_label("To day, as year-month-day").fill("2024-06-02")
    page.get_by_label("To day, as year-month-day").press("Enter")
    expect(page.locator(".nr-count")).to_have_text("No article found")


@BOTH
def test_an_article_opens_with_its_data_and_passages_and_can_be_left(
    archive_page: Open, editable: Archive, view: View
) -> None:
    page = archive_page("", *view)
    search(page, "wind turbines")
    expect(page.locator(".nr-count")).to_have_text(re.compile("found$"))
    article = editable.find("wind turbines")[0]
    page.locator(".nr-entry .nr-title").first.click()
    shown = page.locator("article.nr-stored")
    expect(shown.get_by_role("heading", level=2)).to_have_text(article.title)
    expect(shown.get_by_role("heading", level=2)).to_be_focused()
    expect(shown.get_by_role("heading", level=2)).to_be_in_viewport()
    assert fact(page, "Outlet", ".nr-stored") == article.source
    assert fact(page, "Id", ".nr-stored") == article.id
    assert fact(page, "Revision", ".nr-stored") == "1"
    expect(shown.get_by_role("link")).to_have_attribute("href", article.url)
    spans = editable.passages(article.id)
    passages = [article.text[start:end] for start, end in spans]
    assert shown.locator(".nr-passage").all_text_contents() == passages
    assert page.url.endswith(f"/archive?article={article.id}")
    assert page.evaluate("document.documentElement.scrollWidth") <= view[0]
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("#nr-by-outlet svg")).to_be_visible()
    assert page.url.endswith("/archive")
    page.go_back()
    expect(shown).to_be_visible()


def test_an_address_opens_its_article(archive_page: Open, editable: Archive) -> None:
    article = editable.articles()[5]
    page = archive_page(f"?article={article.id}")
    expect(page.locator(".nr-stored h2")).to_have_text(article.title)
    page.get_by_role("button", name="Back", exact=True).click()
    expect(page.locator("#nr-by-time svg")).to_contain_text("2023-08")
    missing = archive_page("?article=nothing-like-it")
    expect(missing.locator(".nr-error")).to_have_text("The archive has no article nothing-like-it.")
    expect(missing.get_by_role("button", name="Delete article")).to_be_hidden()


def test_a_second_writer_is_told_in_the_archives_own_words(
    archive_page: Open, editable: Archive, editable_folder: Path, tmp_path: Path, extra: Article
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("A note.", encoding="utf-8")
    told = "is being written by another process; try again later"
    page = archive_page(f"?article={extra.id}")
    with FileLock(editable_folder / "write.lock"):
        page.get_by_role("button", name="Delete article").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.locator("#nr-told .nr-error")).to_contain_text(told)
        page.get_by_role("button", name="Back", exact=True).click()
        page.locator("#nr-files input[type=file]").set_input_files(str(note))
        expect(page.locator("#nr-progress .nr-error")).to_contain_text(told)
    expect(page.locator("#nr-progress .nr-status")).to_have_text("Stopped: 0 added.")
    assert editable.article(extra.id) == extra


@BOTH
def test_an_article_is_deleted_once_that_is_confirmed(
    archive_page: Open, editable: Archive, extra: Article, view: View
) -> None:
    page = archive_page("", *view)
    search(page, "pelican")
    expect(page.locator(".nr-count")).to_have_text("1 article found")
    page.locator(".nr-entry .nr-title").click()
    page.get_by_role("button", name="Delete article").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_hidden()
    assert editable.article(extra.id) == extra
    page.get_by_role("button", name="Delete article").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#nr-told")).to_have_text(f"Deleted: {extra.title}")
    expect(page.locator(".nr-count")).to_have_text("No article found")
    assert editable.find("pelican") == []
    assert page.url.endswith("/archive")


def test_a_hostile_article_stays_text(archive_page: Open) -> None:
    page = archive_page()
    search(page, "Quillfeather heist")
    expect(page.locator(".nr-count")).to_have_text("1 article found")
    page.locator(".nr-entry .nr-title").click()
    shown = page.locator("article.nr-stored")
    expect(shown.get_by_role("heading", level=2)).to_have_text(HOSTILE.title)
    assert "".join(shown.locator(".nr-passage").all_text_contents()).split() == HOSTILE.text.split()
    for inside in ("a", "img", "script", "iframe", "b"):
        assert shown.locator(inside).count() == 0


def test_every_control_has_a_name(archive_page: Open) -> None:
    page = archive_page()
    expect(page.locator("#nr-by-outlet svg")).to_be_visible()
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
