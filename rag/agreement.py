"""Whether the ledger and its indexes agree, and how they are made to.

SQLite is the truth: what an index lacks is put in again, what it holds beyond is deleted, and one
that cannot be read is made anew. Everything is compared in windows of numbers, in bounded memory.
Hold the archive's write lock meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from rag import groups
from rag import ledgeraudit as audit
from rag.errors import ArchiveError, ArchiveUnreachableError
from rag.indexes import ARTICLE_WORDS, VECTORS, WORDS, Indexes, article_entry, entries_of
from rag.ledger import Ledger
from rag.models import Embedder
from rag.passages import split_passages
from rag.rows import HeldRow
from rag.store import Store
from rag.types import Article
from rag.words import WordIndex

_WINDOW = 4_000
_BATCH = 256

_Held = tuple[int, int | None]
"""How often an index has an entry, with which day and outlet; word indexes do not tell the last."""


@dataclass(slots=True)
class Mended:
    """What repairing did, in numbers, and the indexes that were made anew."""

    ledger: int = 0
    embedded: int = 0
    indexed: int = 0
    removed: int = 0
    rebuilt: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement: `index` is its folder; `id` the passage's or article's number there.

    `lacks` says that the right entry is missing, else what is there is too much.
    """

    index: str
    id: int
    lacks: bool
    text: str


def check(store: Store) -> list[str]:
    """Every disagreement as one line; none proves that all three stores agree.

    That is: the ledger's own rows fit together, each revision that can be found is cut into
    passages that cover its text, and each passage and article is in each index exactly once, with
    its day and outlet. What the ledger knows to be unfinished (staged, or out of date) is no
    disagreement.
    """
    lines = audit.faults(store.ledger) + groups.faults(store.ledger)
    lines += [f"article {article.id}: {why}" for article, why in _miscut(store.ledger)]
    for name in (VECTORS, WORDS, ARTICLE_WORDS):
        try:
            lines += [difference.text for difference in differences(store, store.indexes, name)]
        except ArchiveUnreachableError:
            raise
        except ArchiveError as error:
            lines.append(f"{name}: {error}")
    return lines


def mend(store: Store, embedder: Embedder) -> Mended:
    """Make the ledger sound and the indexes agree with it."""
    mended = Mended(ledger=audit.mend(store.ledger))
    mended.ledger += groups.mend(store.ledger)
    for article, _ in list(_miscut(store.ledger)):
        spans = split_passages(article.text, store.passage_characters)
        audit.recut(store.ledger, article, spans)
        mended.ledger += 1
    mend_indexes(store, store.indexes, embedder, mended)
    store.collect_garbage()
    store.must_mend = False
    return mended


def recover(store: Store, embedder: Embedder) -> None:
    """Mend what a writer that was killed may have left; without one, nothing is looked at."""
    if store.must_mend:
        mend(store, embedder)


def mend_indexes(store: Store, indexes: Indexes, embedder: Embedder, mended: Mended) -> None:
    """Make the indexes of one edition agree with the ledger."""
    for name in (VECTORS, WORDS, ARTICLE_WORDS):
        try:
            _mend_index(store, indexes, name, embedder, mended)
        except ArchiveUnreachableError:
            raise  # what does not answer now is not therefore broken
        except ArchiveError:
            indexes.discard(name)
            mended.rebuilt.append(name)
            _mend_index(store, indexes, name, embedder, mended)


def _mend_index(
    store: Store, indexes: Indexes, name: str, embedder: Embedder, mended: Mended
) -> None:
    found = differences(store, indexes, name)
    with indexes.failures():
        while part := list(islice(found, _BATCH)):
            lacking = list(dict.fromkeys(one.id for one in part if one.lacks))
            surplus = list(dict.fromkeys(one.id for one in part if not one.lacks))
            _put(store.ledger, indexes, name, embedder, lacking, mended)
            _remove(store.ledger, indexes, name, surplus)
            mended.removed += len(surplus)
        if name != VECTORS:
            _word_index(indexes, name).commit()


def _put(
    ledger: Ledger,
    indexes: Indexes,
    name: str,
    embedder: Embedder,
    numbers: Sequence[int],
    mended: Mended,
) -> None:
    if name == ARTICLE_WORDS:
        indexes.article_words.add(map(article_entry, audit.articles(ledger, numbers)))
        mended.indexed += len(numbers)
    elif numbers:
        entries, texts = entries_of(audit.passages(ledger, numbers))
        if name == WORDS:
            indexes.words.add(entries)
            mended.indexed += len(entries)
        else:
            indexes.vectors.add([entry.id for entry in entries], embedder.encode(texts))
            mended.embedded += len(entries)


def _remove(ledger: Ledger, indexes: Indexes, name: str, numbers: Sequence[int]) -> None:
    if name != VECTORS:
        _word_index(indexes, name).delete(numbers)
        return
    indexes.vectors.delete([number for number in numbers if number])
    if 0 in numbers:
        known = range(1, audit.last_number(ledger, of_articles=False) + 1)
        indexes.vectors.forget(indexes.vectors.strangers(known))


def _word_index(indexes: Indexes, name: str) -> WordIndex:
    return indexes.words if name == WORDS else indexes.article_words


def differences(store: Store, indexes: Indexes, name: str) -> Iterator[Difference]:
    """Where an index and the ledger disagree. Raises `ArchiveError` when it cannot be read."""
    ledger = store.ledger
    edition = audit.edition_of(ledger, store.folder, indexes.folder)
    known = 0
    articles = name == ARTICLE_WORDS
    with indexes.failures():
        count = _count(indexes, name)
        for first in range(1, audit.last_number(ledger, of_articles=articles) + 1, _WINDOW):
            last = first + _WINDOW - 1
            if articles:
                wanted = audit.held_articles(ledger, first, last)
            else:
                wanted = audit.held_passages(ledger, first, last, edition)
            held = _held(indexes, name, first, last)
            known += sum(times for times, _ in held.values())
            forgotten = audit.garbage(ledger, first, last, of_articles=articles)
            yield from _compare(name, wanted, held, forgotten)
    if count > known:
        text = f"{name}: {count - known} entries are left over, under numbers never given"
        yield Difference(name, 0, False, text)


def _compare(
    name: str,
    wanted: Mapping[int, HeldRow],
    held: Mapping[int, _Held],
    forgotten: set[int],
) -> Iterator[Difference]:
    what = "article" if name == ARTICLE_WORDS else "passage"
    for number, row in wanted.items():
        place = f"{name}: {what} {number} of article {row.article_id}"
        if number not in held:
            if row.state != "pending":
                yield Difference(name, number, True, f"{place} is missing")
            continue
        times, day = held[number]
        if times > 1:
            yield Difference(name, number, True, f"{place} is there {times} times")
        elif number not in forgotten and day not in (None, row.day):
            yield Difference(name, number, True, f"{place} has another day")
    for number in held.keys() - wanted.keys() - forgotten:
        text = f"{name}: {what} {number} is left over: no article has it"
        yield Difference(name, number, False, text)


def _held(indexes: Indexes, name: str, first: int, last: int) -> dict[int, _Held]:
    if name == VECTORS:
        return dict.fromkeys(indexes.vectors.held(first, last), (1, None))
    days = _word_index(indexes, name).held(first, last)
    return {number: (len(several), several[0]) for number, several in days.items()}


def _count(indexes: Indexes, name: str) -> int:
    return indexes.vectors.count() if name == VECTORS else _word_index(indexes, name).count()


def _miscut(ledger: Ledger) -> Iterator[tuple[Article, str]]:
    """The revisions whose passages do not cover their text, each with the reason."""
    for article, spans in audit.cut_articles(ledger):
        if why := _fault_of(article.text, spans):
            yield article, why


def _fault_of(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """What is wrong with a cutting; empty for a sound one. The spans are in text order."""
    end = 0
    for start, stop in spans:
        if not 0 <= start < stop <= len(text):
            return f"a passage, {start} to {stop}, is outside its text of {len(text)} characters"
        if start < end:
            return f"two passages overlap at {start}"
        if text[end:start].strip():
            return f"its text from {end} to {start} is in no passage"
        end = stop
    return f"its text from {end} on is in no passage" if text[end:].strip() else ""
