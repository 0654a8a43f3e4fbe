"""The ledger's SQLite file: schema, opening, transactions, a consistent copy."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rag.errors import ArchiveError

FILE_NAME = "articles.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS articles (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision INTEGER NOT NULL,
    state TEXT NOT NULL, digest TEXT NOT NULL, title TEXT NOT NULL, source TEXT, url TEXT,
    day INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (id, revision)
) STRICT;
CREATE INDEX IF NOT EXISTS articles_state ON articles (state, day);
CREATE INDEX IF NOT EXISTS articles_id_state ON articles (id, state);
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, article_id TEXT NOT NULL, revision INTEGER NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS passages_article ON passages (article_id, revision);
CREATE TABLE IF NOT EXISTS origins (
    origin TEXT PRIMARY KEY, article_id TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS origins_article ON origins (article_id);
CREATE TABLE IF NOT EXISTS garbage (
    kind TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (kind, id)
) STRICT;
CREATE TABLE IF NOT EXISTS replaced (article_id TEXT PRIMARY KEY, by_id TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS replaced_by ON replaced (by_id);
CREATE TABLE IF NOT EXISTS reindexed (key INTEGER PRIMARY KEY) STRICT;
"""
_ADDED = (
    ("passages", "edition", "INTEGER NOT NULL DEFAULT 0"),
    *(("articles", name, "TEXT") for name in ("author", "language", "section", "modified")),
)
_BUSY_SECONDS = 10


class LedgerFile:
    """One connection; safe to use from several threads. Everything raises `ArchiveError`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
            self._migrate()
        except sqlite3.Error as error:
            raise ArchiveError(f"{path} cannot be opened as an archive: {error}") from error

    def _migrate(self) -> None:
        """Add the columns that an earlier version did not have; two processes may try at once."""
        if self._missing():
            self._db.execute("BEGIN IMMEDIATE")
            for table, column, kind in self._missing():
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            self._db.execute("COMMIT")

    def _missing(self) -> list[tuple[str, str, str]]:
        has = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
        return [added for added in _ADDED if not self._db.execute(has, added[:2]).fetchone()]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing.

        One that is not `durable` does not wait for the disk: when the power fails before the next
        one that is, it may not have happened.
        """
        with self._lock:
            try:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise ArchiveError(f"{self.path} cannot be written: {error}") from error
                raise

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """What one query finds."""
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise ArchiveError(f"{self.path} cannot be read: {error}") from error

    def stream(self, query: str) -> Iterator[tuple[object, ...]]:
        """What one query finds in the file as it is now, however long that takes to read."""
        try:
            db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True)
            try:
                yield from db.execute(query)
            finally:
                db.close()
        except sqlite3.Error as error:
            raise ArchiveError(f"{self.path} cannot be read: {error}") from error


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a SQLite file, while others read and one writes.

    Raises `ArchiveError`.
    """
    try:
        origin = sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
        try:
            copy = sqlite3.connect(target)
            try:
                origin.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            finally:
                copy.close()
        finally:
            origin.close()
    except sqlite3.Error as error:
        raise ArchiveError(f"{source} cannot be copied to {target}: {error}") from error


def integrity(path: Path) -> list[str]:
    """What SQLite finds wrong with a file, one line each; none for a sound one."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            found = [str(row[0]) for row in db.execute("PRAGMA integrity_check")]
        finally:
            db.close()
    except sqlite3.Error as error:
        found = [str(error)]
    return [f"{path.name}: {line}" for line in found if line != "ok"]
