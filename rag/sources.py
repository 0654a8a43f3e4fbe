"""Files, folders and pages become articles; what cannot be read is told with its place.

Reading is lazy, one record at a time, and never uses the network. Every text leaves here fit for
storage: lines end in LF, and what UTF-8 or SQLite cannot hold is one U+FFFD a character.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rag.dates import parse_date
from rag.errors import SourceError
from rag.fetch import Page
from rag.files import decoded, fields_of, kind_of, name_of, storable, with_plain_newlines
from rag.formats import MANY, SUPPORTED, WHOLE, Item, html_fields
from rag.textfiles import scraped_fields
from rag.types import Article, Failure

__all__ = [
    "Record",
    "article_id",
    "count_records",
    "find_files",
    "load",
    "parse_date",
    "read_page",
]

_LONGEST_DERIVED_TITLE = 80
_WEB_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One article and where it came from.

    `origin` is the absolute path of the file; in a file of many records `#` and the record's own id
    follow, or its line or item number. It is unique within a file and stable between runs. A page
    from the web has "url:" and the hash of its address.
    """

    origin: str
    article: Article


def load(paths: Iterable[Path]) -> Iterator[Record | Failure]:
    """Read every article of the files and folders, lazily, in order.

    A path that does not exist raises a `SourceError` at once; whatever else goes wrong is yielded
    as a `Failure` in its turn, and reading goes on.
    """
    return (result for path in find_files(paths) for result in _read(path))


def find_files(paths: Iterable[Path]) -> list[Path]:
    """List the files that `load` would read, each once; folders are walked in sorted order.

    In folders, hidden files, READMEs and unsupported kinds are passed over. A file named explicitly
    is always listed. A path that does not exist raises a `SourceError`.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        for file in _walk(path):
            found.setdefault(_absolute(file), file)
    return list(found.values())


def count_records(paths: Iterable[Path]) -> int:
    """Count what `load` would yield, at a fraction of its cost: the total of a progress bar."""
    return sum(_count(path) for path in find_files(paths))


def read_page(page: Page) -> Record:
    """The article of a page from the web. Raises `SourceError`.

    A page may give its own address, but only on its host: else it could replace the articles of
    another outlet.
    """
    text = decoded(page.data, page.url, page.charset)
    fields = html_fields(text, page.url) if page.is_html else scraped_fields(text)
    own = _web_url(_string(fields, page.url, "url"))
    if _host(own) != _host(page.url):
        fields["url"] = page.url
    article = _article(fields_of(fields, page.url), page.url, page.url)
    return Record(f"url:{article_id(page.url, page.url)}", article)


def article_id(url: str | None, content_key: str) -> str:
    """Return a short stable id: of the canonical form of `url` if there is one, else of the key."""
    key = _canonical(url) if url and _host(url) else content_key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _canonical(url: str) -> str:
    from courlan import clean_url

    # courlan drops query parts without "=", which in "story.php?20230814" name the article.
    if all("=" in part for part in urlsplit(url).query.split("&") if part):
        return clean_url(url) or url
    return url


def _walk(path: Path) -> list[Path]:
    try:
        if not path.exists():
            raise SourceError(name_of(path), "does not exist")
        if not path.is_dir():
            return [path]
    except OSError as error:
        raise SourceError(name_of(path), _unreadable(error)) from error
    found: list[Path] = []
    errors: list[OSError] = []
    for folder, subfolders, names in os.walk(path, onerror=errors.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = (Path(folder, name) for name in sorted(names))
        found += [file for file in files if _is_wanted(file)]
    # A folder that cannot be listed becomes an entry, so that `load` reports it in its turn.
    return found + [Path(error.filename) for error in errors]


def _is_wanted(path: Path) -> bool:
    name = path.name.casefold()
    is_noise = name.startswith(".") or name in {"readme.md", "readme.txt"}
    return not is_noise and _suffix(path) in SUPPORTED


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".jsonl.gz" if name.endswith(".jsonl.gz") else path.suffix.lower()


def _absolute(path: Path) -> str:
    # Path.resolve raises on a loop of links, where realpath stops.
    return name_of(Path(os.path.realpath(path)))


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _read(path: Path) -> Iterator[Record | Failure]:
    place, suffix = name_of(path), _suffix(path)
    try:
        if suffix not in SUPPORTED and not path.is_dir():
            raise SourceError(place, f"is none of the supported kinds: {', '.join(SUPPORTED)}")
        if not path.is_file():
            raise SourceError(place, "cannot be read: it is no file, or a folder without access")
        if suffix in WHOLE:
            items: Iterator[Item] = iter([(0, place, WHOLE[suffix](path))])
        else:
            items = MANY[suffix](path)
        yield from _records(path, items)
    except SourceError as error:
        yield Failure(error.place, error.reason)
    except OSError as error:
        yield Failure(place, _unreadable(error))


def _count(path: Path) -> int:
    items = MANY.get(_suffix(path))
    try:
        return sum(1 for _ in items(path)) if items and path.is_file() else 1
    except (SourceError, OSError):
        return 1


def _records(path: Path, items: Iterator[Item]) -> Iterator[Record | Failure]:
    file, taken = _absolute(path), set[str]()
    for number, place, value in items:
        if isinstance(value, Failure):
            yield value
            continue
        try:
            fields = fields_of(value, place)
            article = _article(fields, place, file)
        except SourceError as error:
            yield Failure(error.place, error.reason)
            continue
        suffix = _explicit_id(fields, place) or str(number)
        while suffix in taken:  # An id that a file uses twice must not hide the second record.
            suffix = f"{number}~{suffix}"
        taken.add(suffix)
        yield Record(f"{file}#{suffix}" if number else file, article)


# From named values to an article.


def _article(fields: Mapping[str, object], place: str, file: str) -> Article:
    text = with_plain_newlines(_string(fields, place, "text") or "")
    if not any(character.isalpha() for character in text):
        raise SourceError(place, "has no text")
    title = _one_line(_string(fields, place, "title")) or _first_words(text)
    url = _web_url(_string(fields, place, "url"))
    source = _one_line(_string(fields, place, "source", "outlet")) or _host(url)
    explicit = _explicit_id(fields, place)
    # Outlets number their articles alike, so an id alone would let one overwrite another's.
    key = f"{source or file}\n{explicit}" if explicit else f"{title}\n{text}"
    return Article(
        id=article_id(url, key),
        title=title,
        text=text,
        source=source,
        url=url,
        published=parse_date(_date_value(fields, place)),
    )


def _string(fields: Mapping[str, object], place: str, *names: str) -> str | None:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str):
            return storable(value)
        if value is not None:
            raise SourceError(place, f'"{name}" must be text, not {kind_of(value)}')
    return None


def _explicit_id(fields: Mapping[str, object], place: str) -> str | None:
    value = fields.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _one_line(_string(fields, place, "id"))


def _date_value(fields: Mapping[str, object], place: str) -> object:
    for name in ("published", "date"):
        value = fields.get(name)
        if isinstance(value, bool | list | dict):
            raise SourceError(place, f'"{name}" must be a date, not {kind_of(value)}')
        if value is not None:
            return value
    return None


def _one_line(text: str | None) -> str | None:
    return " ".join(text.split()) or None if text else None


def _first_words(text: str) -> str:
    start = " ".join(text.lstrip()[: 4 * _LONGEST_DERIVED_TITLE].split())
    if len(start) <= _LONGEST_DERIVED_TITLE:
        return start
    words = start[: _LONGEST_DERIVED_TITLE + 1].rpartition(" ")[0]
    return words or start[:_LONGEST_DERIVED_TITLE]


def _web_url(text: str | None) -> str | None:
    """Keep http and https only: a stored `javascript:` link would be a trap for the reader."""
    url = (text or "").strip()
    return url if _WEB_URL.fullmatch(url) and _host(url) else None


def _host(url: str | None) -> str | None:
    try:
        return urlsplit(url).hostname or None if url else None
    except ValueError:
        return None
