"""The ledger in PostgreSQL, which several machines can reach.

One connection, in a session of its own: behind a pooler, use one that pools sessions. The one
writer among all machines holds an advisory lock of that session, so it is free when the writer
dies, and a writer that has lost its connection can write no more. `writer`, a table of one row, is
updated by each transaction, which makes them wait for each other, and says how many there were.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rag.database import ADDED, INDEXES, MOVED, SCHEMA, STATE, Found, marks
from rag.databaseurl import without_password
from rag.errors import ArchiveError
from rag.files import storable
from rag.ledgerfile import LedgerFile
from rag.revisions import date_earlier_ones

if TYPE_CHECKING:
    import psycopg

_NUMBERED = ("articles", "passages")
_LOCK = 1_853_187_954
"""The first half of the advisory locks; the second is the table `meta` that they are for."""
_KEY = f"{_LOCK}, 'meta'::regclass::oid::int"
_WRITER = """
CREATE TABLE IF NOT EXISTS writer (
    one INTEGER PRIMARY KEY CHECK (one = 1), writes INTEGER NOT NULL,
    folder TEXT NOT NULL, place TEXT NOT NULL, holder TEXT NOT NULL, schema TEXT NOT NULL
);
INSERT INTO writer VALUES (1, 0, '', '', '', '') ON CONFLICT DO NOTHING;
"""
_IS_DATED = (
    "SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND table_name = 'articles' AND column_name = 'valid_from'"
)
_SESSION = """
SET synchronous_commit = on; SET lock_timeout = '10s';
SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
"""
"""What is reported as stored is on the disk; a machine that vanished is noticed in a minute."""
_CONNECTION = {
    "application_name": "newsrag",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_BATCH = 1_000


class PostgresDatabase:
    """A database on a PostgreSQL server as the ledger's `Database`.

    A connection that was lost is made anew, but never within a transaction or for a writer.
    """

    def __init__(self, url: str) -> None:
        """Connect, and make the tables that are missing. Raises `ArchiveError`."""
        self.place = without_password(url)
        self._url = url
        self._lock = threading.RLock()
        self._db: psycopg.Connection | None = None
        self._bound = 0
        self._own_writes = 0
        with self._told("opened as an archive"):
            self._make_tables(self._connection())
        self._folder = self.owner()[0]

    # -- the connection -----------------------------------------------------------------------

    def _connect(self) -> psycopg.Connection:
        driver = _driver()
        values = {**_CONNECTION, **driver.conninfo.conninfo_to_dict(self._url)}
        db: psycopg.Connection = driver.connect(**values)
        db.autocommit = True
        encoding = db.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            db.close()
            raise ArchiveError(
                f"{self.place} stores text as {encoding}, not as UTF8; "
                "make one that does: createdb -E UTF8 -T template0 NAME"
            )
        db.execute(_SESSION)
        return db

    def _connection(self) -> psycopg.Connection:
        if self._db is None or (self._db.closed and not self._bound):
            self._db = self._connect()
        return self._db

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """What goes wrong, as one sentence without a password."""
        try:
            yield
        except _driver().Error as error:
            reason = error.diag.message_primary or str(error).strip().partition("\n")[0]
            sentence = f"{self.place} cannot be {done}: {reason.strip()}"
            if self._db is not None and self._db.closed:
                sentence += "; what it has is kept, and the same command continues once it is back"
            raise ArchiveError(sentence) from error

    def _make_tables(self, db: psycopg.Connection) -> None:
        """Make the tables and columns that are not there; two processes may try at once."""
        added = (
            f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind};"
            for table, column, kind in ADDED
        )
        statements = _declared("\n".join((SCHEMA, _WRITER, *added, INDEXES)))
        digest = hashlib.sha256(statements).hexdigest()
        with db.transaction():
            db.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            is_made = db.execute("SELECT to_regclass('writer')").fetchone() != (None,)
            if is_made and db.execute("SELECT schema FROM writer").fetchone() == (digest,):
                return  # as declaring a table anew would wait for all who read it
            is_dated = db.execute(_IS_DATED).fetchone() is not None
            db.execute(statements)
            if not is_dated:
                date_earlier_ones(_Statements(db), date.today())
            db.execute("UPDATE writer SET schema = %s", (digest,))

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            if self._db is not None:
                self._db.close()

    # -- statements ---------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[_Statements]:
        """All of the block or nothing; see `rag.database.Database`."""
        with self._lock, self._told("written"):
            db = self._connection()
            self._bound += 1
            try:
                with db.transaction():
                    if not durable:
                        db.execute("SET LOCAL synchronous_commit = off")
                    db.execute("UPDATE writer SET writes = writes + 1")
                    yield _Statements(db)
            finally:
                self._bound -= 1
            self._own_writes += 1

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """What one query finds."""
        with self._lock, self._told("read"):
            try:
                return _Statements(self._connection()).execute(query, values).fetchall()
            except _driver().OperationalError:
                if self._bound or self._db is None or not self._db.closed:
                    raise
            return _Statements(self._connection()).execute(query, values).fetchall()

    def stream(self, query: str) -> Iterator[tuple[object, ...]]:
        """What one query finds at this moment, however long that takes to read."""
        with self._told("read"), self._connect() as db, db.transaction():
            yield from _read(db, query)

    def touched(self) -> int:
        """A number that changes whenever another connection has changed something."""
        with self._lock:
            ((writes, folder, place),) = self.rows("SELECT writes, folder, place FROM writer")
            if folder != self._folder:
                raise ArchiveError(f"the indexes of {self.place} are now those in {place}")
            return cast(int, writes) - self._own_writes

    def last_number(self, table: str) -> int:
        """The highest number that a row of "articles" or "passages" ever had."""
        column = "key" if table == "articles" else "id"
        query = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence(?, ?)::regclass), 0)"
        return cast(int, self.rows(query, (table, column))[0][0])

    def faults(self) -> list[str]:
        """Nothing: the server checks its files itself, and a damaged one cannot be read."""
        return []

    def size(self) -> int:
        """Bytes of the tables and their indexes."""
        query = (
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return cast(int, self.rows(query)[0][0])

    # -- the one writer -----------------------------------------------------------------------

    def lock(self) -> bool:
        """Become the one writer among all machines; returns whether nobody else is."""
        with self._lock:
            ((locked,),) = self.rows(f"SELECT pg_try_advisory_lock({_KEY})")
            if locked:
                self._bound += 1
                with suppress(ArchiveError):  # it only informs; a lost connection is noticed later
                    self._sign()
            return bool(locked)

    def _sign(self) -> None:
        since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
        with self.transaction() as db:
            holder = f"pid {os.getpid()} on {platform.node()}, since {since}"
            db.execute("UPDATE writer SET holder = ?", (holder,))

    def unlock(self) -> None:
        """Let others write; without a connection, they can already."""
        with self._lock:
            with suppress(ArchiveError):
                self.rows(f"SELECT pg_advisory_unlock({_KEY})")
            self._bound -= 1

    def holder(self) -> str:
        """Who the writer is, as it has said."""
        ((holder,),) = self.rows("SELECT holder FROM writer")
        return f"another process ({holder})" if holder else "another process"

    def owner(self) -> tuple[str, str]:
        """The folder that has the indexes, as an id and as a place; empty where none has."""
        ((folder, place),) = self.rows("SELECT folder, place FROM writer")
        return str(folder), str(place)

    def own(self, folder: str, place: str, before: str = "") -> bool:
        """Give the indexes over from a folder to another; returns whether the first had them."""
        with self.transaction() as db:
            query = "UPDATE writer SET folder = ?, place = ? WHERE folder = ?"
            given = db.execute(query, (folder, place, before)).rowcount == 1
        self._folder = folder if given else self._folder
        return given

    # -- copies -------------------------------------------------------------------------------

    def copy_to(self, file: Path) -> None:
        """Write all of it, of one moment, into a new SQLite file, while others go on."""
        with closing(LedgerFile(file)) as copy, copy.transaction() as target:
            with self._told("read"), self._connect() as db:
                db.isolation_level = _driver().IsolationLevel.REPEATABLE_READ
                with db.transaction():
                    for table, columns in copy.tables().items():
                        names = ", ".join(f'"{column}"' for column in columns)
                        target.executemany(
                            f"INSERT INTO {table} ({names}) VALUES ({marks(columns)})",
                            _read(db, f"SELECT {names} FROM {table}"),
                        )
            for table in _NUMBERED:
                values = (table, self.last_number(table))
                target.execute("DELETE FROM sqlite_sequence WHERE name = ?", values[:1])
                target.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", values)

    def fill_from(self, file: Path, folder: str, place: str) -> None:
        """Hold what a SQLite file holds, and nothing else, for the indexes in a folder."""
        with closing(LedgerFile(file)) as source, self.transaction() as db:
            for table, columns in source.tables().items():
                db.execute(f"DELETE FROM {table}")
                names = ", ".join(f'"{column}"' for column in columns)
                db.copy_in(f"{table} ({names})", source.stream(f"SELECT {names} FROM {table}"))
            for table in _NUMBERED:
                column = "key" if table == "articles" else "id"
                number = source.last_number(table)
                db.execute(
                    "SELECT setval(pg_get_serial_sequence(?, ?), ?, ?)",
                    (table, column, max(1, number), number > 0),
                )
            db.execute("DELETE FROM meta WHERE key = ?", (MOVED,))
            db.execute("UPDATE writer SET folder = ?, place = ?", (folder, place))
            db.execute("ANALYZE")
        self._folder = folder


class _Statements:
    """Runs statements that are written for SQLite."""

    def __init__(self, db: psycopg.Connection) -> None:
        self._db = db

    def execute(self, query: str, values: Sequence[object] = (), /) -> Found:
        """Run one statement."""
        return cast(Found, self._db.execute(_translated(query), _storable(values)))

    def executemany(self, query: str, values: Iterable[Sequence[object]], /) -> None:
        """Run a statement for each row of values."""
        with self._db.cursor() as cursor:
            cursor.executemany(_translated(query), map(_storable, values))

    def copy_in(self, target: str, rows: Iterable[Sequence[object]]) -> None:
        """Put rows into "table (columns)"."""
        statement = f"COPY {target} FROM STDIN".encode()
        with self._db.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(_storable(row))


def _read(db: psycopg.Connection, query: str) -> Iterator[tuple[object, ...]]:
    with db.cursor(name="newsrag") as cursor:
        cursor.itersize = _BATCH
        yield from cursor.execute(_translated(query), ())


def _storable(values: Sequence[object]) -> list[object]:
    """The values, with text that PostgreSQL can hold: it refuses a NUL character."""
    return [storable(value) if isinstance(value, str) else value for value in values]


@lru_cache(1024)
def _translated(statement: str) -> bytes:
    """A statement that is written for SQLite, in the words of PostgreSQL and its driver."""
    # What keeps SQLite from an index keeps PostgreSQL from knowing how many rows there are.
    statement = statement.replace(STATE, "a.state").replace("INTEGER", "BIGINT")
    return statement.replace("%", "%%").replace("?", "%s").encode()


def _declared(schema: str) -> bytes:
    """Declarations that are written for SQLite; text is sorted as there, by code points."""
    identity = "GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"
    schema = schema.replace("PRIMARY KEY AUTOINCREMENT", identity)
    schema = re.sub(r"\) STRICT(, WITHOUT ROWID)?;", ");", schema)
    return re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', schema.replace("INTEGER", "BIGINT")).encode()


@cache
def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise ArchiveError(
            "an archive in PostgreSQL needs psycopg; "
            "install it with: pip install -c constraints.txt -e '.[postgres]'"
        ) from error
    return psycopg
