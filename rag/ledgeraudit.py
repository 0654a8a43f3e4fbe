"""The ledger as `check`, `repair` and `reindex` read and mend it: by number, in windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any, cast

from rag.database import EDITION, SET_META, marks, parts
from rag.indexes import edition_folder
from rag.ledger import ARTICLE_COLUMNS, BUMP, Ledger, add_passages, article_of
from rag.revisions import STOOD, retire, unindex
from rag.rows import HeldRow, PassageSpan, Staged
from rag.types import Article, Span

_COLUMNS = ARTICLE_COLUMNS.count(",") + 1
_LIVING = "a.state IN ('current', 'pending')"
_FILED = "CASE WHEN a.state = 'old' THEN -1 - a.day ELSE a.day END"
"""The day of a revision as `rag.words.filed` has it, in SQL."""
_DOUBLE = (
    "SELECT id, count(*) FROM articles WHERE state = 'current' GROUP BY id HAVING count(*) > 1"
)
_ORPHANS = (
    "FROM passages WHERE NOT EXISTS (SELECT 1 FROM articles a WHERE a.id = passages.article_id"
    f" AND a.revision = passages.revision AND {STOOD})"
)
_LOST = (
    "FROM origins WHERE NOT EXISTS"
    f" (SELECT 1 FROM articles a WHERE a.id = origins.article_id AND {_LIVING})"
)


def faults(ledger: Ledger) -> list[str]:
    """What does not fit within the ledger, one line each."""
    lines = ledger.database.faults()
    for article_id, count in ledger.rows(_DOUBLE):
        lines.append(f"article {article_id}: {count} revisions are current at once")
    for number, article_id in ledger.rows(f"SELECT id, article_id {_ORPHANS}"):
        lines.append(f"passage {number}: article {article_id} has no such revision")
    for origin, article_id in ledger.rows(f"SELECT origin, article_id {_LOST}"):
        lines.append(f"origin {origin}: its article {article_id} is not there")
    return lines


def mend(ledger: Ledger) -> int:
    """Mend what `faults` finds, but for a damaged file; returns how many rows it took."""
    mended = 0
    with ledger.transaction() as db:
        for article_id, _ in db.execute(_DOUBLE).fetchall():
            newest = "SELECT max(key) FROM articles WHERE id = ? AND state = 'current'"
            (key,) = db.execute(newest, (article_id,)).fetchone()
            retire(db, article_id, by=key)
            mended += 1
        db.execute(f"INSERT INTO garbage SELECT 'passage', id {_ORPHANS} ON CONFLICT DO NOTHING")
        mended += db.execute(f"DELETE {_ORPHANS}").rowcount
        # Without its origin, the article is taken in again the next time that it is read.
        mended += db.execute(f"DELETE {_LOST}").rowcount
    return mended


def recut(ledger: Ledger, article: Article, spans: Sequence[Span]) -> None:
    """Replace the passages of a current article; the indexes do not have the new ones yet."""
    with ledger.transaction() as db:
        query = "SELECT key FROM articles WHERE id = ? AND revision = ?"
        (key,) = db.execute(query, (article.id, article.revision)).fetchone()
        unindex(db, key)
        db.execute("DELETE FROM garbage WHERE kind = 'article' AND id = ?", (key,))
        db.execute("DELETE FROM reindexed WHERE key = ?", (key,))
        add_passages(db, article.id, article.revision, spans)


def cut_articles(ledger: Ledger) -> Iterator[tuple[Article, list[tuple[int, int]]]]:
    """Every revision that is found, with its passages in the edition in use, in text order."""
    rows = ledger.stream(
        f"SELECT {ARTICLE_COLUMNS}, p.start, p.end FROM articles a LEFT JOIN passages p"
        f" ON p.article_id = a.id AND p.revision = a.revision AND p.edition = {EDITION}"
        f" WHERE a.state != 'pending' AND {STOOD} ORDER BY a.key, p.start"
    )
    for _, several in groupby(rows, key=lambda row: (row[0], row[6])):
        group = list(several)
        spans = [(row[-2], row[-1]) for row in group if row[-1] is not None]
        yield article_of(group[0][:-2]), cast(list[tuple[int, int]], spans)


def last_number(ledger: Ledger, *, of_articles: bool) -> int:
    """The highest number that a passage, or an article's revision, ever had."""
    return ledger.database.last_number("articles" if of_articles else "passages")


def edition_of(ledger: Ledger, archive: Path, folder: Path) -> int:
    """The edition that has its indexes in a folder."""
    meta = ledger.meta()
    editions = (int(meta.get(name, 0)) for name in ("edition", "next_edition"))
    return next(n for n in editions if edition_folder(archive, n) == folder)


def held_passages(ledger: Ledger, first: int, last: int, edition: int) -> dict[int, HeldRow]:
    """The passages `first` to `last` of an edition, by number."""
    return _held(
        ledger.rows(
            f"SELECT p.id, {_FILED}, a.state, a.id FROM passages p"
            " JOIN articles a ON a.id = p.article_id AND a.revision = p.revision"
            f" AND {STOOD} WHERE p.id BETWEEN ? AND ? AND p.edition = ?",
            (first, last, edition),
        )
    )


def held_articles(ledger: Ledger, first: int, last: int) -> dict[int, HeldRow]:
    """The revisions `first` to `last`, by number."""
    return _held(
        ledger.rows(
            f"SELECT a.key, {_FILED}, a.state, a.id FROM articles a"
            f" WHERE a.key BETWEEN ? AND ? AND {STOOD}",
            (first, last),
        )
    )


def _held(rows: Iterable[tuple[object, ...]]) -> dict[int, HeldRow]:
    return {cast(int, row[0]): HeldRow._make(cast(Any, row)) for row in rows}


def garbage(ledger: Ledger, first: int, last: int, *, of_articles: bool) -> set[int]:
    """The numbers that the indexes hold out of date: to be forgotten, or filed anew."""
    query = "SELECT id FROM garbage WHERE kind = ? AND id BETWEEN ? AND ?"
    kind = "article" if of_articles else "passage"
    return {cast(int, row[0]) for row in ledger.rows(query, (kind, first, last))}


def articles(ledger: Ledger, keys: Sequence[int]) -> list[Staged]:
    """Those of the revisions with these numbers that are found, without their passages."""
    return [
        Staged(cast(int, row[-2]), article_of(row[:-2]), [], bool(row[-1]))
        for part in parts(sorted(keys))
        for row in ledger.rows(
            f"SELECT {ARTICLE_COLUMNS}, a.key, a.state = 'old' FROM articles a"
            f" WHERE a.key IN ({marks(part)}) AND {STOOD} ORDER BY a.key",
            part,
        )
    ]


def passages(ledger: Ledger, ids: Sequence[int]) -> list[Staged]:
    """These passages with their revisions; a revision has only those that are asked for."""
    rows = chain.from_iterable(
        ledger.rows(
            f"SELECT {ARTICLE_COLUMNS}, a.key, a.state = 'old', p.id, p.start, p.end"
            " FROM passages p JOIN articles a ON a.id = p.article_id AND a.revision = p.revision"
            f" WHERE p.id IN ({marks(part)}) ORDER BY a.key, p.id",
            part,
        )
        for part in parts(sorted(ids))
    )
    found = []
    for key, several in groupby(rows, key=lambda row: row[_COLUMNS]):
        group = list(several)
        spans = [PassageSpan(*cast(Any, row[_COLUMNS + 2 :])) for row in group]
        superseded = bool(group[0][_COLUMNS + 1])
        found.append(Staged(cast(int, key), article_of(group[0][:_COLUMNS]), spans, superseded))
    return found


def passage_count(ledger: Ledger) -> int:
    """How many passages the current articles have in the edition in use."""
    query = (
        "SELECT count(*) FROM articles a JOIN passages p ON p.article_id = a.id"
        f" AND p.revision = a.revision WHERE a.state = 'current' AND p.edition = {EDITION}"
    )
    return cast(int, ledger.rows(query)[0][0])


def passage_numbers(ledger: Ledger, after: int, limit: int) -> list[int]:
    """The numbers, above `after`, of passages in the edition in use."""
    query = f"SELECT id FROM passages WHERE id > ? AND edition = {EDITION} ORDER BY id LIMIT ?"
    return [cast(int, row[0]) for row in ledger.rows(query, (after, limit))]


# A new edition.


def give_up_edition(ledger: Ledger) -> None:
    """Forget an edition that was being made."""
    with ledger.transaction() as db:
        db.execute(f"DELETE FROM passages WHERE edition != {EDITION}")
        db.execute("DELETE FROM reindexed")
        db.execute("DELETE FROM meta WHERE substr(key, 1, 5) = 'next_'")


def begin_edition(ledger: Ledger, number: int, goal: Mapping[str, str]) -> None:
    """Note that an edition is being made, in place of another that was not completed."""
    give_up_edition(ledger)
    with ledger.transaction() as db:
        values = {**goal, "next_edition": str(number)}
        db.executemany(SET_META, values.items())


def not_reindexed(ledger: Ledger, after: int, limit: int) -> list[int]:
    """The numbers, above `after`, of revisions that the edition being made does not have yet."""
    rows = ledger.rows(
        f"SELECT key FROM articles a WHERE key > ? AND {STOOD}"
        " AND NOT EXISTS (SELECT 1 FROM reindexed r WHERE r.key = a.key) ORDER BY key LIMIT ?",
        (after, limit),
    )
    return [cast(int, row[0]) for row in rows]


def cut_for_edition(
    ledger: Ledger, edition: int, cut: Iterable[tuple[Staged, Sequence[Span]]]
) -> list[Staged]:
    """Give passages their numbers; those of revisions that are gone by now get none.

    A revision that was cut so already, before a crash, keeps its numbers.
    """
    found = []
    with ledger.transaction() as db:
        for item, spans in cut:
            one = (item.article.id, item.article.revision)
            alive = f"SELECT 1 FROM articles a WHERE key = ? AND {STOOD}"
            if db.execute(alive, (item.key,)).fetchone() is None:
                continue
            held = (
                'SELECT id, start, "end" FROM passages'
                " WHERE article_id = ? AND revision = ? AND edition = ? ORDER BY start"
            )
            rows = db.execute(held, (*one, edition)).fetchall()
            if [(start, end) for _, start, end in rows] != [(s.start, s.end) for s in spans]:
                gone = "DELETE FROM passages WHERE article_id = ? AND revision = ? AND edition = ?"
                db.execute(gone, (*one, edition))
                db.executemany(
                    'INSERT INTO passages (article_id, revision, start, "end", edition)'
                    " VALUES (?, ?, ?, ?, ?)",
                    [(*one, span.start, span.end, edition) for span in spans],
                )
                rows = db.execute(held, (*one, edition)).fetchall()
            passages = [PassageSpan(*row) for row in rows]
            found.append(replace(item, passages=passages))
    return found


def note_reindexed(ledger: Ledger, keys: Iterable[int]) -> None:
    """Note that the indexes of the edition being made have these revisions."""
    with ledger.transaction() as db:
        db.executemany(
            "INSERT INTO reindexed VALUES (?) ON CONFLICT DO NOTHING", [(key,) for key in keys]
        )


def reindex_counts(ledger: Ledger) -> tuple[int, int]:
    """How many revisions the edition being made has, and how many it is to have."""
    (done,) = ledger.rows(
        f"SELECT count(*) FROM articles a JOIN reindexed r ON r.key = a.key WHERE {STOOD}"
    )[0]
    (total,) = ledger.rows(f"SELECT count(*) FROM articles a WHERE {STOOD}")[0]
    return cast(int, done), cast(int, total)


def switch_edition(ledger: Ledger) -> None:
    """From now on the edition that was made serves.

    The one before keeps its passages until the next writing: a search may be in it.
    """
    with ledger.transaction() as db:
        for new, old in (
            ("edition", "next_edition"),
            ("embedding_model", "next_model"),
            ("passage_characters", "next_characters"),
        ):
            query = "SELECT value FROM meta WHERE key = ?"
            db.execute(SET_META, (new, *db.execute(query, (old,)).fetchone()))
            db.execute("DELETE FROM meta WHERE key = ?", (old,))
        db.execute(BUMP)
