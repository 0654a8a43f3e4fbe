"""Articles, words and vectors behind one upsert, one delete and one search.

The ledger decides what exists; the indexes are derived from it and follow.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from math import ceil
from pathlib import Path

from rag.database import MOVED
from rag.databases import open_database
from rag.errors import ArchiveError, ArchiveMismatchError, ArticleNotFoundError
from rag.files import folder_size
from rag.indexes import Indexes, edition_folder, other_editions
from rag.ledger import Ledger
from rag.lock import Waiting, WriteLock
from rag.models import Vector, Vectors
from rag.reports import ArchiveStatus
from rag.rows import DayRow, PassageRow, Staged
from rag.types import Article
from rag.vectors import VectorIndex
from rag.words import Filters, IndexEntry, WordIndex

FORMAT = "1"
NO_SOURCE = "(none)"
"""Stands for the outlet of articles without one."""

_EXACT_FILTER_SHARE = 0.15
"""Below this share of allowed passages, Chroma filters before it searches: slow, but complete."""
_SPARE = 1.5
"""How many more neighbours than the share asks for are fetched when filtering afterwards."""

_LOOKS = 3
"""How often a search is tried while articles that it finds are being replaced."""

_VERSION = "version"
_UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that an index found, with its scores.

    `dense` is a cosine, `lexical` BM25 of the passage, `article` BM25 of its whole article with the
    title. Where an index listed as many as it was asked for, but not this passage, its score is
    that of the last one listed, a bound; where the list was not full, it is 0.
    """

    row: PassageRow
    dense: float
    lexical: float
    article: float


class Store:
    """An archive's folder: `articles.sqlite` (or the note of a PostgreSQL), and the indexes in use.

    The first edition has its indexes in the folder itself, a later one in `edition-N/`: `vectors/`
    (Chroma) and `words/` (tantivy, twice).
    """

    def __init__(
        self,
        folder: Path,
        embedding_model: str | None = None,
        passage_characters: int = 0,
        *,
        database: str = "",
        adopt: bool = False,
    ) -> None:
        """Open or make an archive with these settings; without a model, open it as it was made.

        `database` and `adopt` are those of `rag.databases.open_database`. Raises `ArchiveError`,
        `ArchiveMismatchError`.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{folder} cannot be used as an archive: {error}") from error
        self.folder = folder
        self.ledger = Ledger(open_database(folder, database, adopt=adopt))
        self._lock = WriteLock(folder, self.ledger.database)
        self._reading = threading.Lock()  # no vectors are searched while they are opened anew
        self._census: Census | None = None
        self.must_mend = False
        """While writing: the last writer did not come to its end, so the indexes may need it."""
        try:
            self._touched = self.ledger.touched()
            meta = self._made_with(embedding_model, passage_characters)
            self._version = meta.get(_VERSION)
            self.embedding_model = meta["embedding_model"]
            self.passage_characters = int(meta["passage_characters"])
            self.indexes = Indexes(edition_folder(folder, int(meta.get("edition", 0))))
        except BaseException as error:
            self.ledger.close()
            if isinstance(error, KeyError | ValueError):
                raise ArchiveError(f"{folder} does not say what it was made with") from error
            raise

    def _made_with(self, model: str | None, characters: int) -> dict[str, str]:
        """What the ledger says; a new one is told."""
        made_with = self._meta()
        wanted = {"format": FORMAT}
        if model is not None:
            wanted |= {"embedding_model": model, "passage_characters": str(characters)}
        if not made_with and model is not None:
            self.ledger.set_meta(wanted)
            return wanted
        for name, value in wanted.items():
            if made_with.get(name) != value:
                raise ArchiveMismatchError(
                    f"the archive in {self.folder} was made with {name} {made_with.get(name)}, "
                    f"not {value}; use that setting, or bring the archive to yours with: "
                    f"newsrag reindex --archive {self.folder}"
                )
        return made_with

    def _meta(self) -> dict[str, str]:
        meta = self.ledger.meta()
        if MOVED in meta:
            raise ArchiveError(
                f"the articles of {self.folder} have moved to PostgreSQL: start anew; "
                "if their moving was interrupted: newsrag move"
            )
        return meta

    @property
    def words(self) -> WordIndex:
        """The word index of passages."""
        return self.indexes.words

    @property
    def article_words(self) -> WordIndex:
        """The word index of whole articles with their titles."""
        return self.indexes.article_words

    @property
    def vectors(self) -> VectorIndex:
        """The vector index."""
        return self.indexes.vectors

    def close(self) -> None:
        """Release all files."""
        self.indexes.close()
        self.ledger.close()

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def writing(self, waiting: Waiting | None = None) -> Iterator[None]:
        """Hold the archive's write lock; a thread may nest this.

        When another process or thread holds it, raises `ArchiveLockedError`, or, with `waiting`,
        tells that who it is and waits.
        """
        with self._lock.held(waiting) as outermost:
            if not outermost:
                yield
                return
            self.refresh()
            meta = self.ledger.meta()
            self.must_mend = bool(meta.get(_UNFINISHED))
            self.ledger.set_meta({_UNFINISHED: "1"})
            self._clear_retired(meta)
            try:
                yield
            except ArticleNotFoundError:
                self._finish()
                raise
            except BaseException:
                with suppress(ArchiveError):  # the first failure is the one to be told
                    self.indexes.finish_writing()
                raise
            self._finish()

    def _finish(self) -> None:
        self.indexes.finish_writing()
        if not self.must_mend:
            self.ledger.set_meta({_UNFINISHED: ""})

    @contextmanager
    def undisturbed(self, waiting: Waiting | None = None) -> Iterator[None]:
        """Hold the write lock to read; raises or waits as `writing` does."""
        with self._lock.held(waiting):
            yield

    def _clear_retired(self, meta: Mapping[str, str]) -> None:
        """Delete the editions that no search can be in any more."""
        current = int(meta.get("edition", 0))
        kept = {current, int(meta.get("next_edition", current))}
        if retired := other_editions(self.folder, kept):
            self.ledger.keep_editions(kept)
            for folder in retired:
                shutil.rmtree(folder, ignore_errors=True)

    def index(
        self, staged: Sequence[Staged], entries: Sequence[IndexEntry], vectors: Vectors
    ) -> None:
        """Put staged passages into the indexes, then make their articles current."""
        self.indexes.add(staged, entries, vectors)
        self.ledger.publish(staged)
        self.collect_garbage()

    def delete(self, article_id: str) -> None:
        """Remove an article everywhere. Raises `ArticleNotFoundError`."""
        self.ledger.delete(article_id)
        self.collect_garbage()

    def collect_garbage(self) -> None:
        """Make the indexes forget passages that no longer exist."""
        self._census = None
        passages, articles = self.ledger.garbage()
        if not passages and not articles:
            return
        self.indexes.delete(passages, articles)
        self.ledger.clear_garbage(passages, articles)

    def status(self) -> ArchiveStatus:
        """Counts, dates, outlets and size on disk."""
        census = Census(self.ledger.days())
        articles, first, last = census.period(Filters())
        return ArchiveStatus(
            path=str(self.folder),
            articles=articles,
            passages=census.total,
            pending=self.ledger.count("pending"),
            first=first,
            last=last,
            undated=sum(row.articles for row in census.rows if not row.day),
            sources=census.sources,
            embedding_model=self.ledger.meta()["embedding_model"],
            size_bytes=folder_size(self.folder) + self.ledger.database.size(),
        )

    # -- reading ------------------------------------------------------------------------------

    def search(
        self, question: str, vector: Vector, limit: int, filters: Filters
    ) -> list[Candidate]:
        """The best `limit` passages by vector and by words that pass the filters, in no order."""
        self.refresh(switch=False)
        for _ in range(_LOOKS):
            found, complete = self._look(question, vector, limit, filters)
            # Articles that were revised meanwhile are found in their new revision.
            if complete or not self.refresh(switch=False):
                break
        return found

    def _look(
        self, question: str, vector: Vector, limit: int, filters: Filters
    ) -> tuple[list[Candidate], bool]:
        """What the indexes find as they are open, and whether the ledger still has all of it."""
        census = self._census = self._census or Census(self.ledger.days())
        filters = census.needed(filters)
        lexical = self.words.search(question, limit, filters)
        articles = self.article_words.search(question, limit, filters)
        dense = self._nearest(vector, limit, filters, census.share(filters))
        ids = dict.fromkeys(i for i, _ in (*dense, *lexical))
        rows = self.ledger.passage_rows(list(ids))
        passing = _passing(dense, rows, filters)[:limit]
        scores = [_Scores(hits, limit) for hits in (passing, lexical, articles)]
        kept = dict.fromkeys(i for i, _ in (*passing, *lexical) if i in rows)
        found = [
            Candidate(rows[i], scores[0][i], scores[1][i], scores[2][rows[i].article_key])
            for i in kept
        ]
        return found, len(rows) == len(ids)

    def find(self, words: str, limit: int, filters: Filters) -> list[Article]:
        """The articles whose title or text has all the words, best first."""
        self.refresh()
        hits = self.article_words.search(words, limit, filters, every=True)
        return self.ledger.articles_of([key for key, _ in hits])

    def period(self, filters: Filters) -> tuple[int, date | None, date | None]:
        """How many articles pass the filters, and the days of the first and the last dated one."""
        return (self._census or Census(self.ledger.days())).period(filters)

    def _nearest(
        self, vector: Vector, limit: int, filters: Filters, share: float
    ) -> list[tuple[int, float]]:
        """At least the nearest passages that pass the filters, of which a `share` of all do."""
        if share == 0:
            return []
        with self._reading:
            if share < _EXACT_FILTER_SHARE:
                return self.vectors.search(vector, limit, filters)
            fetch = limit if share == 1 else ceil(limit / share * _SPARE)
            return self.vectors.search(vector, fetch, Filters())

    def refresh(self, *, switch: bool = True) -> bool:
        """See what other processes have written; returns whether there was anything to be found.

        Without `switch`, stay in the edition that is open: a vector was made for it.
        """
        touched = self.ledger.touched()
        return touched != self._touched and self.reopen(touched, switch=switch)

    def reopen(self, touched: int, *, switch: bool = True) -> bool:
        """See what the ledger says now."""
        meta = self._meta()
        folder = edition_folder(self.folder, int(meta.get("edition", 0)))
        if folder != self.indexes.folder and not switch:
            return False
        with self._reading:
            self._touched = touched
            if meta.get(_VERSION) == self._version:
                return False  # only staged: nothing that a search would find
            self._version = meta.get(_VERSION)
            self._census = None
            if folder == self.indexes.folder:
                self.indexes.reload()
                return True
            before, self.indexes = self.indexes, Indexes(folder)
            self.embedding_model = meta["embedding_model"]
            self.passage_characters = int(meta["passage_characters"])
            before.close()
            return True


class _Scores(dict[int, float]):
    """The scores of one index; what a full list left out gets the last score, else 0."""

    def __init__(self, hits: Sequence[tuple[int, float]], limit: int) -> None:
        super().__init__(hits)
        self._bound = hits[-1][1] if len(hits) >= limit else 0.0

    def __missing__(self, key: int) -> float:
        return self._bound


class Census:
    """How much there is per day and outlet: what the archive holds, and what a filter leaves."""

    def __init__(self, rows: Sequence[DayRow]) -> None:
        self.rows = rows
        self.total = sum(row.passages for row in rows)
        self._last = max((row.day for row in rows), default=0)

    @property
    def sources(self) -> dict[str, int]:
        """Articles per outlet, most first; those without one under `NO_SOURCE`."""
        counts: Counter[str] = Counter()
        for row in self.rows:
            counts[row.source or NO_SOURCE] += row.articles
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def period(self, filters: Filters) -> tuple[int, date | None, date | None]:
        """How many articles pass the filters, and the days of the first and the last dated one."""
        passing = self._passing(filters)
        days = [date.fromordinal(row.day) for row in passing if row.day]
        articles = sum(row.articles for row in passing)
        return articles, min(days, default=None), max(days, default=None)

    def needed(self, filters: Filters) -> Filters:
        """The filters without an end that nothing comes after."""
        if filters.until is not None and filters.until.toordinal() >= self._last:
            return replace(filters, until=None)
        return filters

    def share(self, filters: Filters) -> float:
        """The share of all passages that the filters let through, in 0..1."""
        if filters == Filters():
            return 1.0 if self.total else 0.0
        passing = sum(row.passages for row in self._passing(filters))
        return passing / self.total if self.total else 0.0

    def _passing(self, filters: Filters) -> list[DayRow]:
        first, last = filters.days
        sources = frozenset(filters.sources)
        return [
            row
            for row in self.rows
            if first <= row.day <= last and (not sources or row.source in sources)
        ]


def _passing(
    hits: Sequence[tuple[int, float]], rows: dict[int, PassageRow], filters: Filters
) -> list[tuple[int, float]]:
    """The hits that the archive still holds and the filters let through."""
    first, last = filters.days
    sources = frozenset(filters.sources)
    return [
        (passage_id, score)
        for passage_id, score in hits
        if (row := rows.get(passage_id)) is not None
        and first <= row.day <= last
        and (not sources or row.source in sources)
    ]
