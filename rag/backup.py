"""An archive as one file, and back: a ZIP of its SQLite files and of its vectors.

The SQLite files are copied at one moment, while others read and one writes. Articles in PostgreSQL
become such a file, and are restored as one; `newsrag move` brings them to PostgreSQL again. Of the
indexes only the vectors are kept, which are what takes long to make; restoring builds the indexes
anew from them.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from rag import ledgeraudit as audit
from rag.agreement import check, mend
from rag.conversationfile import FILE_NAME as CONVERSATIONS
from rag.editions import forget_stores
from rag.errors import ArchiveError
from rag.indexes import Indexes
from rag.ledger import Ledger
from rag.ledgerfile import FILE_NAME, LedgerFile, copy_database, integrity
from rag.models import Embedder
from rag.store import Store

_FORMAT = 1
_MANIFEST = "manifest.json"
_COPIED = (FILE_NAME, CONVERSATIONS, "calibration.json")
_VECTORS = re.compile(r"vectors/\d{6}-(ids|rows)\.npy")
_IDS = re.compile(r"vectors/\d{6}-ids\.npy")
_WINDOW = 4_000
_CHUNK = 1 << 20
_LARGEST = 1 << 28
"""Bytes of a member that is read as a whole; those of a window of vectors are a tenth of it."""
_SPACE = 3
"""How much larger an archive is than what its backup unpacks to."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup has: articles, passages, and how many of their vectors."""

    articles: int
    passages: int
    vectors: int


def backup(store: Store, file: Path) -> BackupReport:
    """Write the archive into a .zip, whole or not at all; an existing file is replaced.

    Raises `ArchiveError`.
    """
    if file.suffix.lower() != ".zip":
        raise ArchiveError(f"{file} must end in .zip: that is what a backup is")
    partial = file.with_name(f"{file.name}.partial")
    try:
        with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".backup-") as work:
            copies = _copies(store, Path(work))
            with zipfile.ZipFile(partial, "w") as target:
                report = _write(copies, store.indexes, target)
        partial.replace(file)
    except OSError as error:
        raise ArchiveError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return report


def _copies(store: Store, work: Path) -> dict[str, Path]:
    """Consistent copies of the files that a backup has, by name."""
    store.ledger.database.copy_to(work / FILE_NAME)
    found = {FILE_NAME: work / FILE_NAME}
    for name in _COPIED[1:]:
        source, target = store.folder / name, work / name
        if source.exists():
            copy = copy_database if source.suffix == ".sqlite" else shutil.copyfile
            copy(source, target)
            found[name] = target
    return found


def _write(copies: dict[str, Path], indexes: Indexes, target: zipfile.ZipFile) -> BackupReport:
    """The members, the manifest last: a file without it was not completed."""
    sums = {}
    vectors = 0
    ledger = Ledger(LedgerFile(copies[FILE_NAME]))
    try:
        passages = 0
        for number, wanted in enumerate(_windows(ledger)):
            ids, rows = indexes.vectors.vectors(wanted)
            passages += len(wanted)
            vectors += len(ids)
            for kind, values in (("ids", np.array(ids, np.int64)), ("rows", rows)):
                name = f"vectors/{number:06}-{kind}.npy"
                sums[name] = _add(target, name, _as_file(values), zipfile.ZIP_STORED)
        report = BackupReport(ledger.count("current"), passages, vectors)
    finally:
        ledger.close()  # which also brings its log into the file
    for name, copy in copies.items():
        with copy.open("rb") as file:
            sums[name] = _add(target, name, file, zipfile.ZIP_DEFLATED)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {"format": _FORMAT, "made": made, "articles": report.articles, "sha256": sums}
    target.writestr(_MANIFEST, json.dumps(manifest, indent=1))
    return report


def _windows(ledger: Ledger) -> Iterator[list[int]]:
    last = 0
    while numbers := audit.passage_numbers(ledger, last, _WINDOW):
        yield numbers
        last = numbers[-1]


def _as_file(values: NDArray[Any]) -> IO[bytes]:
    file = BytesIO()
    np.save(file, values, allow_pickle=False)
    file.seek(0)
    return file


def _add(target: zipfile.ZipFile, name: str, file: IO[bytes], compression: int) -> str:
    """Add a member; returns its SHA-256."""
    member = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    member.compress_type = compression
    with target.open(member, "w", force_zip64=True) as out:
        return _copy(file, out)


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    """Copy all bytes; returns their SHA-256."""
    digest = hashlib.sha256()
    while part := source.read(_CHUNK):
        digest.update(part)
        target.write(part)
    return digest.hexdigest()


def restore(file: Path, folder: Path, embedder_for: Callable[[str], Embedder]) -> BackupReport:
    """Make an archive in a new or empty folder from a backup, verified, whole or not at all.

    `embedder_for` gives the embedder of a name; it is asked only for vectors that the backup lacks.
    Raises `ArchiveError` for a folder that is in use, and for a file that is no sound backup.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArchiveError(f"{folder} is not empty; restore into a new folder")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=".restore-") as work:
            made = Path(work) / "archive"
            made.mkdir()
            with zipfile.ZipFile(file) as source:
                report = _restore(source, made, embedder_for)
            if folder.exists():
                folder.rmdir()
            made.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(f"{file} is not a sound backup: {error}") from error
    except OSError as error:
        raise ArchiveError(f"{file} cannot be restored: {error.strerror or error}") from error
    except _UnsoundError as error:
        raise ArchiveError(f"{file} is not a sound backup: {error}") from error
    return report


class _UnsoundError(Exception):
    """What is wrong with a backup."""


def _restore(
    source: zipfile.ZipFile, folder: Path, embedder_for: Callable[[str], Embedder]
) -> BackupReport:
    sums = _sums(source)
    needed = _SPACE * sum(member.file_size for member in source.infolist())
    if needed > (free := shutil.disk_usage(folder).free):
        raise _UnsoundError(f"it needs about {needed:,} bytes, but {free:,} are free")
    for name in _COPIED:
        if name in sums:
            with source.open(name) as member, (folder / name).open("wb") as target:
                if _copy(member, target) != sums[name]:
                    raise _UnsoundError(f"{name} is not what was backed up")
            if name.endswith(".sqlite") and (faults := integrity(folder / name)):
                raise _UnsoundError(faults[0])
    forget_stores(folder / FILE_NAME)
    store = Store(folder)
    try:
        with store.writing():
            audit.give_up_edition(store.ledger)
            windows = sorted(name for name in sums if _IDS.fullmatch(name))
            vectors = sum(_load(source, name, sums, store) for name in windows)
            mend(store, embedder_for(store.embedding_model))
        if lines := check(store):
            raise _UnsoundError(f"{lines[0]} ({len(lines)} disagreements)")
        return BackupReport(store.ledger.count("current"), store.vectors.count(), vectors)
    finally:
        store.close()


def _sums(source: zipfile.ZipFile) -> dict[str, str]:
    """The members that a backup says it has, which must be those that it has, with safe names."""
    names = source.namelist()
    if _MANIFEST not in names or source.getinfo(_MANIFEST).file_size > _LARGEST:
        raise _UnsoundError(f"it has no {_MANIFEST}")
    try:
        manifest = json.loads(source.read(_MANIFEST))
        sums = {str(name): str(digest) for name, digest in manifest["sha256"].items()}
        if manifest["format"] != _FORMAT:
            raise _UnsoundError("it was made by another version of newsrag")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _UnsoundError(f"its {_MANIFEST} cannot be read") from error
    if sorted(names) != sorted([*sums, _MANIFEST]) or FILE_NAME not in sums:
        raise _UnsoundError("its members are not those that were backed up")
    for name in sums:
        if name not in _COPIED and not _VECTORS.fullmatch(name):
            raise _UnsoundError(f"it has a member that no backup has: {name!r}")
    return sums


def _load(source: zipfile.ZipFile, name: str, sums: dict[str, str], store: Store) -> int:
    """Put a window of vectors into the index; returns how many of them there were."""
    ids = _array(source, name, sums)
    rows = _array(source, name.replace("-ids", "-rows"), sums)
    if ids.dtype != np.int64 or rows.dtype != np.float32 or ids.ndim != 1 or rows.ndim != 2:
        raise _UnsoundError(f"{name} has no vectors")
    if len(ids) != len(rows):
        raise _UnsoundError(f"{name} has {len(ids)} numbers for {len(rows)} vectors")
    place = {int(number): row for row, number in enumerate(ids)}
    held = [
        passage.id
        for item in audit.passages(store.ledger, list(place))
        for passage in item.passages
    ]
    if held:
        with store.indexes.failures():
            store.vectors.add(held, rows[[place[number] for number in held]])
    return len(held)


def _array(source: zipfile.ZipFile, name: str, sums: dict[str, str]) -> NDArray[Any]:
    if name not in sums or source.getinfo(name).file_size > _LARGEST:
        raise _UnsoundError(f"{name} is missing, or too large")
    data = source.read(name)
    if hashlib.sha256(data).hexdigest() != sums[name]:
        raise _UnsoundError(f"{name} is not what was backed up")
    try:
        return cast(NDArray[Any], np.load(BytesIO(data), allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise _UnsoundError(f"{name} cannot be read: {error}") from error
