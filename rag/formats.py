"""The file formats: bytes become named values, one record at a time, in bounded memory."""

from __future__ import annotations

import csv
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from rag import files
from rag.dates import parse_date
from rag.errors import SourceError
from rag.fetch import Page
from rag.files import File, decoded, host_of, lines_of, reason_of, text_of, web_url
from rag.reports import Failure
from rag.textfiles import markdown_fields, scraped_fields

# What the libraries have to say about a page is said by us, in one sentence.
for _name in ("trafilatura", "htmldate", "courlan"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

_HTML_DATES = {
    # The extensive search takes the year of a copyright line for a date.
    "extensive_search": False,
    "original_date": True,
    "max_date": "2100-01-01",
}
# What trafilatura and its helpers, lxml aside, are known or likely to raise on broken pages.
_PARSER_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError),
    *(RuntimeError, SyntaxError, TypeError, ValueError),
)

_MOST_VALUES = 2_000_000
"""Commas and brackets of the longest JSON text: each may be a value, of up to 400 bytes."""

_MOST_TAGS = 60_000
"""Angle brackets of the longest page: extraction takes the square of the elements in time."""

_META = {
    "language": "string(/html/@lang | /html/@xml:lang)",
    "modified": "string(//meta[@property='article:modified_time' or @property='og:updated_time'"
    " or @name='last-modified' or @itemprop='dateModified']/@content)",
    "section": "string(//meta[@property='article:section' or @name='article:section']/@content)",
}
"""What the library leaves out, by name, as XPath."""

Item = tuple[int, str, object]
"""A record of a file: its number there (0: it is the whole file), its place, its value.

The value is the named values, a `Failure`, or a function that gives the named values or raises
`SourceError` or `OSError`: what takes time is left out where records are only counted.
"""

Reader = Callable[[File], Iterator[Item]]
"""The records of a file of one format, in bounded memory. Raises `SourceError`, `OSError`."""


def whole(read: Callable[[File], dict[str, object]]) -> Reader:
    """A format of one article a file."""
    return lambda file: iter([(0, file.place, lambda: read(file))])


# Files of many records.


def _jsonl(file: File) -> Iterator[Item]:
    for number, line in lines_of(file):
        place = f"{file.place}:{number}"
        if isinstance(line, Failure):
            yield number, place, line
        elif stripped := line.strip():
            yield number, place, _parse_json(stripped, file.place, number)


def _json(file: File) -> Iterator[Item]:
    data = _parse_json(text_of(file, files.FILE_LIMIT), file.place)
    if isinstance(data, dict) and isinstance(data.get("articles"), list):
        data = data["articles"]
    if isinstance(data, list):
        for number, value in enumerate(data, 1):
            yield number, f"{file.place}#{number}", value
    else:
        yield 0, file.place, data


def _parse_json(text: str, file: str, line: int = 1) -> object:
    if sum(map(text.count, ",[{")) > _MOST_VALUES:
        return Failure(f"{file}:{line}", f"is JSON of more than {_MOST_VALUES:,} values")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{file}:{line + error.lineno - 1}"
        return Failure(place, f"is not JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError):
        return Failure(f"{file}:{line}", "is JSON with too long a number or too deep a nesting")


def _table(delimiter: str) -> Reader:
    return lambda file: _rows(file, delimiter)


def _rows(file: File, delimiter: str) -> Iterator[Item]:
    csv.field_size_limit(files.LINE_LIMIT)
    lines = _RowLines(file)
    rows = csv.reader(lines, strict=True, delimiter=delimiter)
    header: list[str] = []
    while True:
        number = rows.line_num + 1
        place = f"{file.place}:{number}"
        lines.characters = 0
        try:
            row = next(rows, None)
        except csv.Error as error:
            lines.bad.append((number, place, Failure(place, f"is not CSV: {error}")))
        if lines.bad:  # A row that a bad line is part of has lost some of its text.
            yield from lines.bad
            lines.bad.clear()
        elif row is None:
            return
        elif row and not header:
            header = [name.strip().casefold() for name in row]
            if "text" not in header:
                raise SourceError(place, 'must be a header row with a column "text"')
        elif row:
            yield number, place, _by_name(header, row, place)


class _RowLines:
    """The lines of a table. A bad one is kept aside, and is empty here.

    A row ends where it has too many `characters`: a quote that is never closed would make one row
    of the whole file.
    """

    def __init__(self, file: File) -> None:
        self.bad: list[Item] = []
        self.characters = 0
        self._lines = lines_of(file)

    def __iter__(self) -> _RowLines:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        if isinstance(line, Failure):
            self.bad.append((number, line.place, line))
            return "\n"
        self.characters += len(line)
        if self.characters > files.LINE_LIMIT:
            raise csv.Error(f"a row of more than {files.LINE_LIMIT:,} characters")
        return line


def _by_name(header: list[str], row: list[str], place: str) -> object:
    if len(row) > len(header):
        return Failure(place, f"has {len(row)} columns, but the header has {len(header)}")
    return dict(zip(header, row, strict=False))


# Files of one article.


def _scraped(file: File) -> dict[str, object]:
    return scraped_fields(text_of(file, files.ARTICLE_LIMIT))


def _html(file: File) -> dict[str, object]:
    return html_fields(text_of(file, files.ARTICLE_LIMIT), file.place)


def page_fields(page: Page, place: str) -> dict[str, object]:
    """The article of a page from the web. Raises `SourceError`.

    A page may give its own address, but only on its host: else it could replace the articles of
    another outlet.
    """
    text = decoded(page.data, place, page.charset)
    fields = html_fields(text, place) if page.is_html else scraped_fields(text)
    own = fields.get("url")
    if host_of(web_url(own if isinstance(own, str) else None)) != host_of(page.url):
        fields["url"] = page.url
    return fields


def html_fields(html: str, place: str) -> dict[str, object]:
    """The article of a page. Raises `SourceError`."""
    with warnings.catch_warnings():
        # Its import of urllib3 warns of a missing proxy library, which we have no use for.
        warnings.filterwarnings("ignore", message="SOCKS support")
        import trafilatura
    from lxml.etree import LxmlError  # type: ignore[import-untyped]
    from trafilatura.settings import Document

    if html.count("<") > _MOST_TAGS:
        raise SourceError(place, f"is HTML with more than {_MOST_TAGS:,} tags")
    try:
        tree = trafilatura.load_html(html)
        more = _meta(tree) if tree is not None else {}
        page = tree is not None and trafilatura.bare_extraction(
            tree, with_metadata=True, include_comments=False, date_extraction_params=_HTML_DATES
        )
    except (*_PARSER_ERRORS, LxmlError) as error:
        raise SourceError(place, f"cannot be parsed as HTML: {reason_of(error)}") from error
    if not isinstance(page, Document) or not page.text:
        raise SourceError(place, "holds no article text")
    text = page.text.removeprefix(f"{page.title}\n")
    fields = {"text": text, "title": page.title, "url": page.url, "source": page.sitename}
    fields |= {"author": page.author, "published": _unambiguous(page.date, html)}
    return {**fields, **more}


def _meta(tree: Any) -> dict[str, str]:
    return {name: str(tree.xpath(path)).strip() for name, path in _META.items()}


def _unambiguous(found: str | None, html: str) -> str | None:
    """Drop a date that the library may have guessed from "03/04/2023"; it reads the day first."""
    published = parse_date(found)
    if not published or published.day > 12 or published.day == published.month:
        return found
    year, month, day = published.year, f"0?{published.month}", f"0?{published.day}"
    guessed = rf"\b(?:{day}[-/.]{month}|{month}[-/.]{day})[-/.]{year}\b"
    certain = rf"\b{year}[-/.]?{month}[-/.]?{day}(?:\b|T)"
    return found if re.search(certain, html) or not re.search(guessed, html) else None


READERS: dict[str, Reader] = {
    ".txt": whole(_scraped),
    ".md": whole(markdown_fields),
    ".html": whole(_html),
    ".htm": whole(_html),
    ".jsonl": _jsonl,
    ".json": _json,
    ".csv": _table(","),
    ".tsv": _table("\t"),
}
"""By the suffix of the file."""
