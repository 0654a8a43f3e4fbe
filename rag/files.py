"""Files into text and lines, in bounded memory, whatever bytes they hold."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from itertools import count
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from rag.errors import SourceError
from rag.reports import Failure

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of the longest line, and characters of the longest CSV row, that are read."""

ARTICLE_LIMIT = 8 * 1024 * 1024
"""Bytes of the longest file that is one article."""

FILE_LIMIT = 32 * 1024 * 1024
"""Bytes of the longest file of many articles that has to be read as a whole."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_WEB_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
_SAMPLE = 1024 * 1024
_UNKNOWN_ENCODING = "is not text in UTF-8 or another encoding that can be told"


@dataclass(frozen=True, slots=True)
class File:
    """Bytes under a name: a file on disk, or one that is packed in it and never written to disk.

    `place` names it in messages, `origin` in the archive; `name` ends with what tells its kind.
    """

    place: str
    origin: str
    name: str
    opened: Callable[[], RawIOBase]

    @property
    def suffix(self) -> str:
        """The kind, as ".html"."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """The last part of the name without its kind."""
        return PurePosixPath(self.name).stem

    def open(self) -> BufferedReader:
        """The bytes. Raises `OSError`, also while they are read."""
        return BufferedReader(self.opened(), _SAMPLE)

    def read(self, limit: int) -> bytes:
        """All bytes. Raises `SourceError` where they are more than the limit, `OSError`."""
        with self.open() as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise SourceError(self.place, f"is larger than {limit:,} bytes")
        return data


def on_disk(path: Path) -> File:
    """The file of a path; nothing is opened yet."""
    # Path.resolve raises on a loop of links, where realpath stops.
    origin = name_of(Path(os.path.realpath(path)))
    return File(name_of(path), origin, path.name, lambda: path.open("rb", buffering=0))


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


def storable(text: str) -> str:
    """Return the text with one U+FFFD for each character that UTF-8 or SQLite cannot hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def reason_of(error: Exception) -> str:
    """What went wrong, on one line: a library's message may be empty, long, or about itself."""
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, AttributeError | TypeError | AssertionError | IndexError):
        return "it is not built as it should be"
    return " ".join(str(error).split())[:200] or type(error).__name__


def web_url(text: str | None) -> str | None:
    """Keep http and https only: a stored `javascript:` link would be a trap for the reader."""
    url = (text or "").strip()
    return url if _WEB_URL.fullmatch(url) and host_of(url) else None


def host_of(url: str | None) -> str | None:
    """The host of an address, if it has one."""
    try:
        return urlsplit(url).hostname or None if url else None
    except ValueError:
        return None


def with_plain_newlines(text: str) -> str:
    """Return the text with LF alone as the end of a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_of(file: File, limit: int) -> str:
    """Read a whole file as text. Raises `SourceError`, `OSError`."""
    return decoded(file.read(limit), file.place)


def decoded(data: bytes, place: str, told: str | None = None) -> str:
    """Decode a whole text: as UTF-8, else as the encoding `told`, else as it looks.

    Raises `SourceError`.
    """
    text = _decode(data, "utf-8-sig")
    if text is None and told:
        text = _decode(data, told)
    if text is None:
        text = _decode(data, _guess_encoding(data))
    if text is None:
        raise SourceError(place, _UNKNOWN_ENCODING)
    return with_plain_newlines(text)


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError):  # no encoding may have the name that was told
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


def lines_of(file: File) -> Iterator[tuple[int, str | Failure]]:
    """Yield the numbered lines in bounded memory; a damaged file ends with a `Failure`."""
    encoding = ""
    with file.open() as stream:
        for number in count(1):
            place = f"{file.place}:{number}"
            try:
                line = _read_line(stream)
                text = None if line is None else _decode(line, "utf-8-sig")
                if line and text is None:
                    encoding = encoding or _guess_encoding(line + stream.peek(_SAMPLE))
                    text = _decode(line, encoding)
            except OSError as error:
                yield number, Failure(place, f"the file is damaged from here on: {error}")
                return
            if line is None:
                yield number, Failure(place, f"is longer than {LINE_LIMIT:,} bytes")
            elif line:
                yield number, Failure(place, _UNKNOWN_ENCODING) if text is None else text
            else:
                return


def _read_line(stream: BufferedReader) -> bytes | None:
    """Read a line; `None` stands for one above the limit, which is skipped in small parts."""
    line = stream.readline(LINE_LIMIT + 1)
    if len(line) <= LINE_LIMIT or line.endswith(b"\n"):
        return line
    while (part := stream.readline(_SAMPLE)) and not part.endswith(b"\n"):
        pass
    return None


def folder_size(folder: Path) -> int:
    """Bytes of all files of a folder; one that another process removes meanwhile is not there."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file():
                total += file.stat().st_size
    return total
