"""The file formats: bytes become named values, one record at a time, in bounded memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import os
import re
import warnings
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from itertools import count
from pathlib import Path
from typing import Literal

from rag.dates import parse_date
from rag.errors import SourceError
from rag.types import Failure

LINE_LIMIT = 32 * 1024 * 1024
"""Bytes of the longest line, and characters of the longest CSV field, that are read."""

FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of the longest file of a format that has to be read as a whole."""

_SAMPLE = 1024 * 1024
_LONGEST_TITLE = 250
_UNKNOWN_ENCODING = "is not text in UTF-8 or another encoding that can be told"
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

_FURNITURE = frozenset(
    {
        "advertisement",
        "advertisements",
        "comments are closed",
        "continue reading",
        "leave a comment",
        "read more",
        "related articles",
        "related stories",
        "share this",
        "share this article",
        "sign up",
        "sign up for our newsletter",
        "subscribe now",
    }
)
_HEADER = re.compile(
    r"(?P<name>title|headline|source|outlet|published|date|url|link|author|by)\s*:\s*(?P<value>.*)",
    re.IGNORECASE,
)
_HEADER_NAMES = {
    "title": "title",
    "headline": "title",
    "source": "source",
    "outlet": "source",
    "published": "published",
    "date": "published",
    "url": "url",
    "link": "url",
}
_BYLINE = re.compile(r"(?:By|BY)\s.{1,80}(?<![.!?:;\"”])")
_SMALL_WORDS = frozenset({"and", "at", "da", "de", "del", "der", "di", "for", "of", "van", "von"})
_ORIGIN = re.compile(
    r"(?:original (?:story|article)|(?:article |story )?originally (?:published|appeared))"
    r"\s+(?:at|by|in|on)\s+(?P<where>.+?)(?:\s+(?:[-–—|]|on)\s+(?P<when>.+))?",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:https?://)?[\w-]+(?:\.[\w-]+)+(?:/\S*)?", re.IGNORECASE)

Item = tuple[int, str, object]
"""A record of a file: its number there (0: it is the whole file), its place, its value."""


def name_of(path: Path) -> str:
    """Return the path as storable text; a file name on disk may hold bytes that are not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def fields_of(value: object, place: str) -> dict[str, object]:
    """Return the named values that are there, under lower-case names; else raise `SourceError`."""
    if not isinstance(value, Mapping):
        raise SourceError(place, f"must be an object with named values, not {kind_of(value)}")
    return {
        name.strip().casefold(): given
        for name, given in value.items()
        if isinstance(name, str) and given is not None and given != ""
    }


def kind_of(value: object) -> str:
    """Name the type of a JSON value for an error message."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    kinds |= {list: "a list", dict: "an object"}
    return kinds.get(type(value), "null")


def with_plain_newlines(text: str) -> str:
    """Return the text with LF alone as the end of a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


# From bytes to text.


def _text_of(path: Path) -> str:
    if path.stat().st_size > FILE_LIMIT:
        raise SourceError(name_of(path), f"is larger than {FILE_LIMIT:,} bytes")
    data = path.read_bytes()
    text = _decode(data, "utf-8-sig")
    if text is None:
        text = _decode(data, _guess_encoding(data))
    if text is None:
        raise SourceError(name_of(path), _UNKNOWN_ENCODING)
    return with_plain_newlines(text)


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _guess_encoding(data: bytes) -> str:
    """Guess the encoding of bytes that are not UTF-8; "ascii", which cannot fit, for no idea."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    from charset_normalizer import from_bytes

    # The library looks at few places: show it the lines that tell, and the charset that HTML names.
    lines = data[:_SAMPLE].splitlines(keepends=True)
    if len(data) > _SAMPLE and len(lines) > 1:
        lines.pop()  # It may end within a character.
    telling = [line for number, line in enumerate(lines) if number < 20 or not line.isascii()]
    best = from_bytes(b"".join(telling)).best()
    return best.encoding if best else "ascii"


def _lines(path: Path) -> Iterator[tuple[int, str | Failure]]:
    """Yield the numbered lines in bounded memory; a damaged file ends with a `Failure`."""
    encoding = ""
    with _open(path) as file:
        for number in count(1):
            place = f"{name_of(path)}:{number}"
            try:
                line = _read_line(file)
                text = None if line is None else _decode(line, "utf-8-sig")
                if line and text is None:
                    encoding = encoding or _guess_encoding(line + file.peek(_SAMPLE))
                    text = _decode(line, encoding)
            except (EOFError, OSError, zlib.error) as error:
                yield number, Failure(place, f"the file is damaged from here on: {error}")
                return
            if line is None:
                yield number, Failure(place, f"is longer than {LINE_LIMIT:,} bytes")
            elif line:
                yield number, Failure(place, _UNKNOWN_ENCODING) if text is None else text
            else:
                return


def _open(path: Path) -> BufferedReader | gzip.GzipFile:
    if path.suffix.lower() == ".gz":
        return gzip.open(path)
    return BufferedReader(path.open("rb", buffering=0), _SAMPLE)


def _read_line(file: BufferedReader | gzip.GzipFile) -> bytes | None:
    """Read a line; `None` stands for one above the limit, which is skipped in small parts."""
    line = file.readline(LINE_LIMIT + 1)
    if len(line) <= LINE_LIMIT or line.endswith(b"\n"):
        return line
    while (part := file.readline(_SAMPLE)) and not part.endswith(b"\n"):
        pass
    return None


# Files of many records.


def _jsonl(path: Path) -> Iterator[Item]:
    for number, line in _lines(path):
        place = f"{name_of(path)}:{number}"
        if isinstance(line, Failure):
            yield number, place, line
        elif stripped := line.strip():
            yield number, place, _parse_json(stripped, name_of(path), number)


def _json(path: Path) -> Iterator[Item]:
    place = name_of(path)
    data = _parse_json(_text_of(path), place)
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
    csv.field_size_limit(LINE_LIMIT)
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
    for number, line in _lines(path):
        if isinstance(line, Failure):
            bad.append((number, line.place, line))
        yield "\n" if isinstance(line, Failure) else line


def _by_name(header: list[str], row: list[str], place: str) -> object:
    if len(row) > len(header):
        return Failure(place, f"has {len(row)} columns, but the header has {len(header)}")
    return dict(zip(header, row, strict=False))


# Files of one article.


def _html(path: Path) -> dict[str, object]:
    with warnings.catch_warnings():
        # Its import of urllib3 warns of a missing proxy library, which we have no use for.
        warnings.filterwarnings("ignore", message="SOCKS support")
        import trafilatura
    from lxml.etree import LxmlError  # type: ignore[import-untyped]
    from trafilatura.settings import Document

    html = _text_of(path)
    try:
        page = trafilatura.bare_extraction(
            html, with_metadata=True, include_comments=False, date_extraction_params=_HTML_DATES
        )
    except (*_PARSER_ERRORS, LxmlError) as error:
        raise SourceError(name_of(path), f"cannot be parsed as HTML: {error}") from error
    if not isinstance(page, Document) or not page.text:
        raise SourceError(name_of(path), "holds no article text")
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


def _markdown(path: Path) -> dict[str, object]:
    fields, body = _front_matter(_text_of(path), name_of(path))
    lines = body.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("# ") and (title := line[2:].strip("# \t")):
            if fields.setdefault("title", title) == title:
                del lines[number]
            break
    fields.setdefault("title", path.stem)
    return {**fields, "text": "\n".join(lines).strip("\n")}


def _front_matter(text: str, place: str) -> tuple[dict[str, object], str]:
    import yaml
    from frontmatter.default_handlers import YAMLHandler

    handler = YAMLHandler()
    boundary = handler.FM_BOUNDARY.match(text)
    if not boundary or len(handler.FM_BOUNDARY.findall(text)) < 2:
        return {}, text
    front, body = handler.split(text)
    try:
        # The base loader leaves values as written: a title may be 1984, a date stays unshifted.
        values = handler.load(front, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        offset = mark.line if mark else front.count("\n", 0, getattr(error, "position", 0))
        line = text.count("\n", 0, boundary.end()) + offset + 1
        problem = getattr(error, "problem", None) or "it is not readable as YAML"
        raise SourceError(f"{place}:{line}", f"has broken front matter: {problem}") from error
    if values is not None and not isinstance(values, dict):
        return {}, text  # Prose between two rules is no front matter.
    fields = fields_of(values or {}, place)
    return {name: value for name, value in fields.items() if value not in ("~", "null")}, body


def _plain_text(path: Path) -> dict[str, object]:
    """Take a scraped article apart: title, header, body, footer."""
    fields: dict[str, object] = {}
    lines: deque[str] = deque()
    title = ""
    for line in _text_of(path).split("\n"):
        is_kept = not _is_furniture(line) and not _take_origin(line, fields)
        if is_kept and (line.strip() or (lines and lines[-1].strip())):
            lines.append(line)
    _trim(lines, fields, lines.popleft, 0)
    if "title" not in fields and lines and len(lines[0]) <= _LONGEST_TITLE:
        fields["title"] = title = lines.popleft()
        _trim(lines, fields, lines.popleft, 0)
    _trim(lines, fields, lines.pop, -1)
    if title and not lines:
        lines.append(str(fields.pop("title")))  # A lone line is no headline.
    return {**fields, "text": "\n".join(lines)}


def _is_furniture(line: str) -> bool:
    stripped = line.strip()
    if not stripped:
        return False
    has_letter = any(character.isalpha() for character in stripped)
    return not has_letter or stripped.casefold().rstrip(" .:!…") in _FURNITURE


def _trim(
    lines: deque[str], fields: dict[str, object], take: Callable[[], str], end: Literal[0, -1]
) -> None:
    """Take header or footer lines and blank ones off one end of the lines."""
    while lines and (not lines[end].strip() or _take_header(lines[end], fields)):
        take()


def _take_header(line: str, fields: dict[str, object]) -> bool:
    """Read a line such as "Source: The Courier" into the fields; say whether it is one."""
    line = line.strip()
    if len(line) > _LONGEST_TITLE:
        return False
    if not (match := _HEADER.fullmatch(line)):
        # Before the title, "By Any Means" is the title.
        return "title" in fields and bool(_BYLINE.fullmatch(line)) and _is_name(line[3:])
    name, value = _HEADER_NAMES.get(match["name"].casefold()), match["value"]
    if name == "source" and not _is_name(value) and not _ADDRESS.fullmatch(value):
        return False  # A headline: "Source: Rovers to sign a new keeper".
    if name and value and (name != "published" or parse_date(value)):
        fields.setdefault(name, value)
    return True


def _is_name(text: str) -> bool:
    """Tell "Ann Lee and Bo Ek, Staff Writers" from the words of a sentence."""
    words = text.removeprefix("the ").split()
    return all(not w[0].isalpha() or w[0].isupper() or w in _SMALL_WORDS for w in words)


def _take_origin(line: str, fields: dict[str, object]) -> bool:
    """Read a line such as "Original Story at www.example.com – 2023-08-14" into the fields."""
    match = _ORIGIN.fullmatch(line.strip()) if len(line) <= _LONGEST_TITLE else None
    if not match:
        return False
    where, when = match["where"], match["when"]
    published = parse_date(when or where)
    is_address = bool(_ADDRESS.fullmatch(where))
    if not is_address and not published:
        return False
    if published:
        fields.setdefault("published", when or where)
    if where.casefold().startswith("http"):
        fields.setdefault("url", where)
    elif is_address:
        fields.setdefault("source", where.partition("/")[0].lower())
    elif when:
        fields.setdefault("source", where)
    return True


WHOLE: dict[str, Callable[[Path], dict[str, object]]] = {
    ".txt": _plain_text,
    ".md": _markdown,
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
