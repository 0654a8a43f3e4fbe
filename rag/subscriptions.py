"""Web addresses into records: pages, and the pages of feeds that are new or have changed.

What has been read of each feed is kept in the archive's folder, and is noted only once the article
is stored: an interrupted run reads the rest again.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from rag.errors import ArchiveError, SourceError
from rag.feeds import Entry, is_list, read_list, read_opml
from rag.fetch import Page, fetch_if_changed
from rag.files import on_disk
from rag.polite import PoliteReader, site_of
from rag.reports import Failure
from rag.sources import Known, Record, read_page

FILE_NAME = "feeds.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS feeds (
    url TEXT PRIMARY KEY, etag TEXT NOT NULL, modified TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    feed TEXT NOT NULL, url TEXT NOT NULL, stamp TEXT NOT NULL, PRIMARY KEY (feed, url)
) STRICT;
"""
_MAX_DEPTH = 2
"""A sitemap may list sitemaps; those may not."""


def web_records(
    urls: Iterable[str],
    opml: Iterable[Path],
    folder: Path,
    *,
    allow_private: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Record | Known | Failure]:
    """The pages at the addresses, and those that the feeds among them and in OPML files list.

    Sites are read in turn, so that a pause at one is used for another. Raises `ArchiveError`.
    """
    urls, opml = list(urls), list(opml)
    if not urls and not opml:
        return
    with _FeedFile(folder / FILE_NAME) as known:
        run = _Run(known, PoliteReader(allow_private=allow_private, wait=wait), allow_private)
        for url in urls:
            yield from run.address(url)
        for path in opml:
            yield from run.opml(path)
        yield from run.pages()


@dataclass(slots=True, eq=False)
class _Feed:
    """A list whose pages are being read. `left` are those that are not yet."""

    url: str
    page: Page
    left: int
    entries: tuple[Entry, ...]
    is_complete: bool = True


@dataclass(slots=True)
class _Run:
    file: _FeedFile
    reader: PoliteReader
    allow_private: bool
    waiting: dict[str, deque[tuple[_Feed, Entry]]] = field(default_factory=dict)
    listed: set[str] = field(default_factory=set)
    seen: dict[str, bool] = field(default_factory=dict)
    """The pages of this run, and whether each is stored."""

    def opml(self, path: Path) -> Iterator[Record | Known | Failure]:
        """The feeds of a file; their pages are read later."""
        file = on_disk(path)
        try:
            urls = read_opml(file)
        except SourceError as error:
            yield Failure(error.place, error.reason)
        except OSError as error:
            yield Failure(file.place, f"cannot be read: {error.strerror or error}")
        else:
            for url in urls:
                yield from self.address(url, is_feed=True)

    def address(self, url: str, is_feed: bool = False) -> Iterator[Record | Known | Failure]:
        """A page, or a feed, whose pages are read later."""
        if url in self.listed:
            return
        try:
            page = fetch_if_changed(url, *self.file.version(url), allow_private=self.allow_private)
            if page is None:
                self.listed.add(url)
                yield Known(self.file.count(url))
            elif is_feed or page.is_xml or is_list(page):
                yield from self._list(url, page, 1)
            else:
                yield read_page(page)
        except SourceError as error:
            yield Failure(error.place, error.reason)

    def _list(self, url: str, page: Page, depth: int) -> Iterator[Known | Failure]:
        self.listed.add(url)
        listing = read_list(page)
        yield from listing.failures
        new = [entry for entry in listing.entries if self.file.stamp(url, entry) != entry.stamp]
        if len(new) < len(listing.entries):
            yield Known(len(listing.entries) - len(new))
        feed = _Feed(url, page, len(new), listing.entries, not listing.failures)
        for entry in new:
            self.waiting.setdefault(site_of(entry.url), deque()).append((feed, entry))
        if listing.lists and depth == _MAX_DEPTH:
            yield Failure(url, "lists sitemaps, but is itself listed by one")
        if url in listing.lists:
            yield Failure(url, "lists itself")
        for other in listing.lists if depth < _MAX_DEPTH else ():
            if other not in self.listed:
                try:
                    yield from self._list(other, self.reader.fetch(other), depth + 1)
                except SourceError as error:
                    feed.is_complete = False
                    yield Failure(error.place, error.reason)
        self._close_if_done(feed)

    def pages(self) -> Iterator[Record | Failure]:
        """The pages of all lists, always of the site that may be asked first."""
        while self.waiting:
            site = min(self.waiting, key=self.reader.free_at)
            feed, entry = self.waiting[site].popleft()
            if not self.waiting[site]:
                del self.waiting[site]
            if entry.url not in self.seen:
                self.seen[entry.url] = False
                try:
                    yield self._article(entry)
                    self.seen[entry.url] = True
                except SourceError as error:
                    yield Failure(error.place, error.reason)
            if self.seen[entry.url]:
                self.file.keep(feed.url, entry)
            else:
                feed.is_complete = False
            feed.left -= 1
            self._close_if_done(feed)

    def _article(self, entry: Entry) -> Record:
        page = self.reader.fetch(entry.url)
        if page.is_xml or is_list(page):
            raise SourceError(entry.url, "is XML, not an article")
        return read_page(page, entry.known)

    def _close_if_done(self, feed: _Feed) -> None:
        """Note the version of a list all of whose pages are stored: the server may say "same"."""
        if feed.left == 0:
            etag, modified = (feed.page.etag, feed.page.modified) if feed.is_complete else ("", "")
            self.file.close_feed(feed.url, etag, modified, [entry.url for entry in feed.entries])


class _FeedFile:
    """What was read of each feed, in SQLite. The archive's lock keeps others out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ArchiveError(f"{path} cannot be opened: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def version(self, feed: str) -> tuple[str, str]:
        """The ETag and the time of change of the version that was read; "" where there is none."""
        rows = self._run("SELECT etag, modified FROM feeds WHERE url = ?", feed)
        return (str(rows[0][0]), str(rows[0][1])) if rows else ("", "")

    def stamp(self, feed: str, entry: Entry) -> str:
        """The stamp of an entry when its page was last read; "" where it never was."""
        rows = self._run("SELECT stamp FROM entries WHERE feed = ? AND url = ?", feed, entry.url)
        return str(rows[0][0]) if rows else ""

    def count(self, feed: str) -> int:
        """The number of pages that were read of a feed."""
        return int(str(self._run("SELECT count(*) FROM entries WHERE feed = ?", feed)[0][0]))

    def keep(self, feed: str, entry: Entry) -> None:
        """Note that the page of an entry is stored."""
        self._run("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", feed, entry.url, entry.stamp)

    def close_feed(self, feed: str, etag: str, modified: str, urls: list[str]) -> None:
        """Note the version that was read, and forget the pages that it no longer lists."""
        self._run("INSERT OR REPLACE INTO feeds VALUES (?, ?, ?)", feed, etag, modified)
        listed = set(urls)
        for (url,) in self._run("SELECT url FROM entries WHERE feed = ?", feed):
            if url not in listed:
                self._run("DELETE FROM entries WHERE feed = ? AND url = ?", feed, str(url))

    def _run(self, statement: str, *values: str) -> list[tuple[object, ...]]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise ArchiveError(f"{self._path} cannot be used: {error}") from error
