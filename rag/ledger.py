"""Articles and the ingestion ledger in SQLite: the one place that decides what exists.

A new revision is first staged as `pending`, then indexed, then made `current` in one transaction;
until then its predecessor answers. Passages that left are `garbage` until the derived indexes have
forgotten them. So a crash at any point leaves rows that say what remains to be done.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple, cast

from rag.errors import ArchiveError, ArticleNotFoundError
from rag.types import Article, Span
from rag.words import Filters

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS articles (
    key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision INTEGER NOT NULL,
    state TEXT NOT NULL, digest TEXT NOT NULL, title TEXT NOT NULL, source TEXT, url TEXT,
    day INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE (id, revision)
) STRICT;
CREATE INDEX IF NOT EXISTS articles_state ON articles (state, day);
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
"""
_ARTICLE_COLUMNS = "a.id, a.title, a.text, a.source, a.url, a.day, a.revision"
_ALL = Filters()
_MAX_VARIABLES = 500
_BUSY_SECONDS = 10


class PassageRow(NamedTuple):
    """Where a passage stands; `day` is the article's date as a proleptic ordinal, 0 if undated.

    `article_key` numbers the article's revision in the word index of whole articles. A named tuple,
    since each search makes hundreds, and frozen dataclasses are slower to make.
    """

    id: int
    article_key: int
    article_id: str
    revision: int
    start: int
    end: int
    day: int
    source: str | None


class DayRow(NamedTuple):
    """How much is of one day and outlet; day 0 is undated."""

    day: int
    source: str | None
    articles: int
    passages: int


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """A passage of a known article."""

    id: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A revision that waits to be indexed."""

    key: int
    article: Article
    passages: list[PassageSpan]

    @property
    def day(self) -> int:
        """The date as a proleptic ordinal, 0 if undated."""
        return self.article.published.toordinal() if self.article.published else 0


class StageResult(Enum):
    """What staging found."""

    ADDED = auto()
    CHANGED = auto()
    UNCHANGED = auto()


def article_digest(article: Article) -> str:
    """A hash of everything that a user can see of an article."""
    published = article.published.isoformat() if article.published else None
    fields = [article.title, article.text, article.source, article.url, published]
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


class Ledger:
    """One SQLite file. Safe to use from several threads; one process writes at a time."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        self._path = file
        try:
            self._db = sqlite3.connect(
                file, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ArchiveError(f"{file} cannot be opened as an archive: {error}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise ArchiveError(f"{self._path} cannot be written: {error}") from error
                raise

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise ArchiveError(f"{self._path} cannot be read: {error}") from error

    # -- what an archive was made with --------------------------------------------------------

    def meta(self) -> dict[str, str]:
        """The settings that an archive keeps from its making."""
        return {str(key): str(value) for key, value in self._rows("SELECT key, value FROM meta")}

    def set_meta(self, values: dict[str, str]) -> None:
        """Keep settings that later opens must match."""
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())

    # -- writing ------------------------------------------------------------------------------

    def is_known(self, origin: str, article: Article) -> bool:
        """Whether this origin last gave exactly this article."""
        rows = self._rows("SELECT article_id, digest FROM origins WHERE origin = ?", (origin,))
        return rows == [(article.id, article_digest(article))]

    def stage(
        self, origin: str, article: Article, spans: Sequence[Span], *, replaces: bool
    ) -> StageResult:
        """Note the article as pending, unless it is stored already.

        With `replaces`, an article of another id that this origin alone gave before is removed: a
        file that holds one article and was edited.
        """
        digest = article_digest(article)
        with self._transaction() as db:
            before = db.execute(
                "SELECT article_id FROM origins WHERE origin = ?", (origin,)
            ).fetchone()
            values = (origin, article.id, digest)
            db.execute("INSERT OR REPLACE INTO origins VALUES (?, ?, ?)", values)
            newest = db.execute(
                "SELECT revision, state, digest, key FROM articles WHERE id = ?"
                " ORDER BY revision DESC LIMIT 1",
                (article.id,),
            ).fetchone()
            replaced = replaces and before is not None and before[0] != article.id
            if replaced:
                self._remove_orphan(db, before[0])
            if newest is not None and newest[2] == digest:
                return StageResult.UNCHANGED
            if newest is not None and newest[1] == "pending":
                _drop_revision(db, newest[3])
            _insert(db, article, (newest[0] if newest else 0) + 1, digest, spans)
            return StageResult.CHANGED if newest is not None or replaced else StageResult.ADDED

    def _remove_orphan(self, db: sqlite3.Connection, article_id: str) -> None:
        query = "SELECT 1 FROM origins WHERE article_id = ?"
        if db.execute(query, (article_id,)).fetchone() is None:
            _drop_article(db, article_id)

    def pending(self, after: int, limit: int) -> list[Staged]:
        """Staged articles in the order of staging, those with a key above `after`.

        Stops once they have at least `limit` passages.
        """
        rows = self._rows(
            f"SELECT a.key, {_ARTICLE_COLUMNS} FROM articles a"
            " WHERE a.state = 'pending' AND a.key > ? ORDER BY a.key LIMIT ?",
            (after, limit),
        )
        staged: list[Staged] = []
        passages = 0
        for row in rows:
            article = _article(row[1:])
            staged.append(Staged(cast(int, row[0]), article, self.passages(article)))
            passages += len(staged[-1].passages)
            if passages >= limit:
                break
        return staged

    def publish(self, staged: Iterable[Staged]) -> None:
        """Make indexed revisions current, in one transaction; their predecessors become old.

        A revision that was dropped since it was staged becomes garbage of the indexes.
        """
        with self._transaction() as db:
            for item in staged:
                old = "SELECT key FROM articles WHERE id = ? AND state = 'current'"
                for (key,) in db.execute(old, (item.article.id,)).fetchall():
                    _unindex(db, key)
                    db.execute("UPDATE articles SET state = 'old' WHERE key = ?", (key,))
                published = db.execute(
                    "UPDATE articles SET state = 'current' WHERE key = ?", (item.key,)
                )
                if published.rowcount == 0:
                    gone = [("article", item.key), *(("passage", p.id) for p in item.passages)]
                    db.executemany("INSERT OR IGNORE INTO garbage VALUES (?, ?)", gone)

    def delete(self, article_id: str) -> None:
        """Remove an article with all its revisions. Raises `ArticleNotFoundError`."""
        self.article(article_id)
        with self._transaction() as db:
            _drop_article(db, article_id)

    def garbage(self) -> tuple[list[int], list[int]]:
        """The passages and the article keys that the derived indexes must forget."""
        rows = cast(list[tuple[str, int]], self._rows("SELECT kind, id FROM garbage"))
        return [i for kind, i in rows if kind == "passage"], [
            i for kind, i in rows if kind == "article"
        ]

    def clear_garbage(self, passages: Iterable[int], articles: Iterable[int]) -> None:
        """Note that the derived indexes have forgotten these."""
        gone = [("passage", i) for i in passages] + [("article", i) for i in articles]
        with self._transaction() as db:
            db.executemany("DELETE FROM garbage WHERE kind = ? AND id = ?", gone)

    # -- reading ------------------------------------------------------------------------------

    def article(self, article_id: str, revision: int | None = None) -> Article:
        """The current revision of an article, or a given one. Raises `ArticleNotFoundError`."""
        which = "state = 'current'" if revision is None else "revision = ?"
        values = (article_id,) if revision is None else (article_id, revision)
        rows = self._rows(
            f"SELECT {_ARTICLE_COLUMNS} FROM articles a WHERE id = ? AND {which}", values
        )
        if not rows:
            raise ArticleNotFoundError(f"the archive has no article {article_id}")
        return _article(rows[0])

    def articles(self, limit: int = -1, filters: Filters = _ALL) -> list[Article]:
        """Current articles that pass the filters, latest first; undated ones last."""
        rows = self._rows(
            f"SELECT {_ARTICLE_COLUMNS} FROM articles a WHERE state = 'current'"
            " AND day BETWEEN ? AND ? AND (? OR source IN (SELECT value FROM json_each(?)))"
            " ORDER BY day DESC, id LIMIT ?",
            (*filters.days, not filters.sources, json.dumps(filters.sources), limit),
        )
        return [_article(row) for row in rows]

    def articles_of(self, keys: Sequence[int]) -> list[Article]:
        """Those of the revisions that are current, in the order of their keys here."""
        rows = self._rows(
            f"SELECT a.key, {_ARTICLE_COLUMNS} FROM articles a"
            " WHERE a.key IN (SELECT value FROM json_each(?)) AND +a.state = 'current'",
            (json.dumps(keys),),
        )
        held = {row[0]: _article(row[1:]) for row in rows}
        return [held[key] for key in keys if key in held]

    def passages(self, article: Article) -> list[PassageSpan]:
        """The passages of one revision, in text order."""
        rows = self._rows(
            "SELECT id, start, end FROM passages WHERE article_id = ? AND revision = ?"
            " ORDER BY start",
            (article.id, article.revision),
        )
        return [
            PassageSpan(i, start, end) for i, start, end in cast(list[tuple[int, int, int]], rows)
        ]

    def passage_rows(self, ids: Sequence[int]) -> dict[int, PassageRow]:
        """Those of the passages that belong to a current article, by id."""
        found: dict[int, PassageRow] = {}
        for first in range(0, len(ids), _MAX_VARIABLES):
            part = ids[first : first + _MAX_VARIABLES]
            rows = self._rows(
                "SELECT p.id, a.key, p.article_id, p.revision, p.start, p.end, a.day, a.source"
                " FROM passages p JOIN articles a ON a.id = p.article_id"
                f" AND a.revision = p.revision WHERE p.id IN ({','.join('?' * len(part))})"
                " AND +a.state = 'current'",  # the plus: look passages up first, by their key
                part,
            )
            found.update((row[0], PassageRow._make(row)) for row in cast(list[Any], rows))
        return found

    def days(self) -> list[DayRow]:
        """What is current, by day and outlet, in this order."""
        rows = self._rows(
            "SELECT a.day, a.source, count(DISTINCT a.key), count(*) FROM articles a"
            " JOIN passages p ON p.article_id = a.id AND p.revision = a.revision"
            " WHERE a.state = 'current' GROUP BY a.day, a.source ORDER BY a.day, a.source"
        )
        return [DayRow._make(row) for row in cast(list[Any], rows)]

    def version(self) -> int:
        """A number that changes whenever another connection has changed the file."""
        return cast(int, self._rows("PRAGMA data_version")[0][0])

    def count(self, state: str) -> int:
        """The number of articles that are "current" or "pending"."""
        query = "SELECT count(*) FROM articles WHERE state = ?"
        return cast(int, self._rows(query, (state,))[0][0])


def _insert(
    db: sqlite3.Connection, article: Article, revision: int, digest: str, spans: Sequence[Span]
) -> None:
    day = article.published.toordinal() if article.published else 0
    seen = (article.title, article.source, article.url, day, article.text)
    db.execute(
        "INSERT INTO articles (id, revision, state, digest, title, source, url, day, text)"
        " VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
        (article.id, revision, digest, *seen),
    )
    db.executemany(
        "INSERT INTO passages (article_id, revision, start, end) VALUES (?, ?, ?, ?)",
        [(article.id, revision, span.start, span.end) for span in spans],
    )


def _unindex(db: sqlite3.Connection, key: int) -> None:
    """Take a revision's passages away, and note what the indexes must forget."""
    passages = (
        "FROM passages WHERE (article_id, revision) ="
        " (SELECT id, revision FROM articles WHERE key = ?)"
    )
    db.execute(f"INSERT OR IGNORE INTO garbage SELECT 'passage', id {passages}", (key,))
    db.execute("INSERT OR IGNORE INTO garbage VALUES ('article', ?)", (key,))
    db.execute(f"DELETE {passages}", (key,))


def _drop_revision(db: sqlite3.Connection, key: int) -> None:
    _unindex(db, key)
    db.execute("DELETE FROM articles WHERE key = ?", (key,))


def _drop_article(db: sqlite3.Connection, article_id: str) -> None:
    query = "SELECT key FROM articles WHERE id = ?"
    for (key,) in db.execute(query, (article_id,)).fetchall():
        _drop_revision(db, key)
    db.execute("DELETE FROM origins WHERE article_id = ?", (article_id,))


def _article(row: Sequence[object]) -> Article:
    article_id, title, text, source, url, day, revision = cast(
        tuple[str, str, str, str | None, str | None, int, int], row
    )
    published = date.fromordinal(day) if day else None
    return Article(article_id, title, text, source, url, published, revision)
