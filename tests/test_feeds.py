from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import make_archive
from inputs import write
from webserver import Site

from rag import Archive, SourceError, polite
from rag.feeds import is_list, read_list, read_opml
from rag.fetch import Page
from rag.files import on_disk
from rag.models import SentenceTransformerEmbedder
from rag.sources import Known, Record
from rag.subscriptions import web_records

BODY = "The harbour board voted on Tuesday to close pier {n}, after divers found cracks. " * 6


def html(number: int, head: str = "") -> str:
    return (
        f"<html><head><title>Pier {number} closes</title>{head}</head><body><article>"
        f"<h1>Pier {number} closes</h1><p>{BODY.format(n=number)}</p></article></body></html>"
    )


def item(url: str, title: str = "A", more: str = "") -> str:
    return f"<item><title>{title}</title><link>{url}</link>{more}</item>"


def rss(*items: str) -> str:
    head = "<title>The Harbour Post</title><language>en-gb</language>"
    return (
        f"<?xml version='1.0'?><rss version='2.0'><channel>{head}{''.join(items)}</channel></rss>"
    )


def page(text: str) -> Page:
    return Page("https://post.example/feed", text.encode(), False, None, is_xml=True)


# What a feed says.


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


SITEMAP = (
    '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    ' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9">{}</urlset>'
)
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


# Reading the pages.


@pytest.fixture
def site() -> Iterator[Site]:
    opened = Site()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


class Reading:
    """Reads feeds as an ingestion does, and keeps the pauses instead of making them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pauses: list[float] = []

    def __call__(
        self, *urls: str, opml: tuple[Path, ...] = ()
    ) -> tuple[list[Record], int, list[str]]:
        records, known, failures = [], 0, []
        for result in web_records(
            urls, opml, self.folder, allow_private=True, wait=self.pauses.append
        ):
            if isinstance(result, Record):
                records.append(result)
            elif isinstance(result, Known):
                known += result.count
            else:
                failures.append(str(result))
        return records, known, failures


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    return Reading(tmp_path)


def feed_of(site: Site, *paths: str, path: str = "/feed", **headers: str) -> str:
    items = [item(f"{site.url}{p}", f"Title of {p}") for p in paths]
    return site.put(path, rss(*items), "application/rss+xml", **headers)


def paths(site: Site) -> list[str]:
    asked = [asked.removeprefix(f"127.0.0.1:{site.port}") for asked in site.asked]
    site.asked.clear()
    return asked


def test_the_pages_of_a_feed_are_read_once(site: Site, reading: Reading) -> None:
    more = "<pubDate>Sat, 09 Mar 2024 14:00:00 GMT</pubDate><category>Harbour</category>"
    for number in (1, 2):
        site.put(f"/{number}", html(number))
    items = [item(f"{site.url}/{n}", more=more) for n in (1, 2)]
    url = site.put("/feed", rss(*items), "text/xml")
    records, known, failures = reading(url)
    assert (known, failures) == (0, [])
    assert [record.article.title for record in records] == ["Pier 1 closes", "Pier 2 closes"]
    first = records[0].article
    assert (first.published, first.section, first.language) == (
        date(2024, 3, 9),
        "Harbour",
        "en-GB",
    )
    assert paths(site) == ["/feed", "/robots.txt", "/1", "/2"]
    assert len(reading.pauses) == 2
    assert all(0 < pause <= polite.SECONDS_BETWEEN for pause in reading.pauses)
    assert reading(url) == ([], 2, [])
    assert paths(site) == ["/feed"]


def test_what_the_page_says_counts_more_than_what_the_feed_says(
    site: Site, reading: Reading
) -> None:
    head = '<meta property="article:modified_time" content="2024-03-12T10:00:00Z">'
    site.put("/1", html(1, head))
    more = (
        "<atom:updated xmlns:atom='http://www.w3.org/2005/Atom'>2024-03-11T00:00:00Z</atom:updated>"
    )
    ((record,), _, _) = reading(
        site.put("/feed", rss(item(f"{site.url}/1", more=more)), "text/xml")
    )
    assert record.article.modified == datetime(2024, 3, 12, 10, tzinfo=UTC)


def test_a_changed_entry_is_read_again(site: Site, reading: Reading) -> None:
    site.put("/1", html(1))
    site.put("/2", html(2))
    url = feed_of(site, "/1", "/2")
    assert len(reading(url)[0]) == 2
    paths(site)
    site.put(
        "/feed", rss(item(f"{site.url}/1", "New"), item(f"{site.url}/2", "Title of /2")), "text/xml"
    )
    records, known, _ = reading(url)
    assert [record.article.title for record in records] == ["Pier 1 closes"]
    assert known == 1
    assert paths(site) == ["/feed", "/robots.txt", "/1"]


def test_an_unchanged_feed_is_not_sent_again(site: Site, reading: Reading) -> None:
    site.put("/1", html(1))
    told = []

    def conditional(handler: BaseHTTPRequestHandler) -> None:
        told.append((handler.headers["If-None-Match"], handler.headers["If-Modified-Since"]))
        is_known = handler.headers["If-None-Match"] == '"v1"'
        handler.send_response(304 if is_known else 200)
        handler.send_header("Content-Type", "application/rss+xml")
        handler.send_header("ETag", '"v1"')
        handler.send_header("Last-Modified", "Sat, 09 Mar 2024 14:00:00 GMT")
        handler.end_headers()
        if not is_known:
            handler.wfile.write(rss(item(f"{site.url}/1")).encode())

    site.pages["/feed"] = conditional
    assert len(reading(f"{site.url}/feed")[0]) == 1
    assert reading(f"{site.url}/feed") == ([], 1, [])
    assert told == [(None, None), ('"v1"', "Sat, 09 Mar 2024 14:00:00 GMT")]


def test_a_page_that_failed_is_tried_again(site: Site, reading: Reading) -> None:
    site.put("/1", html(1))
    url = feed_of(site, "/1", "/2", ETag='"v1"')
    records, _, failures = reading(url)
    assert len(records) == 1
    assert failures == [f"{site.url}/2: answers with status 404"]
    site.put("/2", html(2))
    records, known, failures = reading(url)
    assert ([record.article.title for record in records], known) == (["Pier 2 closes"], 1)
    assert failures == []


def test_an_interrupted_run_reads_the_rest_again(site: Site, reading: Reading) -> None:
    for number in (1, 2):
        site.put(f"/{number}", html(number))
    url = feed_of(site, "/1", "/2")
    results = web_records([url], [], reading.folder, allow_private=True, wait=lambda s: None)
    assert isinstance(next(results), Record)
    results.close()  # It may not have been stored.
    assert len(reading(url)[0]) == 2


def test_robots_are_obeyed(site: Site, reading: Reading) -> None:
    site.put("/robots.txt", "User-agent: *\nDisallow: /no/\nCrawl-delay: 7\n", "text/plain")
    site.put("/1", html(1))
    site.put("/no/2", html(2))
    records, _, failures = reading(feed_of(site, "/no/2", "/1"))
    assert len(records) == 1
    assert failures == [f"{site.url}/no/2: is not read: its site's robots.txt forbids it"]
    assert 6 < reading.pauses[-1] <= 7
    assert "/no/2" not in paths(site)


def test_a_site_whose_robots_cannot_be_read_is_left(site: Site, reading: Reading) -> None:
    site.pages["/robots.txt"] = (503, {}, b"")
    records, _, failures = reading(feed_of(site, "/1", "/2"))
    assert records == []
    reason = "is not read, as its site's robots.txt cannot be: answers with status 503"
    assert failures == [f"{site.url}/1: {reason}", f"{site.url}/2: {reason}"]
    assert paths(site) == ["/feed", "/robots.txt"]


def test_sites_take_turns(site: Site, reading: Reading) -> None:
    other = Site()
    try:
        for number in (1, 2):
            site.put(f"/{number}", html(number))
            other.put(f"/{number}", html(10 + number))
        urls = [feed_of(site, "/1", "/2"), feed_of(other, "/1", "/2")]
        titles = [record.article.title for record in reading(*urls)[0]]
    finally:
        other.server.shutdown()
        other.server.server_close()
    assert titles == ["Pier 1 closes", "Pier 11 closes", "Pier 2 closes", "Pier 12 closes"]


def test_a_list_of_feeds(site: Site, reading: Reading, tmp_path: Path) -> None:
    site.put("/1", html(1))
    first = feed_of(site, "/1", path="/a")
    second = feed_of(site, "/1", path="/b")
    plain = site.put("/c", html(3))
    outlines = "".join(f'<outline xmlUrl="{url}"/>' for url in (first, second, plain))
    path = write(tmp_path / "feeds.opml", f"<opml><body>{outlines}</body></opml>")
    records, _, failures = reading(opml=(path,))
    assert [record.article.url for record in records] == [f"{site.url}/1"]
    assert failures == [f"{plain}: is no feed: neither RSS nor Atom nor a sitemap"]
    assert reading(opml=(path,))[1] == 2


def test_a_sitemap_of_sitemaps(site: Site, reading: Reading) -> None:
    site.put("/1", html(1))
    inner = f"<url><loc>{site.url}/1</loc></url>"
    site.put("/inner.xml", SITEMAP.format(inner), "application/xml")
    loop = "".join(
        f"<sitemap><loc>{site.url}{p}</loc></sitemap>" for p in ("/inner.xml", "/map.xml")
    )
    index = site.put("/map.xml", f"<sitemapindex>{loop}</sitemapindex>", "application/xml")
    records, _, failures = reading(index)
    assert [record.article.url for record in records] == [f"{site.url}/1"]
    assert failures == [f"{index}: lists itself"]
    deep = site.put(
        "/deep.xml",
        f"<sitemapindex><sitemap><loc>{index}</loc></sitemap></sitemapindex>",
        "application/xml",
    )
    nested = f"{index}: lists sitemaps, but is itself listed by one"
    assert reading(deep)[2] == [nested, f"{index}: lists itself"]


def test_a_feed_that_lists_feeds_as_articles(site: Site, reading: Reading) -> None:
    url = feed_of(site, "/feed")
    assert reading(url)[2] == [f"{url}: is XML, not an article"]


def test_the_archive_takes_feeds(
    site: Site,
    tmp_path: Path,
    embedder: SentenceTransformerEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polite, "SECONDS_BETWEEN", 0.0)
    for number in (1, 2):
        site.put(f"/{number}", html(number))
    url = feed_of(site, "/1", "/2")
    with make_archive(tmp_path / "archive", embedder) as archive:
        assert_ingests(archive, url, added=2, unchanged=0)
        assert_ingests(archive, url, added=0, unchanged=2)
        path = write(tmp_path / "a.opml", f'<opml><body><outline xmlUrl="{url}"/></body></opml>')
        assert_ingests(archive, path, added=0, unchanged=2)
        with pytest.raises(SourceError, match="does not exist"):
            archive.ingest(tmp_path / "none.opml")


def assert_ingests(archive: Archive, given: str | Path, added: int, unchanged: int) -> None:
    archive.settings = replace(archive.settings, allow_private_urls=True)
    report = archive.ingest(given)
    assert report.failures == ()
    assert (report.added, report.unchanged) == (added, unchanged)
