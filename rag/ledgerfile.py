"""The ledger in a SQLite file: opening, transactions, a consistent copy."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import cast

from rag.database import ADDED, INDEXES, SCHEMA
from rag.errors import ArchiveError
from rag.revisions import date_earlier_ones

FILE_NAME = "articles.sqlite"
_BUSY_SECONDS = 10


class LedgerFile:
    """A file as the ledger's `Database`. The lock of the archive's folder is its write lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(SCHEMA)
            self._migrate()
            self._db.executescript(INDEXES)
        except sqlite3.Error as error:
            raise ArchiveError(f"{path} cannot be opened as an archive: {error}") from error

    def _migrate(self) -> None:
        """Add the columns that an earlier version did not have; two processes may try at once."""
        if self._missing():
            self._db.execute("BEGIN IMMEDIATE")
            missing = self._missing()
            for table, column, kind in missing:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            if ("articles", "valid_from") in (added[:2] for added in missing):
                date_earlier_ones(self._db, date.today())
            self._db.execute("COMMIT")

    def _missing(self) -> list[tuple[str, str, str]]:
        has = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
        return [added for added in ADDED if not self._db.execute(has, added[:2]).fetchone()]

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

    def touched(self) -> int:
        """A number that changes whenever another connection has changed the file."""
        return cast(int, self.rows("PRAGMA data_version")[0][0])

    def last_number(self, table: str) -> int:
        """The highest number that a row of "articles" or "passages" ever had."""
        rows = self.rows("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return cast(int, rows[0][0]) if rows else 0

    def tables(self) -> dict[str, list[str]]:
        """The columns of each table."""
        query = (
            "SELECT t.name, c.name FROM sqlite_master t JOIN pragma_table_info(t.name) c"
            " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid"
        )
        found: dict[str, list[str]] = {}
        for table, column in self.rows(query):
            found.setdefault(str(table), []).append(str(column))
        return found

    def faults(self) -> list[str]:
        """What SQLite finds wrong with the file, one line each."""
        return integrity(self.path)

    def copy_to(self, file: Path) -> None:
        """Write all of it, of one moment, into a new file, while others go on."""
        copy_database(self.path, file)

    def size(self) -> int:
        """Bytes outside the archive's folder."""
        return 0

    def lock(self) -> bool:
        """Who has the folder's lock is the one writer."""
        return True

    def unlock(self) -> None:
        """Nothing, as nothing was locked."""

    def holder(self) -> str:
        """Nobody holds what `lock` gives to everyone."""
        return ""


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
