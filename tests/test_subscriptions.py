"""Reading the pages that feeds list: once each, politely, and whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from conftest import make_archive
from feedmaking import SITEMAP, html, item, rss
from inputs import write
from webserver import Site

from rag import Archive, SourceError, polite
from rag.models import SentenceTransformerEmbedder
from rag.sources import Known, Record
from rag.subscriptions import web_records


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
