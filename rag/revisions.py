"""When each revision of an article stood, as days, and how it ends.

A revision stands from `valid_from` to the day before `valid_to`, both proleptic ordinals. The first
one stands from 0, so that its publication decides; a later one from the day of its modification,
where that is known, and else from the day of its ingestion. The newest has no end. A superseded
revision keeps its passages, and its places in the indexes, as long as there is a day on which it
stood: that is what a question of an earlier day sees.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import groupby, pairwise

from rag.database import EDITION, FOREVER, SET_META, STATE, UNFINISHED, Connection

STOOD = "(a.state != 'old' OR a.valid_from < a.valid_to)"
"""Whether a revision `a` can be found: now, soon, or as of some day."""
_PASSAGES = (
    "FROM passages WHERE (article_id, revision) = (SELECT id, revision FROM articles WHERE key = ?)"
)


def standing(as_of: date | None) -> tuple[str, tuple[int, ...]]:
    """That a revision `a` is current, or stood on a day: the condition in SQL, and its values."""
    if as_of is None:
        return f"{STATE} = 'current'", ()
    day = as_of.toordinal()
    return f"{STATE} != 'pending' AND a.valid_from <= ? AND a.valid_to > ?", (day, day)


def valid_from(db: Connection, article_id: str, modified: date | None, ingested: datetime) -> int:
    """The day from which the next revision of an article stands; 0 if there is none before it.

    An article that was not modified since the revision before, as it says, is ingested anew all the
    same: then what it says is no measure.
    """
    row = db.execute(
        "SELECT modified FROM articles WHERE id = ? AND state != 'pending'"
        " ORDER BY revision DESC LIMIT 1",
        (article_id,),
    ).fetchone()
    if row is None:
        return 0
    moment = modified.isoformat() if modified else None
    return _later(row[0], moment, ingested.date().toordinal())


def _later(before: str | None, moment: str | None, ingested: int) -> int:
    """The day of a revision by its time of modification and that of the revision before it."""
    if moment is None or (before is not None and (moment == before or moment[:10] < before[:10])):
        return ingested
    return min(date.fromisoformat(moment[:10]).toordinal(), ingested)


def retire(db: Connection, article_id: str, by: int) -> None:
    """An article's revisions, all but the one that supersedes them, become old."""
    (day,) = db.execute("SELECT valid_from FROM articles WHERE key = ?", (by,)).fetchone()
    for key, stood in _end(db, article_id, day, but=by):
        if stood:
            outdate(db, key)
        else:
            unindex(db, key)
        db.execute("UPDATE articles SET state = 'old' WHERE key = ?", (key,))


def outdate(db: Connection, key: int, which: str = f" AND edition = {EDITION}") -> None:
    """Note that what the indexes hold of a revision is out of date."""
    passages = f"SELECT 'passage', id {_PASSAGES}{which}"
    db.execute(f"INSERT INTO garbage {passages} ON CONFLICT DO NOTHING", (key,))
    db.execute("INSERT INTO garbage VALUES ('article', ?) ON CONFLICT DO NOTHING", (key,))


def unindex(db: Connection, key: int) -> None:
    """Take a revision's passages away, and note what the indexes must forget."""
    outdate(db, key, "")
    db.execute(f"DELETE {_PASSAGES}", (key,))


def drop_revision(db: Connection, key: int) -> None:
    """Forget a revision; it will never be opened again."""
    unindex(db, key)
    for table in ("copies", "copy_bands", "articles"):
        db.execute(f"DELETE FROM {table} WHERE key = ?", (key,))


def _end(db: Connection, article_id: str, day: int, but: int) -> list[tuple[int, bool]]:
    """End all published revisions of an article, all `but` one, on the day before `day`.

    Returns those that were current or have lost days: their keys, and whether a day is left.
    """
    which = (
        "FROM articles WHERE id = ? AND key != ? AND state != 'pending'"
        " AND (state = 'current' OR valid_to > ?)"
    )
    keys = db.execute(f"SELECT key {which}", (article_id, but, day)).fetchall()
    ended = []
    for (key,) in keys:
        db.execute(
            "UPDATE articles SET valid_to = ? WHERE key = ? AND valid_to > ?", (day, key, day)
        )
        (left,) = db.execute(
            "SELECT valid_from < valid_to FROM articles WHERE key = ?", (key,)
        ).fetchone()
        ended.append((key, bool(left)))
    return ended


def date_earlier_ones(db: Connection, today: date) -> None:
    """Give days to the revisions of an archive that did not keep any.

    When a revision was ingested is unknown, but not after today. One that was superseded by another
    article, without a revision after it, has no day. What an earlier version let go, and is to be
    found again, the next writer cuts and indexes.
    """
    rows = db.execute(
        "SELECT id, key, state, modified FROM articles WHERE state != 'pending'"
        " AND id IN (SELECT id FROM articles WHERE revision > 1 OR state = 'old')"
        " ORDER BY id, revision"
    )
    to_index = False
    for _, several in groupby(rows.fetchall(), key=lambda row: row[0]):
        group = list(several)
        moments = [modified for *_, modified in group]
        starts = [0, *(_later(*two, today.toordinal()) for two in pairwise(moments))]
        for n, (_, key, state, _) in enumerate(group):
            until = min(starts[n + 1 :], default=0 if state == "old" else FOREVER)
            values = (starts[n], until, key)
            db.execute("UPDATE articles SET valid_from = ?, valid_to = ? WHERE key = ?", values)
            to_index = to_index or (state == "old" and starts[n] < until)
    if to_index:
        db.execute(SET_META, (UNFINISHED, "1"))
