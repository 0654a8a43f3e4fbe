"""What the ledger needs of a database; SQLite and PostgreSQL are the two that give it.

Statements are written once, in what both understand. The rules:

- Values are `?`, never put into the text; no other `?` stands in a statement. A value is of the
  column's type: PostgreSQL compares no number with text.
- A list of values is `IN ({marks(values)})`, at most `PART` of them at a time: see `parts`.
- `ON CONFLICT DO NOTHING` and `ON CONFLICT (key) DO UPDATE SET value = excluded.value` instead of
  `INSERT OR ...`; before it, a SELECT needs a WHERE, and an old value is written `table.value`.
- `"end"` is quoted, as PostgreSQL reserves it, but for `p.end` after a table's name.
- `LIMIT` takes no negative number; `NO_LIMIT` is the one for all.
- PostgreSQL sorts NULL last: where it matters, `NULLS FIRST`. Text is sorted by code points.
- `sum()` of numbers is a `Decimal` there: write `CAST(sum(...) AS BIGINT)`.
- A condition that SQLite must not use an index for is put on an expression, as in `STATE`.
- Tables are declared in SQLite's words, in `SCHEMA`, with the types INTEGER (64 bits) and TEXT.
  Columns that an archive of an earlier version lacks are in `ADDED`, and `INDEXES` come last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")

FOREVER = date.max.toordinal() + 1
"""The day, as a proleptic ordinal, that is after all days."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS articles (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision INTEGER NOT NULL,
    state TEXT NOT NULL, digest TEXT NOT NULL, title TEXT NOT NULL, source TEXT, url TEXT,
    day INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (id, revision)
) STRICT;
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, article_id TEXT NOT NULL, revision INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS origins (
    origin TEXT PRIMARY KEY, article_id TEXT NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS garbage (
    kind TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (kind, id)
) STRICT;
CREATE TABLE IF NOT EXISTS replaced (article_id TEXT PRIMARY KEY, by_id TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS reindexed (key INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS copies (
    key INTEGER PRIMARY KEY, story INTEGER NOT NULL, size INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS copy_bands (
    band INTEGER NOT NULL, key INTEGER NOT NULL, PRIMARY KEY (band, key)
) STRICT, WITHOUT ROWID;
"""
ADDED = (
    ("passages", "edition", "INTEGER NOT NULL DEFAULT 0"),
    *(("articles", name, "TEXT") for name in ("author", "language", "section", "modified")),
    ("articles", "ingested", "TEXT"),
    ("articles", "valid_from", "INTEGER NOT NULL DEFAULT 0"),
    ("articles", "valid_to", f"INTEGER NOT NULL DEFAULT {FOREVER}"),
)
INDEXES = """
CREATE INDEX IF NOT EXISTS articles_census ON articles (state, day, source);
DROP INDEX IF EXISTS articles_state;
CREATE INDEX IF NOT EXISTS articles_id_state ON articles (id, state);
CREATE INDEX IF NOT EXISTS articles_changed ON articles (valid_from) WHERE valid_from > 0;
CREATE INDEX IF NOT EXISTS passages_article ON passages (article_id, revision);
CREATE INDEX IF NOT EXISTS origins_article ON origins (article_id);
CREATE INDEX IF NOT EXISTS replaced_by ON replaced (by_id);
CREATE INDEX IF NOT EXISTS copies_story ON copies (story, size);
CREATE INDEX IF NOT EXISTS copy_bands_key ON copy_bands (key);
"""

STATE = "a.state || ''"
"""The state of an article `a`, where SQLite is to look at this condition last."""
EDITION = "(SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE key = 'edition')"
"""The number of the edition in use, in SQL; 0 where none is noted."""
SET_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
NO_LIMIT = 2**62
MOVED = "moved"
"""The key in `meta` of an archive that is no longer there, but in another database."""
UNFINISHED = "unfinished"
"""The key in `meta` that tells the next writer to look at the indexes."""
PART = 500
LONGEST_KEY = 500
"""Characters of the longest text that is indexed: PostgreSQL takes 2,704 bytes."""


def marks(values: Sequence[object]) -> str:
    """The placeholders of a list of values, for `IN (...)`; of none, NULL, which nothing equals."""
    return ",".join("?" * len(values)) or "NULL"


def parts(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """The values, `PART` at a time."""
    for first in range(0, len(values), PART):
        yield values[first : first + PART]


class Found(Protocol):
    """What a statement found, or how many rows it changed."""

    @property
    def rowcount(self) -> int: ...  # noqa: D102

    def fetchone(self) -> Any: ...  # noqa: D102

    def fetchall(self) -> list[Any]: ...  # noqa: D102


class Connection(Protocol):
    """What a transaction runs statements on."""

    def execute(self, query: str, values: Sequence[object] = (), /) -> Found: ...  # noqa: D102

    def executemany(  # noqa: D102
        self, query: str, values: Iterable[Sequence[object]], /
    ) -> object: ...


class Database(Protocol):
    """One connection; safe to use from several threads. Everything raises `ArchiveError`."""

    def close(self) -> None:
        """Release it."""

    def transaction(self, *, durable: bool = True) -> AbstractContextManager[Connection]:
        """All of the block or nothing; one at a time, whoever writes.

        One that is not `durable` does not wait for the disk: when the power fails before the next
        one that is, it may not have happened.
        """

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """What one query finds."""

    def stream(self, query: str) -> Iterator[tuple[object, ...]]:
        """What one query finds at this moment, however long that takes to read."""

    def touched(self) -> int:
        """A number that changes whenever another connection has changed something."""

    def last_number(self, table: str) -> int:
        """The highest number that a row of "articles" or "passages" ever had."""

    def faults(self) -> list[str]:
        """What the database finds wrong with itself, one line each."""

    def copy_to(self, file: Path) -> None:
        """Write all of it, of one moment, into a new SQLite file, while others go on."""

    def size(self) -> int:
        """Bytes that it takes outside the archive's folder."""

    def lock(self) -> bool:
        """Become the one writer among all machines; returns whether nobody else is."""

    def unlock(self) -> None:
        """Let others write."""

    def holder(self) -> str:
        """Who the writer is."""
