"""Articles and the ingestion ledger, in SQL: the one place that decides what exists.

A new revision is first staged as `pending`, then indexed, then made `current` in one transaction;
until then its predecessor answers, and then it becomes `old`: citations still open it, and
questions of a day on which it stood find it (see `rag.revisions`), but nothing else finds, lists or
counts it. What the derived indexes hold out of date is `garbage`, until they have forgotten it, or
filed it as superseded. So a crash at any point leaves rows that say what remains to be done.

An `edition` is one cutting of all articles into passages, with indexes of its own. One is in use;
while `newsrag reindex` makes the next one, both have their passages.

The statements are for SQLite and PostgreSQL alike: `rag/database.py` says what that takes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, cast

from rag.database import (
    EDITION,
    LONGEST_KEY,
    NO_LIMIT,
    SET_META,
    Connection,
    Database,
    marks,
    parts,
)
from rag.errors import ArticleNotFoundError
from rag.revisions import drop_revision, retire, standing, valid_from
from rag.rows import DayRow, PassageRow, PassageSpan, Staged, StageResult
from rag.types import Article, Span
from rag.words import Filters

ARTICLE_COLUMNS = (
    "a.id, a.title, a.text, a.source, a.url, a.day, a.revision,"
    " a.author, a.language, a.section, a.modified, a.ingested"
)

_ALL = Filters()
_ONCE = "ON CONFLICT DO NOTHING"
BUMP = (
    "INSERT INTO meta VALUES ('version', '1')"
    " ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)"
)


def article_digest(article: Article) -> str:
    """A hash of everything that a user can see of an article."""
    published = article.published.isoformat() if article.published else None
    fields = [article.title, article.text, article.source, article.url, published]
    more = (article.author, article.language, article.section, _moment(article))
    if any(more):  # Without them, the digest is that of earlier versions.
        fields.extend(more)
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()


def _kept(origin: str) -> str:
    """An origin as it is kept: long text cannot be indexed by every database."""
    if len(origin) <= LONGEST_KEY:
        return origin
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{origin[: LONGEST_KEY - len(digest) - 1]}#{digest}"


def _moment(article: Article) -> str | None:
    return article.modified.isoformat() if article.modified else None


class Ledger:
    """Over one database. Safe to use from several threads; one process writes at a time."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.transaction = database.transaction
        self.rows = database.rows
        self.stream = database.stream
        self.touched = database.touched
        self.close = database.close

    # -- what an archive was made with --------------------------------------------------------

    def meta(self) -> dict[str, str]:
        """The settings that an archive keeps from its making, and how far it is."""
        return {str(key): str(value) for key, value in self.rows("SELECT key, value FROM meta")}

    def set_meta(self, values: dict[str, str]) -> None:
        """Keep settings that later opens must match."""
        with self.transaction() as db:
            db.executemany(SET_META, values.items())

    def forget_meta(self, name: str) -> None:
        """Keep a setting no longer."""
        with self.transaction() as db:
            db.execute("DELETE FROM meta WHERE key = ?", (name,))

    # -- writing ------------------------------------------------------------------------------

    def is_known(self, origin: str, article: Article) -> bool:
        """Whether this origin last gave exactly this article."""
        query = "SELECT article_id, digest FROM origins WHERE origin = ?"
        rows = self.rows(query, (_kept(origin),))
        return rows == [(article.id, article_digest(article))]

    def origins(self) -> Iterator[tuple[str, str, str]]:
        """Each origin with the id and the digest of the article that it last gave."""
        rows = self.stream("SELECT origin, article_id, digest FROM origins")
        return cast(Iterator[tuple[str, str, str]], rows)

    def stage(
        self,
        origin: str,
        article: Article,
        spans: Sequence[Span],
        *,
        replaces: bool,
        durable: bool = True,
    ) -> StageResult:
        """Note the article as pending, unless it is stored already.

        With `replaces`, an article of another id that this origin alone gave before becomes old
        once this one is current: a file that holds one article and was edited. What is not
        `durable` may be lost with the power before `publish`, and must be given again.
        """
        digest = article_digest(article)
        origin = _kept(origin)
        with self.transaction(durable=durable) as db:
            before = db.execute(
                "SELECT article_id FROM origins WHERE origin = ?", (origin,)
            ).fetchone()
            db.execute(
                "INSERT INTO origins VALUES (?, ?, ?) ON CONFLICT (origin) DO UPDATE"
                " SET article_id = excluded.article_id, digest = excluded.digest",
                (origin, article.id, digest),
            )
            db.execute("DELETE FROM replaced WHERE article_id = ?", (article.id,))
            replaced = replaces and before is not None and before[0] != article.id
            gives_way = replaced and _replace(db, before[0], article.id)
            newest = db.execute(
                "SELECT revision, state, digest, key FROM articles WHERE id = ?"
                " ORDER BY revision DESC LIMIT 1",
                (article.id,),
            ).fetchone()
            if newest is not None and newest[1:3] == ("current", digest):
                _retire_replaced(db, article.id)
                return StageResult.UNCHANGED
            if newest is not None and newest[1:3] == ("pending", digest):
                return StageResult.UNCHANGED
            if newest is not None and newest[1] == "pending":
                drop_revision(db, newest[3])
            now = datetime.now().astimezone()
            earlier = (article.id, *([before[0]] if gives_way else ()))
            start = max(valid_from(db, one, article.modified, now) for one in earlier)
            revision = (newest[0] if newest else 0) + 1
            _insert(db, article, (revision, digest, now, start), spans)
            exists = newest is not None and newest[1] != "old"
            return StageResult.CHANGED if exists or replaced else StageResult.ADDED

    def pending(self, after: int, limit: int) -> list[Staged]:
        """Staged articles in the order of staging, those with a key above `after`.

        Stops once they have at least `limit` passages.
        """
        rows = self.rows(
            f"SELECT a.key, {ARTICLE_COLUMNS} FROM articles a"
            " WHERE a.state = 'pending' AND a.key > ? ORDER BY a.key LIMIT ?",
            (after, limit),
        )
        staged: list[Staged] = []
        passages = 0
        for row in rows:
            article = article_of(row[1:])
            staged.append(Staged(cast(int, row[0]), article, self.passages(article)))
            passages += len(staged[-1].passages)
            if passages >= limit:
                break
        return staged

    def publish(self, staged: Iterable[Staged]) -> None:
        """Make indexed revisions current, in one transaction; their predecessors become old.

        A revision that was dropped since it was staged becomes garbage of the indexes.
        """
        with self.transaction() as db:
            for item in staged:
                published = db.execute(
                    "UPDATE articles SET state = 'current' WHERE key = ? AND state = 'pending'",
                    (item.key,),
                )
                if published.rowcount == 0:
                    gone = [("article", item.key), *(("passage", p.id) for p in item.passages)]
                    db.executemany(f"INSERT INTO garbage VALUES (?, ?) {_ONCE}", gone)
                    continue
                retire(db, item.article.id, by=item.key)
                _retire_replaced(db, item.article.id)
            db.execute(BUMP)

    def delete(self, article_id: str) -> None:
        """Remove an article with all its revisions. Raises `ArticleNotFoundError`."""
        with self.transaction() as db:
            query = "SELECT 1 FROM articles WHERE id = ?"
            if db.execute(query, (article_id,)).fetchone() is None:
                raise ArticleNotFoundError(f"the archive has no article {article_id}")
            _drop_article(db, article_id)
            db.execute(BUMP)

    def garbage(self) -> tuple[list[int], list[int]]:
        """The passages and the article keys of what the derived indexes hold out of date."""
        rows = cast(list[tuple[str, int]], self.rows("SELECT kind, id FROM garbage"))
        return [i for kind, i in rows if kind == "passage"], [
            i for kind, i in rows if kind == "article"
        ]

    def clear_garbage(self, passages: Iterable[int], articles: Iterable[int]) -> None:
        """Note that the derived indexes are up to date with these."""
        gone = [("passage", i) for i in passages] + [("article", i) for i in articles]
        with self.transaction() as db:
            db.executemany("DELETE FROM garbage WHERE kind = ? AND id = ?", gone)
            db.execute(BUMP)

    def keep_editions(self, kept: Iterable[int]) -> None:
        """Forget the passages of all editions but these."""
        kept = list(kept)
        with self.transaction() as db:
            db.execute(f"DELETE FROM passages WHERE edition NOT IN ({marks(kept)})", kept)

    # -- reading ------------------------------------------------------------------------------

    def article(self, article_id: str, revision: int | None = None) -> Article:
        """The current revision of an article, or a given one. Raises `ArticleNotFoundError`."""
        which = "state = 'current'" if revision is None else "revision = ?"
        values = (article_id,) if revision is None else (article_id, revision)
        rows = self.rows(
            f"SELECT {ARTICLE_COLUMNS} FROM articles a WHERE id = ? AND {which}", values
        )
        if not rows:
            raise ArticleNotFoundError(f"the archive has no article {article_id}")
        return article_of(rows[0])

    def articles(self, limit: int = -1, filters: Filters = _ALL) -> list[Article]:
        """Current articles that pass the filters, latest first; undated ones last."""
        sources = f" AND source IN ({marks(filters.sources)})" if filters.sources else ""
        rows = self.rows(
            f"SELECT {ARTICLE_COLUMNS} FROM articles a WHERE state = 'current'"
            f" AND day BETWEEN ? AND ?{sources} ORDER BY day DESC, id LIMIT ?",
            (*filters.days, *filters.sources, limit if limit >= 0 else NO_LIMIT),
        )
        return [article_of(row) for row in rows]

    def every_article(self) -> Iterator[Article]:
        """All current articles of this moment, one at a time, whatever is written meanwhile."""
        query = f"SELECT {ARTICLE_COLUMNS} FROM articles a WHERE state = 'current' ORDER BY key"
        return map(article_of, self.stream(query))

    def articles_of(self, keys: Sequence[int], as_of: date | None = None) -> list[Article]:
        """Those of the revisions that are current, or were on a day, in the order of `keys`."""
        held: dict[object, Article] = {}
        which, days = standing(as_of)
        for part in parts(keys):
            rows = self.rows(
                f"SELECT a.key, {ARTICLE_COLUMNS} FROM articles a"
                f" WHERE a.key IN ({marks(part)}) AND {which}",
                (*part, *days),
            )
            held.update((row[0], article_of(row[1:])) for row in rows)
        return [held[key] for key in keys if key in held]

    def passages(self, article: Article) -> list[PassageSpan]:
        """The passages of one revision, in text order."""
        rows = self.rows(
            'SELECT id, start, "end" FROM passages WHERE article_id = ? AND revision = ?'
            f" AND edition = {EDITION} ORDER BY start",
            (article.id, article.revision),
        )
        return [
            PassageSpan(i, start, end) for i, start, end in cast(list[tuple[int, int, int]], rows)
        ]

    def passage_rows(self, ids: Sequence[int], as_of: date | None = None) -> dict[int, PassageRow]:
        """Those of the passages that belong to a current revision, or to one of a day, by id.

        In any edition: a search may have begun in the one before.
        """
        found: dict[int, PassageRow] = {}
        which, days = standing(as_of)
        for part in parts(ids):
            rows = self.rows(
                "SELECT p.id, a.key, p.article_id, p.revision, p.start, p.end, a.day, a.source"
                " FROM passages p JOIN articles a ON a.id = p.article_id"
                f" AND a.revision = p.revision WHERE p.id IN ({marks(part)})"
                f" AND {which}",  # passages are looked up first, by their key
                (*part, *days),
            )
            found.update((row[0], PassageRow._make(row)) for row in cast(list[Any], rows))
        return found

    def days(self) -> list[DayRow]:
        """What is current, by day and outlet, in this order."""
        rows = self.rows(
            "SELECT day, source, count(*) FROM articles WHERE state = 'current'"
            " GROUP BY day, source ORDER BY day, source NULLS FIRST"
        )
        return [DayRow._make(row) for row in cast(list[Any], rows)]

    def count(self, state: str) -> int:
        """The number of articles that are "current" or "pending"."""
        query = "SELECT count(*) FROM articles WHERE state = ?"
        return cast(int, self.rows(query, (state,))[0][0])


def _insert(
    db: Connection,
    article: Article,
    made: tuple[int, str, datetime, int],
    spans: Sequence[Span],
) -> None:
    revision, digest, ingested, start = made
    day = article.published.toordinal() if article.published else 0
    seen = (article.title, article.source, article.url, day, article.text)
    more = (article.author, article.language, article.section, _moment(article))
    db.execute(
        "INSERT INTO articles (id, revision, state, digest, title, source, url, day, text,"
        " author, language, section, modified, ingested, valid_from)"
        " VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (article.id, revision, digest, *seen, *more, ingested.isoformat(timespec="seconds"), start),
    )
    add_passages(db, article.id, revision, spans)


def add_passages(db: Connection, article_id: str, revision: int, spans: Sequence[Span]) -> None:
    """Cut a revision into these passages, in the edition in use."""
    db.executemany(
        'INSERT INTO passages (article_id, revision, start, "end", edition)'
        f" VALUES (?, ?, ?, ?, {EDITION})",
        [(article_id, revision, span.start, span.end) for span in spans],
    )


def _replace(db: Connection, article_id: str, by_id: str) -> bool:
    """Note that an article gives way to another, unless another origin gives it, too."""
    db.execute("UPDATE replaced SET by_id = ? WHERE by_id = ?", (by_id, article_id))
    query = "SELECT 1 FROM origins WHERE article_id = ?"
    if db.execute(query, (article_id,)).fetchone() is not None:
        return False
    pending = "SELECT key FROM articles WHERE id = ? AND state = 'pending'"
    for (key,) in db.execute(pending, (article_id,)).fetchall():
        drop_revision(db, key)
    db.execute(
        "INSERT INTO replaced VALUES (?, ?)"
        " ON CONFLICT (article_id) DO UPDATE SET by_id = excluded.by_id",
        (article_id, by_id),
    )
    return True


def _retire_replaced(db: Connection, by_id: str) -> None:
    """The articles that gave way to this one become old, now that it is current."""
    query = "SELECT article_id FROM replaced WHERE by_id = ?"
    for (article_id,) in db.execute(query, (by_id,)).fetchall():
        current = "SELECT key FROM articles WHERE id = ? AND state = 'current'"
        (key,) = db.execute(current, (by_id,)).fetchone()
        retire(db, article_id, by=key)
    if db.execute("DELETE FROM replaced WHERE by_id = ?", (by_id,)).rowcount:
        db.execute(BUMP)


def _drop_article(db: Connection, article_id: str) -> None:
    query = "SELECT key FROM articles WHERE id = ?"
    for (key,) in db.execute(query, (article_id,)).fetchall():
        drop_revision(db, key)
    db.execute("DELETE FROM origins WHERE article_id = ?", (article_id,))
    # What was to give way to it stays, as nothing replaces it now.
    db.execute("DELETE FROM replaced WHERE ? IN (article_id, by_id)", (article_id,))


def article_of(row: Sequence[object]) -> Article:
    """The article of a row of `ARTICLE_COLUMNS`."""
    *seen, day, revision, author, language, section, modified, ingested = cast(Any, row)
    published = date.fromordinal(day) if day else None
    changed = _from_iso(modified) if modified else None
    article_id, title, text, source, url = seen
    taken = datetime.fromisoformat(ingested) if ingested else None
    more = (author, language, section, changed, taken)
    return Article(article_id, title, text, source, url, published, revision, *more)


def _from_iso(moment: str) -> date:
    return datetime.fromisoformat(moment) if "T" in moment else date.fromisoformat(moment)
