"""The file formats: bytes become named values, one record at a time, in bounded memory."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from rag import files
from rag.dates import parse_date
from rag.errors import SourceError
from rag.files import lines_of, name_of, text_of
from rag.textfiles import markdown_fields, scraped_fields
from rag.types import Failure

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

Item = tuple[int, str, object]
"""A record of a file: its number there (0: it is the whole file), its place, its value."""


# Files of many records.


def _jsonl(path: Path) -> Iterator[Item]:
    for number, line in lines_of(path):
        place = f"{name_of(path)}:{number}"
        if isinstance(line, Failure):
            yield number, place, line
        elif stripped := line.strip():
            yield number, place, _parse_json(stripped, name_of(path), number)


def _json(path: Path) -> Iterator[Item]:
    place = name_of(path)
    data = _parse_json(text_of(path), place)
    if isinstance(data, dict) and isinstance(data.get("articles"), list):
        data = data["articles"]
    if isinstance(data, list):
        for number, value in enumerate(data, 1):
            yield number, f"{place}#{number}", value
    else:
        yield 0, place, data


def _parse_json(text: str, file: str, line: int = 1) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"{file}:{line + error.lineno - 1}"
        return Failure(place, f"is not JSON: {error.msg} (column {error.colno})")
    except (ValueError, RecursionError):
        return Failure(f"{file}:{line}", "is JSON with too long a number or too deep a nesting")


def _csv(path: Path) -> Iterator[Item]:
    csv.field_size_limit(files.LINE_LIMIT)
    bad: list[Item] = []
    rows = csv.reader(_good_lines(path, bad), strict=True)
    header: list[str] = []
    while True:
        number = rows.line_num + 1
        place = f"{name_of(path)}:{number}"
        try:
            row = next(rows, None)
        except csv.Error as error:
            bad.append((number, place, Failure(place, f"is not CSV: {error}")))
        if bad:  # A row that a bad line is part of has lost some of its text.
            yield from bad
            bad.clear()
        elif row is None:
            return
        elif row and not header:
            header = [name.strip().casefold() for name in row]
            if "text" not in header:
                raise SourceError(place, 'must be a header row with a column "text"')
        elif row:
            yield number, place, _by_name(header, row, place)


def _good_lines(path: Path, bad: list[Item]) -> Iterator[str]:
    for number, line in lines_of(path):
        if isinstance(line, Failure):
            bad.append((number, line.place, line))
        yield "\n" if isinstance(line, Failure) else line


def _by_name(header: list[str], row: list[str], place: str) -> object:
    if len(row) > len(header):
        return Failure(place, f"has {len(row)} columns, but the header has {len(header)}")
    return dict(zip(header, row, strict=False))


# Files of one article.


def _scraped(path: Path) -> dict[str, object]:
    return scraped_fields(text_of(path))


def _html(path: Path) -> dict[str, object]:
    return html_fields(text_of(path), name_of(path))


def html_fields(html: str, place: str) -> dict[str, object]:
    """The article of a page. Raises `SourceError`."""
    with warnings.catch_warnings():
        # Its import of urllib3 warns of a missing proxy library, which we have no use for.
        warnings.filterwarnings("ignore", message="SOCKS support")
        import trafilatura
    from lxml.etree import LxmlError  # type: ignore[import-untyped]
    from trafilatura.settings import Document

    try:
        page = trafilatura.bare_extraction(
            html, with_metadata=True, include_comments=False, date_extraction_params=_HTML_DATES
        )
    except (*_PARSER_ERRORS, LxmlError) as error:
        raise SourceError(place, f"cannot be parsed as HTML: {error}") from error
    if not isinstance(page, Document) or not page.text:
        raise SourceError(place, "holds no article text")
    text = page.text.removeprefix(f"{page.title}\n")
    fields = {"text": text, "title": page.title, "url": page.url, "source": page.sitename}
    return {**fields, "published": _unambiguous(page.date, html)}


def _unambiguous(found: str | None, html: str) -> str | None:
    """Drop a date that the library may have guessed from "03/04/2023"; it reads the day first."""
    published = parse_date(found)
    if not published or published.day > 12 or published.day == published.month:
        return found
    year, month, day = published.year, f"0?{published.month}", f"0?{published.day}"
    guessed = rf"\b(?:{day}[-/.]{month}|{month}[-/.]{day})[-/.]{year}\b"
    certain = rf"\b{year}[-/.]?{month}[-/.]?{day}(?:\b|T)"
    return found if re.search(certain, html) or not re.search(guessed, html) else None


WHOLE: dict[str, Callable[[Path], dict[str, object]]] = {
    ".txt": _scraped,
    ".md": markdown_fields,
    ".html": _html,
    ".htm": _html,
}
MANY: dict[str, Callable[[Path], Iterator[Item]]] = {
    ".jsonl": _jsonl,
    ".jsonl.gz": _jsonl,
    ".json": _json,
    ".csv": _csv,
}
SUPPORTED = (*WHOLE, *MANY)
