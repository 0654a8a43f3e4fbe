"""Where each edition has its indexes: in the archive's folder, its vectors perhaps on a server."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from rag import vectorserver
from rag.errors import ArchiveMismatchError, ArchiveUnreachableError
from rag.indexes import Indexes, edition_folder, other_editions
from rag.ledger import Ledger
from rag.ledgerfile import LedgerFile
from rag.settings import LOCAL_STORE
from rag.vectorserver import ARCHIVE_ID, STORE_PREFIX, place_of, store_key


def indexes_of(meta: Mapping[str, str], folder: Path, edition: int | None = None) -> Indexes:
    """The indexes of an edition, by default of the one in use. Raises `ValueError`, `KeyError`."""
    number = int(meta.get("edition", 0)) if edition is None else edition
    return Indexes(edition_folder(folder, number), place_of(meta, number))


def store_of(meta: Mapping[str, str], edition: int) -> str:
    """The URL of the server that has an edition's vectors, or "local"."""
    return meta.get(store_key(edition), LOCAL_STORE)


def note_store(ledger: Ledger, edition: int, store: str) -> None:
    """An edition has its vectors there from now on: at a URL, or "local"."""
    if store == LOCAL_STORE:
        ledger.forget_meta(store_key(edition))
        return
    name = ledger.meta().get(ARCHIVE_ID, uuid.uuid4().hex)
    ledger.set_meta({store_key(edition): store, ARCHIVE_ID: name})


def use_store(ledger: Ledger, folder: Path, store: str) -> None:
    """Have the vectors of the edition in use where a user wants them.

    An archive without articles begins there, and a server may have got another address. Raises
    `ArchiveMismatchError` where that would leave vectors behind, `ArchiveError` for a server that
    is away or is none.
    """
    meta = ledger.meta()
    edition = int(meta.get("edition", 0))
    if not store or store == store_of(meta, edition):
        return
    place = place_of(meta, edition)
    is_new = not ledger.count("current") and not ledger.count("pending")
    if store != LOCAL_STORE:
        vectorserver.ping(store)
    moved = (
        place and store != LOCAL_STORE and vectorserver.has_collection(replace(place, url=store))
    )
    if not is_new and not moved:
        raise ArchiveMismatchError(
            f"the archive in {folder} has its vectors at store {store_of(meta, edition)}, not "
            f"{store}; leave that setting out, or move them with: "
            f"newsrag reindex --store {store} --archive {folder}"
        )
    note_store(ledger, edition, store)


def clear_retired(ledger: Ledger, folder: Path, meta: Mapping[str, str]) -> None:
    """Delete the editions that no search can be in any more."""
    current = int(meta.get("edition", 0))
    kept = {current, int(meta.get("next_edition", current))}
    retired = other_editions(folder, kept)
    served = _served(meta, kept)
    if retired or served:
        ledger.keep_editions(kept)
    for old in retired:
        shutil.rmtree(old, ignore_errors=True)
    for number in served:
        place = place_of(meta, number)
        assert place is not None
        try:
            vectorserver.drop_collection(place)
        except ArchiveUnreachableError:
            continue  # the next writer tries again
        ledger.forget_meta(store_key(number))


def _served(meta: Mapping[str, str], kept: Collection[int]) -> list[int]:
    """The editions with vectors on a server, but for those kept."""
    names = [name for name in meta if name.startswith(STORE_PREFIX)]
    numbers = [int(name.removeprefix(STORE_PREFIX)) for name in names]
    return [number for number in numbers if number not in kept]


def forget_stores(file: Path) -> None:
    """Let a copy of a ledger be an archive of its own: no vectors on a server are its any more."""
    ledger = Ledger(LedgerFile(file))
    try:
        for name in ledger.meta():
            if name == ARCHIVE_ID or name.startswith(STORE_PREFIX):
                ledger.forget_meta(name)
    finally:
        ledger.close()
