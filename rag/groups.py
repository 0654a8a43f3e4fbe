"""Groups of near-copies in the ledger: one story that several articles tell in the same words.

A revision joins the story of which it copies the lead, the longest current revision; else it begins
a story under its own number. Stories are never joined: a short copy that fits two versions of
which one corrects the other belongs to one of them. A revision keeps its place until it is dropped;
an old one counts for nothing, but was told with the others in its day.

Grouping follows publishing. What a crash left out has no row here, and the next writer groups it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, cast

from rag.copies import BANDS, VERSION, Wording, bands, is_copy, resemblance
from rag.database import SET_META, STATE, Connection, marks, parts
from rag.ledger import Ledger
from rag.revisions import standing

_META = "copies"
_BATCH = 32
"""Revisions that are grouped in one transaction."""
_LIKELY = 8
"""Stories that a revision is compared with, those with most bands in common first."""

_UNGROUPED = (
    "FROM articles a WHERE a.state = 'current'"
    " AND NOT EXISTS (SELECT 1 FROM copies c WHERE c.key = a.key)"
)
_LOST = "FROM copies WHERE NOT EXISTS (SELECT 1 FROM articles a WHERE a.key = copies.key)"
_CANDIDATES = (
    "SELECT c.story, max(shared.bands) FROM (SELECT key, count(*) AS bands FROM copy_bands"
    f" WHERE band IN ({marks(range(BANDS))}) GROUP BY key) AS shared"
    " JOIN copies c ON c.key = shared.key JOIN articles a ON a.key = shared.key"
    " WHERE a.state = 'current' GROUP BY c.story ORDER BY max(shared.bands) DESC, c.story LIMIT ?"
)
_LEAD = (
    "SELECT a.text, a.title FROM copies c JOIN articles a ON a.key = c.key"
    " WHERE c.story = ? AND a.state = 'current' ORDER BY c.size DESC, c.key LIMIT 1"
)
_PUT = (
    "INSERT INTO copies VALUES (?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET story = excluded.story, size = excluded.size"
)
_SHARED = (
    "SELECT c.story FROM copies c JOIN articles a ON a.key = c.key"
    " WHERE a.state = 'current' GROUP BY c.story HAVING count(DISTINCT a.id) > 1"
)


def is_begun(ledger: Ledger) -> bool:
    """Whether the archive is grouped by this version's rules, but for what is pending."""
    return ledger.rows("SELECT value FROM meta WHERE key = ?", (_META,)) == [(VERSION,)]


def complete(ledger: Ledger, progress: Callable[[], None] = lambda: None) -> int:
    """Group all that is current and not grouped, in the order of arrival; returns how many.

    An archive that another version grouped, or none, begins anew. `progress` is called after
    each batch.
    """
    if not is_begun(ledger):
        with ledger.transaction() as db:
            db.execute("DELETE FROM copies")
            db.execute("DELETE FROM copy_bands")
            db.execute(SET_META, (_META, VERSION))
    keys = [cast(int, key) for (key,) in ledger.rows(f"SELECT a.key {_UNGROUPED} ORDER BY a.key")]
    for first in range(0, len(keys), _BATCH):
        group(ledger, keys[first : first + _BATCH])
        progress()
    return len(keys)


def group(ledger: Ledger, keys: Sequence[int]) -> None:
    """Put revisions into the stories that they tell; those that are not current get none."""
    for first in range(0, len(keys), _BATCH):
        texts = _texts(ledger, keys[first : first + _BATCH])
        found = [(key, wording, bands(wording)) for key, wording in texts]
        with ledger.transaction(durable=False) as db:  # the next writer would do it again
            for key, wording, numbers in found:
                story = _story_of(db, wording, numbers) or key
                values = (key, story, len(wording.shingles))
                db.execute(_PUT, values)
                rows = [(band, key) for band in numbers]
                db.executemany("INSERT INTO copy_bands VALUES (?, ?) ON CONFLICT DO NOTHING", rows)


def _texts(ledger: Ledger, keys: Sequence[int]) -> list[tuple[int, Wording]]:
    rows = ledger.rows(
        f"SELECT a.key, a.text, a.title FROM articles a WHERE {STATE} = 'current'"
        f" AND a.key IN ({marks(keys)}) ORDER BY a.key",
        keys,
    )
    return [(key, Wording(text, title)) for key, text, title in cast(list[Any], rows)]


def _story_of(db: Connection, wording: Wording, numbers: Sequence[int]) -> int | None:
    """The story that a text copies, the one most like it where there are several."""
    likely = db.execute(_CANDIDATES, (*numbers, _LIKELY)).fetchall() if numbers else []
    best, likeness = None, 0.0
    for story, shared in likely:
        if shared * 2 < likely[0][1]:
            break
        lead = Wording(*db.execute(_LEAD, (story,)).fetchone())
        if is_copy(wording, lead) and resemblance(wording, lead) > likeness:
            best, likeness = story, resemblance(wording, lead)
    return best


def stories(ledger: Ledger, keys: Iterable[int]) -> dict[int, int]:
    """The story of each of the revisions that was grouped, by number."""
    found: dict[int, int] = {}
    for part in parts(list(keys)):
        rows = ledger.rows(f"SELECT key, story FROM copies WHERE key IN ({marks(part)})", part)
        found.update(cast(list[tuple[int, int]], rows))
    return found


def members(
    ledger: Ledger, found: Iterable[int], as_of: date | None = None
) -> dict[int, list[int]]:
    """The revisions, current or of a day, that tell these stories, in the order of arrival."""
    which, days = standing(as_of)
    several: dict[int, list[int]] = {}
    for part in parts(list(found)):
        rows = ledger.rows(
            "SELECT c.story, c.key FROM copies c JOIN articles a ON a.key = c.key"
            f" WHERE c.story IN ({marks(part)}) AND {which} ORDER BY c.key",
            (*part, *days),
        )
        for story, key in cast(list[tuple[int, int]], rows):
            several.setdefault(story, []).append(key)
    return several


def count(ledger: Ledger) -> tuple[int, int]:
    """How many stories several articles tell, and how many articles these are."""
    (told,) = ledger.rows(
        "SELECT count(*) FROM copies c JOIN articles a ON a.key = c.key"
        f" WHERE a.state = 'current' AND c.story IN ({_SHARED})"
    )[0]
    (shared,) = ledger.rows(f"SELECT count(*) FROM ({_SHARED}) AS shared")[0]
    return cast(int, shared), cast(int, told)


def faults(ledger: Ledger) -> list[str]:
    """What is wrong with the groups, one line each; an archive not grouped yet has no faults."""
    lines = [
        f"revision {key}: is grouped, but gone" for (key,) in ledger.rows(f"SELECT key {_LOST}")
    ]
    if is_begun(ledger):
        rows = ledger.rows(f"SELECT a.id {_UNGROUPED}")
        lines += [
            f"article {article_id}: is not compared with its copies" for (article_id,) in rows
        ]
    return lines


def mend(ledger: Ledger) -> int:
    """Mend what `faults` finds, and group what is not grouped; returns how many rows that took."""
    with ledger.transaction() as db:
        mended = db.execute(f"DELETE {_LOST}").rowcount
        db.execute("DELETE FROM copy_bands WHERE key NOT IN (SELECT key FROM copies)")
    return mended + complete(ledger)
