"""Files as records, and the checked values of a record; every error names file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from rag import SourceError

Record = Mapping[str, object]
"""A JSON object, not checked yet."""

_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".json.gz")


def files_of(path: Path) -> list[Path]:
    """Return the file itself, or the JSON and JSON Lines files below a folder, in order."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.name.endswith(_SUFFIXES))


def read(file: Path) -> bytes:
    """Return the bytes of a file, gunzipped where they are gzipped. Raises `SourceError`."""
    try:
        data = file.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(str(file), f"cannot be read: {error}") from error


def decode(data: bytes, file: Path) -> str:
    """Return UTF-8 text, without a byte order mark. Raises `SourceError` with the line."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError(f"{file}:{line}", "is not UTF-8") from error


def whole(text: str) -> object:
    """Return the one JSON value that a text is, or None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def lines(text: str, file: str) -> Iterator[tuple[str, Record]]:
    """Yield place and record of each line of JSON Lines; empty lines are left out."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(place, f"is not JSON: {error}") from error
        yield place, as_record(record, place)


# Values; each raises `SourceError` for a value of another kind.


def as_record(value: object, place: str) -> Record:
    """Return an object with named values."""
    if isinstance(value, dict):
        return value
    raise SourceError(place, "must be an object with named values")


def text_of(record: Record, name: str, place: str) -> str:
    """Return a text that is not blank."""
    value = record.get(name)
    if isinstance(value, str) and value.strip():
        return value
    raise SourceError(place, f'"{name}" must be text, and not empty')


def list_of(record: Record, name: str, place: str) -> list[object]:
    """Return a list of anything."""
    value = record.get(name)
    if isinstance(value, list):
        return value
    raise SourceError(place, f'"{name}" must be a list')


def texts_of(record: Record, name: str, place: str) -> tuple[str, ...]:
    """Return a list of texts, none of them blank."""
    values = list_of(record, name, place)
    return tuple(text_of({name: value}, name, place) for value in values)


def records_of(record: Record, name: str, place: str) -> list[Record]:
    """Return a list of objects."""
    return [as_record(value, place) for value in list_of(record, name, place)]


def date_of(record: Record, name: str, place: str) -> date:
    """Return a date written as 2023-08-14 or 2023/08/14."""
    try:
        return date.fromisoformat(text_of(record, name, place).replace("/", "-"))
    except ValueError as error:
        raise SourceError(place, f'"{name}" must be a date such as 2023-08-14') from error
