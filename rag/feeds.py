"""Lists of pages: RSS and Atom feeds, sitemaps, and OPML files, which list feeds. Pure reading."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.sax import SAXParseException

from rag import files
from rag.errors import SourceError
from rag.fetch import Page
from rag.files import File, reason_of, storable, web_url
from rag.reports import Failure

if TYPE_CHECKING:
    from feedparser import FeedParserDict

MAX_ENTRIES = 1000
"""Pages of one list that are read; a news sitemap may have no more."""

MAX_BYTES = 4 * 1024 * 1024
"""Bytes of the longest feed; it takes a second for half of a megabyte."""

_ROOT = re.compile(
    rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<![^>]*>)*+<(?:[\w-]+:)?(rss|feed|RDF|urlset|sitemapindex)\b",
    re.DOTALL,
)
_BEGINNING = 4096
_SITEMAPS = {"urlset", "sitemapindex"}
# What feedparser is known or likely to raise on broken feeds.
_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that a list names. `stamp` changes when the list says that the page has changed.

    `known` has what the list says about the page, under the names of `sources`.
    """

    url: str
    stamp: str
    known: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list says: its pages, the lists that it names in turn, and what is wrong with it."""

    entries: tuple[Entry, ...] = ()
    lists: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


def is_list(page: Page) -> bool:
    """Whether what stood at an address is a feed or a sitemap, whatever it is told to be."""
    return bool(_root(page.data))


def read_list(page: Page) -> Listing:
    """The pages of a feed or a sitemap. Raises `SourceError`."""
    root = _root(page.data)
    if not root:
        raise SourceError(page.url, "is no feed: neither RSS nor Atom nor a sitemap")
    if root in _SITEMAPS:
        return _sitemap(page)
    return _feed(page)


def read_opml(file: File) -> list[str]:
    """The addresses of the feeds that an OPML file lists. Raises `SourceError`, `OSError`."""
    root = _xml(file.read(files.ARTICLE_LIMIT), file.place, "OPML")
    if _name(root) != "opml":
        raise SourceError(file.place, "is not OPML")
    found = [item.get("xmlUrl") or item.get("xmlurl") for item in root.iter("{*}outline")]
    urls = [url for given in found if given and (url := web_url(storable(given)))]
    if not urls:
        raise SourceError(file.place, "lists no feed with a web address")
    return list(dict.fromkeys(urls))


def _root(data: bytes) -> str:
    beginning = data[:_BEGINNING].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe")
    match = _ROOT.match(beginning)
    return match[1].decode() if match else ""


# Feeds.


def _feed(page: Page) -> Listing:
    import feedparser

    if len(page.data) > MAX_BYTES:
        raise SourceError(page.url, f"is a feed of more than {MAX_BYTES:,} bytes")
    try:
        # As a stream: bytes that look like the name of a file would be opened.
        feed = feedparser.parse(BytesIO(page.data), response_headers=_told(page))
        results = [
            _feed_entry(entry, feed.feed, page.url, n) for n, entry in enumerate(feed.entries, 1)
        ]
    except _ERRORS as error:
        raise SourceError(page.url, f"cannot be read as a feed: {reason_of(error)}") from error
    failures = [result for result in results if isinstance(result, Failure)]
    problem = feed.get("bozo_exception")
    if isinstance(problem, SAXParseException):
        place = f"{page.url}:{problem.getLineNumber() or 1}"
        failures.append(Failure(place, f"is a damaged feed: {problem.getMessage()}"))
    return _listing(page.url, [r for r in results if isinstance(r, Entry)], failures)


def _told(page: Page) -> dict[str, str]:
    return {"content-type": f"text/xml; charset={page.charset}" if page.charset else "text/xml"}


def _feed_entry(
    entry: FeedParserDict, feed: FeedParserDict, place: str, number: int
) -> Entry | Failure:
    url = web_url(_text(entry, "link"))
    if url is None:
        return Failure(f"{place}#{number}", "has no web address")
    tags = entry.get("tags") or [{}]
    published, modified = _text(entry, "published"), _text(entry, "updated")
    known = {
        "published": published,
        "modified": modified,
        "author": _text(entry, "author"),
        "language": _text(feed, "language"),
        "section": tags[0].get("term"),
    }
    changing = modified or f"{published}\n{_text(entry, 'summary')}"
    return _entry(url, f"{_text(entry, 'title')}\n{changing}", known)


def _text(values: FeedParserDict, name: str) -> str:
    # The library's own look-up stands one date in for the other, and warns of it.
    value = dict.get(values, name)
    return value if isinstance(value, str) else ""


# Sitemaps.


def _sitemap(page: Page) -> Listing:
    root = _xml(page.data, page.url, "a sitemap")
    entries: list[Entry] = []
    lists: list[str] = []
    failures: list[Failure] = []
    for number, item in enumerate(root.iterchildren("{*}url", "{*}sitemap"), 1):
        values = dict(_leaves(item))
        url = web_url(values.get("loc"))
        if url is None:
            failures.append(Failure(f"{page.url}#{number}", "has no web address"))
        elif _name(item) == "sitemap":
            lists.append(url)
        else:
            known = {
                "published": values.get("publication_date"),
                "modified": values.get("lastmod"),
                "language": values.get("language"),
                "source": values.get("name"),
            }
            changing = values.get("lastmod") or values.get("publication_date")
            entries.append(_entry(url, f"{values.get('title')}\n{changing}", known))
        if len(entries) + len(lists) + len(failures) > MAX_ENTRIES:
            break
    return _listing(page.url, entries, failures, lists)


def _leaves(item: Any) -> Iterator[tuple[str, str]]:
    """The named texts of an entry; `news:news` has its own within."""
    for element in item.iter():
        if isinstance(element.tag, str) and element.text and element.text.strip():
            yield _name(element), element.text.strip()


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _xml(data: bytes, place: str, kind: str) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.LxmlError as error:
        line = getattr(error, "lineno", None) or 1
        raise SourceError(f"{place}:{line}", f"is not {kind}: {reason_of(error)}") from error
    except ValueError as error:
        raise SourceError(place, f"is not {kind}: {reason_of(error)}") from error
    return root


# Both.


def _entry(url: str, changing: str, known: dict[str, Any]) -> Entry:
    stamp = hashlib.sha256(changing.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    texts = {n: storable(v) for n, v in known.items() if isinstance(v, str) and v.strip()}
    return Entry(storable(url), stamp, dict(texts))


def _listing(
    place: str, entries: list[Entry], failures: list[Failure], lists: list[str] | None = None
) -> Listing:
    """Each page once, and as many as are read."""
    by_url = {entry.url: entry for entry in reversed(entries)}
    kept = list(by_url.values())[::-1]
    if len(entries) + len(failures) + len(lists or ()) > MAX_ENTRIES:
        failures = [Failure(place, f"lists more than {MAX_ENTRIES:,} pages; the rest is not read")]
    return Listing(tuple(kept[:MAX_ENTRIES]), tuple(lists or ())[:MAX_ENTRIES], tuple(failures))
