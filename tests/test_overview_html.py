"""ui.overview_html: what the page about the archive says. Hostile text: tests/test_hostile.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from markup import addresses, parse, texts, words

from rag import ArchiveStatus, Article, Failure, IngestReport
from ui import overview_html as html
from ui.adding import Progress
from ui.bars import Bars

STATUS = ArchiveStatus(
    path="archive",
    articles=1234,
    passages=5000,
    pending=0,
    first=date(2023, 1, 17),
    last=date(2024, 6, 4),
    undated=7,
    sources={"Post": 1200, "(none)": 34},
    embedding_model="m",
    size_bytes=2_400_000,
)
ARTICLE = Article(
    id="a/b?c=é",
    title="Rain & wind",
    text="First part.\n\nSecond  part.",
    source="Post",
    url="https://post.example/rain",
    published=date(2024, 3, 9),
    revision=3,
)


def facts(markup: str) -> dict[str, str]:
    pairs = parse(markup).iterfind(".//dl/div")
    return {pair.findtext("dt"): pair.find("dd").text_content() for pair in pairs}


def test_the_summary_says_how_much_from_when_to_when_and_how_large() -> None:
    assert facts(html.summary_html(STATUS, 1)) == {
        "Articles": "1,234",
        "Outlets": "1",
        "First day": "17 January 2023",
        "Last day": "4 June 2024",
        "Size": "2.4 MB",
        "Without a date": "7",
    }


@pytest.mark.parametrize(
    "size, told",
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345, "12 kB"),
        (3_000_000_000, "3.0 GB"),
        (5_000_000_000_000, "5,000 GB"),
    ],
)
def test_the_size_is_told_in_the_unit_that_fits(size: int, told: str) -> None:
    assert facts(html.summary_html(replace(STATUS, size_bytes=size), 1))["Size"] == told


def test_an_archive_without_dates_says_so() -> None:
    told = facts(html.summary_html(replace(STATUS, first=None, last=None), 1))
    assert (told["First day"], told["Last day"]) == ("not known", "not known")


def test_an_empty_archive_says_how_to_fill_it() -> None:
    page = html.summary_html(replace(STATUS, articles=0), 0)
    assert "The archive is empty." in words(page)
    assert addresses(page) == {"#nr-add"}


def test_a_table_has_the_numbers_of_the_plot() -> None:
    table = parse(html.table_html(Bars("Outlet", ("Post", "Echo"), (1200, 3))))
    assert table.findtext(".//summary") == "Articles by outlet as a table"
    rows = [[cell.text_content() for cell in row] for row in table.iterfind(".//tr")]
    assert rows == [["Outlet", "Articles"], ["Post", "1,200"], ["Echo", "3"]]


@pytest.mark.parametrize(
    "number, searched, more, heading",
    [
        (2, False, False, "Latest articles"),
        (0, False, False, "No articles yet"),
        (1, True, False, "1 article found"),
        (2, True, True, "The best 2 articles found"),
        (0, True, False, "No article found"),
    ],
)
def test_the_list_says_what_it_shows(number: int, searched: bool, more: bool, heading: str) -> None:
    page = html.list_html([ARTICLE] * number, searched=searched, more=more)
    assert texts(page, "nr-count") == [heading]
    assert len(texts(page, "nr-entry")) == number
    assert len(texts(page, "nr-more")) == more


def test_an_entry_leads_to_its_article() -> None:
    page = html.list_html([ARTICLE], searched=False, more=False)
    assert words(page) == "Latest articlesRain & windPost · 9 March 2024First part. Second part."
    assert addresses(page) == {"?article=a%2Fb%3Fc%3D%C3%A9"}
    (link,) = parse(page).find_class("nr-title")
    assert (link.get("data-event"), link.get("data-article")) == ("open", ARTICLE.id)


def test_an_article_is_shown_with_its_data_and_as_it_was_split() -> None:
    page = html.article_html(ARTICLE, [(0, 11), (13, 26)])
    assert facts(page) == {
        "Outlet": "Post",
        "Date": "9 March 2024",
        "Address": "post.example",
        "Id": ARTICLE.id,
        "Revision": "3",
        "Length": "4 words, 2 passages",
    }
    assert texts(page, "nr-passage") == ["First part.", "Second  part."]
    assert texts(page, "nr-offsets")[1] == "Passage 2, characters 13 to 26"
    assert addresses(page) == {ARTICLE.url}


def test_what_is_not_known_of_an_article_is_said_and_no_bad_address_is_linked() -> None:
    bare = replace(ARTICLE, source=None, published=None, url="javascript:alert(1)")
    page = html.article_html(bare, [])
    assert facts(page)["Outlet"] == facts(page)["Date"] == "not known"
    assert facts(page)["Address"] == "javascript:alert(1)"
    assert texts(page, "nr-passage") == [ARTICLE.text]
    assert addresses(page) == set()


def test_progress_says_what_is_read_and_the_counts() -> None:
    report = IngestReport(added=2, unchanged=1)
    page = html.progress_html(Progress(3, 1, "a <b>.txt", report))
    assert words(page) == "Reading a <b>.txt (2 of 3): 2 added, 1 unchanged."
    (bar,) = parse(page).iterfind(".//progress")
    assert (bar.get("max"), bar.get("value")) == ("3", "1")


def test_the_end_lists_failures_up_to_a_limit() -> None:
    failures = tuple(Failure(f"f.csv:{n}", "is not CSV") for n in range(50))
    last = Progress(1, 1, report=IngestReport(failures=failures), failed=500, over=True)
    page = html.progress_html(last)
    assert words(page).startswith("Done: 0 added, 500 failed.")
    lines = [line.text_content() for line in parse(page).iterfind(".//li")]
    assert lines[0] == "f.csv:0: is not CSV"
    assert lines[-1] == f"and {500 - html.MAX_NAMED_FAILURES} more"
    assert not parse(page).findall(".//progress")


def test_an_early_end_is_one_message_with_what_is_left() -> None:
    last = Progress(5, 2, error="the archive is being written; try again later", over=True)
    page = html.progress_html(last)
    assert words(page).startswith("Stopped: 0 added.")
    told = "The archive is being written; try again later. Not read: 3 of 5; add them again later."
    assert texts(page, "nr-error") == [told]
