"""What a feed, a sitemap or a list of feeds says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from feedmaking import SITEMAP, item, rss
from inputs import write

from rag import SourceError
from rag.feeds import is_list, read_list, read_opml
from rag.fetch import Page
from rag.files import on_disk


def page(text: str) -> Page:
    return Page("https://post.example/feed", text.encode(), False, None, is_xml=True)


def test_rss() -> None:
    more = (
        "<pubDate>Sat, 09 Mar 2024 14:00:00 GMT</pubDate><author>Ann Lee</author>"
        "<category>Harbour</category><description>Two piles.</description>"
    )
    found = read_list(page(rss(item("https://post.example/1", more=more))))
    (entry,) = found.entries
    assert found.failures == ()
    assert entry.url == "https://post.example/1"
    assert entry.known == {
        "published": "Sat, 09 Mar 2024 14:00:00 GMT",
        "author": "Ann Lee",
        "language": "en-gb",
        "section": "Harbour",
    }


def test_atom() -> None:
    text = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><title>Post</title><entry><title>A</title>'
        '<link href="https://post.example/1"/><published>2024-03-09T14:00:00Z</published>'
        "<updated>2024-03-10T08:30:00Z</updated><author><name>Ann Lee</name></author>"
        "</entry></feed>"
    )
    (entry,) = read_list(page(text)).entries
    assert entry.known == {
        "published": "2024-03-09T14:00:00Z",
        "modified": "2024-03-10T08:30:00Z",
        "author": "Ann Lee",
    }
    (later,) = read_list(page(text.replace("T08", "T09"))).entries
    assert later.stamp != entry.stamp


NEWS = (
    "<url><loc> https://post.example/1 </loc><lastmod>2024-03-10</lastmod><news:news>"
    "<news:publication><news:name>The Harbour Post</news:name><news:language>en</news:language>"
    "</news:publication><news:publication_date>2024-03-09T14:00:00Z</news:publication_date>"
    "<news:title>Pier closes</news:title></news:news></url>"
)


def test_a_news_sitemap() -> None:
    (entry,) = read_list(page(SITEMAP.format(NEWS))).entries
    assert entry.url == "https://post.example/1"
    assert entry.known == {
        "published": "2024-03-09T14:00:00Z",
        "modified": "2024-03-10",
        "language": "en",
        "source": "The Harbour Post",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<rss version='2.0'>", True),
        ("\ufeff\n<?xml version='1.0'?><!-- a --><!DOCTYPE x>\n<feed xmlns='x'>", True),
        ('<rdf:RDF xmlns:rdf="x">', True),
        ("<sitemapindex>", True),
        ("<!doctype html><html><body>&lt;rss><rss>", False),
        ("A text about <rss> and <feed>.", False),
        ("<?xml version='1.0'?><html>", False),
        ("<?a?>" * 700 + "x", False),
    ],
)
def test_what_a_feed_starts_with(text: str, expected: bool) -> None:
    assert is_list(page(text)) is expected
    assert is_list(replace(page(""), data=text.encode("utf-16"))) is expected


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("<a/>", "", "is no feed: neither RSS nor Atom nor a sitemap"),
        ("<urlset><url>", ":1", "is not a sitemap: "),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><urlset>&b;', "", "is no feed: "),
        ("<rss>" + "x" * 5_000_000, "", "is a feed of more than 4,194,304 bytes"),
    ],
)
def test_what_is_no_feed(text: str, place: str, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        read_list(page(text))
    assert caught.value.place == f"https://post.example/feed{place}"
    assert caught.value.reason.startswith(reason)


def test_a_damaged_feed_gives_what_stands_before() -> None:
    found = read_list(page(rss(item("https://post.example/1"))[:-20] + "<"))
    assert [entry.url for entry in found.entries] == ["https://post.example/1"]
    assert [failure.reason.partition(":")[0] for failure in found.failures] == ["is a damaged feed"]


def test_entries_that_cannot_be_read() -> None:
    items = [
        item("javascript:alert(1)"),
        "<item><title>A</title></item>",
        item("https://a.example/1"),
    ]
    found = read_list(page(rss(*items)))
    assert [entry.url for entry in found.entries] == ["https://a.example/1"]
    assert [str(failure) for failure in found.failures] == [
        f"https://post.example/feed#{n}: has no web address" for n in (1, 2)
    ]


def test_a_list_without_end() -> None:
    items = [item(f"https://post.example/{n}") for n in range(1100)]
    found = read_list(page(rss(*items)))
    assert len(found.entries) == 1000
    assert [failure.reason for failure in found.failures] == [
        "lists more than 1,000 pages; the rest is not read"
    ]


def test_opml(tmp_path: Path) -> None:
    text = (
        '<opml version="2.0"><body><outline text="News"><outline xmlUrl="https://a.example/rss"/>'
        '<outline xmlUrl="https://b.example/rss"/><outline xmlUrl="https://a.example/rss"/>'
        '<outline xmlUrl="file:///etc/passwd"/></outline></body></opml>'
    )
    file = on_disk(write(tmp_path / "a.opml", text))
    assert read_opml(file) == ["https://a.example/rss", "https://b.example/rss"]


@pytest.mark.parametrize("text", ["", "<opml>", "<rss/>", "<opml/>", "\0"])
def test_what_is_no_opml(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.opml", text)
    with pytest.raises(SourceError) as caught:
        read_opml(on_disk(path))
    assert caught.value.place.startswith(str(path))
