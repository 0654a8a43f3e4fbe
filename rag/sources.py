"""Files, folders and pages become articles; what cannot be read is told with its place.

Reading is lazy, one record at a time, and never uses the network. Every text leaves here fit for
storage: lines end in LF, and what UTF-8 or SQLite cannot hold is one U+FFFD a character.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from urllib.parse import urlsplit

from rag import documents, formats, packed
from rag.database import LONGEST_KEY
from rag.dates import parse_date, parse_time
from rag.errors import SourceError
from rag.fetch import Page
from rag.files import (
    File,
    fields_of,
    host_of,
    kind_of,
    name_of,
    on_disk,
    storable,
    web_url,
    with_plain_newlines,
)
from rag.formats import Item, page_fields
from rag.reports import Failure
from rag.types import Article

__all__ = [
    "Record",
    "article_id",
    "count_records",
    "find_files",
    "is_wanted",
    "load",
    "page_origin",
    "parse_date",
    "read_page",
]

READERS = formats.READERS | documents.READERS
SUPPORTED = (*READERS, *packed.KINDS)

MAX_FAILURES = 1000
"""Failures of one file on disk that are told one by one."""

_LONGEST_DERIVED_TITLE = 80
_LONGEST_DETAIL = 200
_LONGEST_ID = 200
_LANGUAGE = re.compile(r"([a-z]{2,3})((?:[-_][a-z0-9]{2,8})*)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Record:
    """One article and where it came from.

    `origin` is the absolute path of the file, with its place in a packed one; in a file of many
    records `#` and the record's own id follow, or its line or item number. It is unique within a
    file and stable between runs. A page from the web has "url:" and the hash of its address.
    `is_whole` says that the origin holds this one article and nothing else.
    """

    origin: str
    article: Article
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """So many articles that are stored already, as the list that names them says."""

    count: int


Found = Record | Known | Failure

Reading = Callable[[Iterable[Path]], Iterator[Found]]
"""Reads files and folders, as `load` does."""


def load(paths: Iterable[Path]) -> Iterator[Record | Failure]:
    """Read every article of the files and folders, lazily, in order.

    A path that does not exist raises a `SourceError` at once; whatever else goes wrong is yielded
    as a `Failure` in its turn, and reading goes on.
    """
    return (result for path in find_files(paths) for result in _told(path, _read(path)))


def find_files(paths: Iterable[Path]) -> list[Path]:
    """List the files that `load` would read, each once; folders are walked in sorted order.

    In folders, hidden files, READMEs and unsupported kinds are passed over. A file named explicitly
    is always listed. A path that does not exist raises a `SourceError`.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        for file in _walk(path):
            found.setdefault(on_disk(file).origin, file)
    return list(found.values())


def count_records(paths: Iterable[Path]) -> int:
    """Count what `load` would yield, at a fraction of its cost: the total of a progress bar."""
    return sum(_count(path) for path in find_files(paths))


def read_page(page: Page, known: Mapping[str, object] | None = None) -> Record:
    """The article of a page from the web. Raises `SourceError`.

    `known` has named values that stand in where the page does not have them.
    """
    fields = {**(known or {}), **fields_of(page_fields(page, page.url), page.url)}
    return Record(page_origin(page.url), _article(fields, page.url, page.url))


def page_origin(url: str) -> str:
    """The origin of the record of a page."""
    return f"url:{article_id(url, url)}"


def article_id(url: str | None, content_key: str) -> str:
    """Return a short stable id: of the canonical form of `url` if there is one, else of the key."""
    key = _canonical(url) if url and host_of(url) else content_key
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _canonical(url: str) -> str:
    from courlan import clean_url

    # courlan drops query parts without "=", which in "story.php?20230814" name the article.
    if all("=" in part for part in urlsplit(url).query.split("&") if part):
        url = clean_url(url) or url
    # A place in a page is no page of its own; "#!" and "#/" lead to one in a page made by scripts.
    page, _, place = url.partition("#")
    return url if place.startswith(("!", "/")) else page


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
        found += [file for file in files if is_wanted(file)]
    # A folder that cannot be listed becomes an entry, so that `load` reports it in its turn.
    return found + [Path(error.filename) for error in errors]


def is_wanted(path: PurePath) -> bool:
    """Whether a file is read where it is found in a folder, by its name."""
    name = path.name.casefold()
    is_noise = name.startswith(".") or name in {"readme.md", "readme.txt"}
    suffixes = [path.suffix.lower()]
    while suffixes[-1] in packed.STREAMS:
        path = path.with_suffix("")
        suffixes.append(path.suffix.lower())
    return not is_noise and suffixes[-1] in SUPPORTED


def _is_wanted_within(path: PurePosixPath) -> bool:
    """Whether a file in a packed one is read; `path` is its name there."""
    folders = (part for part in path.parts[:-1] if part != "..")
    is_hidden = any(part.startswith(".") or part == "__MACOSX" for part in folders)
    return not is_hidden and is_wanted(path)


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror or error}"


def _told(path: Path, results: Iterator[Record | Failure]) -> Iterator[Record | Failure]:
    """The first failures of a file one by one, the others as a number: they could fill memory."""
    failures, result = 0, None
    for result in results:
        failures += isinstance(result, Failure)
        if failures <= MAX_FAILURES or isinstance(result, Record):
            yield result
    if result is None:
        yield Failure(name_of(path), "holds nothing that could be read as an article")
    if failures > MAX_FAILURES:
        more = failures - MAX_FAILURES
        yield Failure(name_of(path), f"has {more:,} more records that cannot be read")


def _read(path: Path) -> Iterator[Record | Failure]:
    for file in _opened(path):
        if isinstance(file, Failure):
            yield file
            continue
        try:
            yield from _records(file, _reader(file)(file))
        except SourceError as error:
            yield Failure(error.place, error.reason)
        except OSError as error:
            yield Failure(file.place, _unreadable(error))


def _opened(path: Path) -> Iterator[File | Failure]:
    """The file of a path, or the files that are packed in it."""
    file = on_disk(path)
    try:
        if not path.is_file():
            reason = "cannot be read: it is no file, or a folder without access"
            raise SourceError(file.place, reason)
        yield from packed.unpacked(file, _is_wanted_within)
    except SourceError as error:
        yield Failure(error.place, error.reason)
    except OSError as error:
        yield Failure(file.place, _unreadable(error))


def _reader(file: File) -> formats.Reader:
    reader = READERS.get(file.suffix)
    if reader is None:
        kinds = ", ".join(SUPPORTED)
        raise SourceError(file.place, f"is none of the supported kinds: {kinds}")
    return reader


def _count(path: Path) -> int:
    count = 0
    for file in _opened(path):
        try:
            if isinstance(file, File):
                count += sum(1 for _ in _reader(file)(file))
            else:
                count += 1
        except (SourceError, OSError):
            count += 1
    return max(count, 1)


def _records(file: File, items: Iterator[Item]) -> Iterator[Record | Failure]:
    taken = set[str]()
    for number, place, value in items:
        try:
            given = value() if callable(value) else value
            if isinstance(given, Failure):
                yield given
                continue
            fields = fields_of(given, place)
            article = _article(fields, place, file.origin)
        except SourceError as error:
            yield Failure(error.place, error.reason)
            continue
        suffix = _explicit_id(fields, place) or str(number)
        if len(suffix) > _LONGEST_ID:
            suffix = article_id(None, suffix)
        while suffix in taken:  # An id that a file uses twice must not hide the second record.
            suffix = f"{number}~{suffix}"
        taken.add(suffix)
        origin = f"{file.origin}#{suffix}" if number else file.origin
        yield Record(origin, article, is_whole=not number)


# From named values to an article.


def _article(fields: Mapping[str, object], place: str, file: str) -> Article:
    text = with_plain_newlines(_string(fields, place, "text") or "")
    if not any(character.isalpha() for character in text):
        raise SourceError(place, "has no text")
    title = _one_line(_string(fields, place, "title")) or _first_words(text)
    url = web_url(_string(fields, place, "url"))
    source = _one_line(_string(fields, place, "source", "outlet")) or host_of(url)
    explicit = _explicit_id(fields, place)
    # Outlets number their articles alike, so an id alone would let one overwrite another's.
    key = f"{source or file}\n{explicit}" if explicit else f"{title}\n{text}"
    exported = _one_line(_string(fields, place, "newsrag_id"))  # what `newsrag export` writes
    if exported and len(exported) > LONGEST_KEY:
        raise SourceError(place, f"newsrag_id has over {LONGEST_KEY} characters")
    return Article(
        id=exported or article_id(url, key),
        title=title,
        text=text,
        source=source,
        url=url,
        published=parse_date(_date_value(fields, place)),
        author=_detail(fields, "author", "authors", "byline"),
        language=_language(_detail(fields, "language", "lang")),
        section=_detail(fields, "section", "category"),
        modified=parse_time(fields.get("modified") or fields.get("updated")),
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


def _detail(fields: Mapping[str, object], *names: str) -> str | None:
    """The first of the values that is text, or a list of texts; what is neither is left out."""
    for name in names:
        value = fields.get(name)
        parts = value if isinstance(value, list) else [value]
        texts = [storable(part) for part in parts if isinstance(part, str) and part.strip()]
        if texts and len(texts) == len(parts):
            return (_one_line("; ".join(texts)) or "")[:_LONGEST_DETAIL]
    return None


def _language(tag: str | None) -> str | None:
    """A language tag in its usual form, such as "en" or "pt-BR"; None for anything else."""
    match = _LANGUAGE.fullmatch(tag or "")
    if not match:
        return None
    region = match[2].replace("_", "-")
    return match[1].lower() + (region.upper() if len(region) == 3 else region)


def _one_line(text: str | None) -> str | None:
    return " ".join(text.split()) or None if text else None


def _first_words(text: str) -> str:
    start = " ".join(text.lstrip()[: 4 * _LONGEST_DERIVED_TITLE].split())
    if len(start) <= _LONGEST_DERIVED_TITLE:
        return start
    words = start[: _LONGEST_DERIVED_TITLE + 1].rpartition(" ")[0]
    return words or start[:_LONGEST_DERIVED_TITLE]
