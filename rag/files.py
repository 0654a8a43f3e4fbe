"""Files into text and lines, in bounded memory, whatever bytes they hold."""

from __future__ import annotations

import codecs
import gzip
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from itertools import count
from pathlib import Path

from rag.errors import SourceError
from rag.types import Failure

LINE_LIMIT = 32 * 1024 * 1024
"""Bytes of the longest line, and characters of the longest CSV field, that are read."""

FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of the longest file of a format that has to be read as a whole."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SAMPLE = 1024 * 1024
_UNKNOWN_ENCODING = "is not text in UTF-8 or another encoding that can be told"


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


def with_plain_newlines(text: str) -> str:
    """Return the text with LF alone as the end of a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_of(path: Path) -> str:
    """Read a whole file as text. Raises `SourceError`, `OSError`."""
    if path.stat().st_size > FILE_LIMIT:
        raise SourceError(name_of(path), f"is larger than {FILE_LIMIT:,} bytes")
    return decoded(path.read_bytes(), name_of(path))


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


def lines_of(path: Path) -> Iterator[tuple[int, str | Failure]]:
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
