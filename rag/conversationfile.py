"""The SQLite file of saved conversations: opening, transactions, schema version."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.errors import ArchiveError

FILE_NAME = "conversations.sqlite"
SCHEMA_VERSION = 1
_SCHEMA = (
    """CREATE TABLE conversations (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
        title TEXT NOT NULL, folded TEXT NOT NULL, created TEXT NOT NULL, changed TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX conversations_user ON conversations (user, changed)",
    # The long column is last: a search reads the others without it.
    """CREATE TABLE exchanges (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        id TEXT NOT NULL, thumb TEXT NOT NULL, note TEXT NOT NULL, folded TEXT NOT NULL,
        data TEXT NOT NULL, UNIQUE (conversation, id)
    ) STRICT""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_BUSY_SECONDS = 10

Row = Sequence[Any]


class ConversationFile:
    """One connection, made at first use. Safe to use from several threads and processes.

    Everything raises `ArchiveError` when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Close the file for good."""
        with self._lock:
            self._closed = True
            if self._db is not None:
                self._db.close()

    @contextmanager
    def transaction(self, *, writing: bool = True) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; a reading one sees the file at one moment."""
        with self._lock:
            db = self._connection()
            try:
                db.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
                yield db
                db.execute("COMMIT")
            except sqlite3.Error as error:
                done = "written" if writing else "read"
                raise ArchiveError(f"{self._path} cannot be {done}: {error}") from error
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """What one query finds."""
        with self.transaction(writing=False) as db:
            return db.execute(query, values).fetchall()

    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise ArchiveError(f"{self._path} is closed")
        if self._db is None:
            try:
                self._db = _connect(self._path)
            except sqlite3.Error as error:
                raise ArchiveError(f"{self._path} cannot be opened: {error}") from error
        return self._db


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("BEGIN IMMEDIATE")  # two processes may start at once
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise ArchiveError(f"{path} was written by a newer newsrag; update newsrag to read it")
        for statement in _SCHEMA if version == 0 else ():
            db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db
