"""Packed files: ZIP, gzip and Zstandard, and one in the other, unpacked in memory as they are read.

Nothing is written to disk, so the names inside are labels and lead nowhere. What comes out is
limited by what went in: a file of a few bytes may unpack to more than any machine holds.
"""

from __future__ import annotations

import gzip
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol, cast

from rag import files
from rag.errors import SourceError
from rag.files import File
from rag.reports import Failure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from zstandard import ZstdDecompressionObj

STREAMS = (".gz", ".zst")
"""The kinds that pack one file."""

KINDS = (".zip", *STREAMS)

MAX_BYTES = 16 * 1024**3
MAX_RATIO = 200
"""How much larger all that is in a file may be than the file. News text is at 3 to 20."""

MAX_ENTRIES = 100_000
MAX_DEPTH = 3
"""How deep packed files may be in one another."""

FREE_BYTES = 32 * 1024 * 1024
"""What any file may unpack to, however small it is."""

_MAX_DIRECTORY = 16 * 1024 * 1024
"""Bytes of the longest list of contents: it is read as a whole."""

_LONGEST_NAME = 1000
_PART = 64 * 1024
_ZSTANDARD_PART = 1024
"""Packed bytes that are unpacked at once: they may become thirty thousand times as many."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, RuntimeError, LookupError, OverflowError, NotImplementedError),
)


@dataclass(slots=True)
class _Budget:
    """What may still come out of one file on disk, at all depths together."""

    place: str
    size: int
    entries: int = 0
    bytes: int = 0

    def enter(self) -> None:
        """Count one file. Raises `SourceError`."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise SourceError(self.place, f"holds more than {MAX_ENTRIES:,} files")

    def take(self, count: int) -> None:
        """Count unpacked bytes. Raises `SourceError`, from then on always."""
        self.bytes += count
        if self.is_spent:
            limit = f"{MAX_BYTES:,} bytes"
            if self.bytes <= MAX_BYTES:
                limit = f"{MAX_RATIO} times its own size"
            raise SourceError(self.place, f"unpacks to more than {limit}")

    @property
    def is_spent(self) -> bool:
        """Whether more has come out than may."""
        return self.bytes > min(max(MAX_RATIO * self.size, FREE_BYTES), MAX_BYTES)


def unpacked(file: File, is_wanted: Callable[[PurePosixPath], bool]) -> Iterator[File | Failure]:
    """The files that a packed file holds, or the file itself where it is none; lazily.

    In a ZIP, only those whose name is wanted. A member that cannot be read is a `Failure`, and the
    rest is read. Raises `SourceError` where nothing more of the file can be, `OSError`. The
    returned files raise both while they are read, and do so in the order of their places.
    """
    if file.suffix not in KINDS:
        return iter([file])
    with file.open() as stream:
        size = stream.seek(0, os.SEEK_END)
    return _members(file, is_wanted, _Budget(file.place, size), 1)


def _members(
    file: File, is_wanted: Callable[[PurePosixPath], bool], budget: _Budget, depth: int
) -> Iterator[File | Failure]:
    if file.suffix not in KINDS:
        yield file
    elif depth > MAX_DEPTH:
        yield Failure(file.place, f"is packed more than {MAX_DEPTH} times over")
    elif file.suffix in STREAMS:
        yield from _members(_stream(file, budget), is_wanted, budget, depth + 1)
    else:
        for member in _zip(file, is_wanted, budget):
            if isinstance(member, Failure):
                yield member
            else:
                yield from _members(member, is_wanted, budget, depth + 1)


# One file in another.


def _stream(file: File, budget: _Budget) -> File:
    def opened() -> RawIOBase:
        packed = file.open()
        if file.suffix == ".gz":
            return _Counted(gzip.GzipFile(fileobj=packed), budget, packed)
        import zstandard

        return _Counted(_Zstandard(packed), budget, packed, (zstandard.ZstdError,))

    return replace(file, name=file.name[: -len(file.suffix)], opened=opened)


class _Source(Protocol):
    def read1(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class _Zstandard:
    """Unpacked bytes. The library's own reader takes a stream that is cut for a whole one."""

    def __init__(self, packed: BufferedReader) -> None:
        from zstandard import ZstdDecompressor

        self._packed = packed
        self._new_frame = ZstdDecompressor().decompressobj
        self._frame: ZstdDecompressionObj | None = None
        self._left = BytesIO()

    def read1(self, size: int, /) -> bytes:
        while not (data := self._left.read(size)):
            part = self._packed.read1(_ZSTANDARD_PART)
            if not part and self._frame is not None:
                raise EOFError("its end is missing")
            if not part:
                break
            self._left = BytesIO(b"".join(self._frames(part)))
        return data

    def _frames(self, part: bytes) -> Iterator[bytes]:
        while part:
            frame = self._frame or self._new_frame()
            yield frame.decompress(part)
            self._frame, part = (None, frame.unused_data) if frame.eof else (frame, b"")

    def close(self) -> None:
        """Whoever opened the packed stream closes it."""


class _Counted(RawIOBase):
    """Unpacked bytes, which are taken from a budget. Every error of unpacking is an `OSError`."""

    def __init__(
        self,
        source: _Source,
        budget: _Budget,
        below: IO[bytes] | None = None,
        errors: tuple[type[Exception], ...] = (),
    ) -> None:
        self._source = source
        self._budget = budget
        self._below = below
        self._errors: tuple[type[Exception], ...] = (*_ERRORS, *errors)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            # What comes before a damage is given out: `read` would lose it.
            data = self._source.read1(min(len(view), _PART))
        except self._errors as error:
            raise _damage(error) from error
        self._budget.take(len(data))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
            if self._below is not None:
                self._below.close()
        super().close()


def _damage(error: Exception) -> OSError:
    if isinstance(error, OSError) and error.strerror:
        return error
    return OSError(" ".join(str(error).split()) or type(error).__name__)


# Many files in one.


def _zip(
    file: File, is_wanted: Callable[[PurePosixPath], bool], budget: _Budget
) -> Iterator[File | Failure]:
    with _seekable(file) as stream:
        try:
            archive = zipfile.ZipFile(_Careful(stream))
        except _ERRORS as error:
            raise SourceError(file.place, f"is no readable ZIP file: {_damage(error)}") from error
        taken: set[str] = set()
        for info in archive.infolist():
            name = "".join(c if c.isprintable() else "\ufffd" for c in info.filename)
            if info.is_dir() or not is_wanted(PurePosixPath(name)):
                continue
            if budget.is_spent:  # The file that did it has said so.
                return
            budget.enter()
            label = f"{file.place}/{name[:_LONGEST_NAME]}"
            if problem := _problem(info, name):
                yield Failure(label, problem)
                continue
            while name in taken:  # Two files of one name must not hide one another.
                name = f"{name}~"
            taken.add(name)
            yield File(label, f"{file.origin}/{name}", label, _opener(archive, info, budget))


def _opener(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget
) -> Callable[[], RawIOBase]:
    def opened() -> RawIOBase:
        try:
            return _Counted(cast(_Source, archive.open(info)), budget)
        except _ERRORS as error:
            raise _damage(error) from error

    return opened


def _problem(info: zipfile.ZipInfo, name: str) -> str:
    """Why a member is not read; empty for one that is."""
    if len(name) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME:,} characters"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return "is packed in a way that is not read: only Deflate is"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link, which is not followed"
    return ""


def _seekable(file: File) -> IO[bytes]:
    """The bytes of a ZIP file: from disk as they are, else held in memory."""
    stream = file.open()
    if stream.seekable():
        return stream
    stream.close()
    return BytesIO(file.read(files.FILE_LIMIT))


class _Careful:
    """A file that reads no part too long: the list of contents may claim any length."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell
        self.seekable = stream.seekable

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(
                f"its list of contents is longer than {_MAX_DIRECTORY:,} bytes"
            )
        return self._stream.read(size if size >= 0 else _MAX_DIRECTORY)

    def close(self) -> None:
        """The one that opened the file closes it."""
