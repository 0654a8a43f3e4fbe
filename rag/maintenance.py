"""Keeping an archive sound: each works on its folder, whatever the settings say.

All raise `ArchiveError` for a folder that holds no archive. Those that write wait for another
writer when they are given `waiting`, and else raise `ArchiveLockedError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rag import agreement, backup, databases, reindex
from rag import export as exporting
from rag.agreement import Mended
from rag.backup import BackupReport
from rag.databases import holds_archive
from rag.databaseurl import from_environment
from rag.errors import ArchiveError
from rag.lock import Waiting, WriteLock
from rag.models import Embedder, SentenceTransformerEmbedder
from rag.reindex import ReindexReport
from rag.store import Store

MakeEmbedder = Callable[[str], Embedder]


@contextmanager
def _opened(folder: Path, database: str = "", *, adopt: bool = False) -> Iterator[Store]:
    if not holds_archive(folder) and not (adopt and (database or from_environment())):
        raise ArchiveError(f"there is no archive in {folder}")
    store = Store(folder, database=database, adopt=adopt)
    try:
        yield store
    finally:
        store.close()


def check(folder: Path, waiting: Waiting | None = None) -> list[str]:
    """Every disagreement between the archive's stores, one line each; none proves a sound one."""
    with _opened(folder) as store, store.undisturbed(waiting):
        return agreement.check(store)


def repair(
    folder: Path,
    waiting: Waiting | None = None,
    embedder_for: MakeEmbedder = SentenceTransformerEmbedder,
    database: str = "",
) -> tuple[Mended, list[str]]:
    """Mend what `check` finds; returns what was done, and the lines that are left.

    With the URL of a PostgreSQL database whose indexes are in another folder, they are made in this
    one, which is the archive's from then on.
    """
    with _opened(folder, database, adopt=True) as store, store.writing(waiting):
        mended = agreement.mend(store, embedder_for(store.embedding_model))
        return mended, agreement.check(store)


def back_up(folder: Path, file: Path) -> BackupReport:
    """Write the archive into a .zip, while others read and one writes."""
    with _opened(folder) as store:
        return backup.backup(store, file)


def move(folder: Path, database: str, waiting: Waiting | None = None) -> None:
    """Bring the articles from the folder's SQLite file to an empty PostgreSQL database."""
    if not holds_archive(folder):
        raise ArchiveError(f"there is no archive in {folder}")
    with WriteLock(folder).held(waiting):
        databases.move(folder, database)


def restore(
    file: Path, folder: Path, embedder_for: MakeEmbedder = SentenceTransformerEmbedder
) -> BackupReport:
    """Make an archive in a new or empty folder from a backup, verified, whole or not at all."""
    return backup.restore(file, folder, embedder_for)


def rebuild(
    folder: Path,
    embedder: Embedder,
    passage_characters: int,
    progress: Callable[[ReindexReport], None] = lambda report: None,
    waiting: Waiting | None = None,
    server: str = "",
) -> ReindexReport:
    """Bring the archive to another embedding model, length of passages or `server` for its vectors.

    It serves meanwhile.
    """
    with _opened(folder) as store:
        return reindex.reindex(store, embedder, passage_characters, progress, waiting, server)


def export(folder: Path, file: Path) -> int:
    """Write all articles as JSON lines that `newsrag ingest` reads; returns how many."""
    with _opened(folder) as store:
        return exporting.export(store.ledger, file)
