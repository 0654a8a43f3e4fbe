"""Articles, words and vectors behind one upsert, one delete and one search.

SQLite decides what exists; the two indexes are derived from it and follow.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from math import ceil
from pathlib import Path

from rag.errors import ArchiveError, ArchiveLockedError, ArchiveMismatchError
from rag.ledger import DayRow, Ledger, PassageRow, Staged
from rag.models import Vector, Vectors
from rag.types import ArchiveStatus, Article
from rag.vectors import VectorIndex
from rag.words import Filters, IndexEntry, WordIndex

FORMAT = "1"
NO_SOURCE = "(none)"
"""Stands for the outlet of articles without one."""

_EXACT_FILTER_SHARE = 0.15
"""Below this share of allowed passages, Chroma filters before it searches: slow, but complete."""
_SPARE = 1.5
"""How many more neighbours than the share asks for are fetched when filtering afterwards."""

Embed = Callable[[Sequence[str]], Vectors]


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
    """An archive's folder: `articles.sqlite`, `vectors/` (Chroma), `words/` (tantivy, twice)."""

    def __init__(self, folder: Path, embedding_model: str, passage_characters: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArchiveError(f"{folder} cannot be used as an archive: {error}") from error
        self.folder = folder
        self.ledger = Ledger(folder / "articles.sqlite")
        self._check_meta(
            {
                "format": FORMAT,
                "embedding_model": embedding_model,
                "passage_characters": str(passage_characters),
            }
        )
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # no vectors are searched while they are opened anew
        self._words: WordIndex | None = None
        self._article_words: WordIndex | None = None
        self._vectors: VectorIndex | None = None
        self._census: Census | None = None
        self._version = self.ledger.version()

    def _check_meta(self, wanted: dict[str, str]) -> None:
        made_with = self.ledger.meta()
        if not made_with:
            self.ledger.set_meta(wanted)
            return
        for name, value in wanted.items():
            if made_with.get(name) != value:
                self.ledger.close()
                raise ArchiveMismatchError(
                    f"the archive in {self.folder} was made with {name} {made_with.get(name)}, "
                    f"not {value}; use that setting, or ingest into another folder"
                )

    @property
    def words(self) -> WordIndex:
        """The word index of passages, opened at first use."""
        with self._lock:
            if self._words is None:
                self._words = WordIndex(self.folder / "words" / "passages")
            return self._words

    @property
    def article_words(self) -> WordIndex:
        """The word index of whole articles with their titles, opened at first use."""
        with self._lock:
            if self._article_words is None:
                self._article_words = WordIndex(self.folder / "words" / "articles")
            return self._article_words

    @property
    def vectors(self) -> VectorIndex:
        """The vector index, opened at first use."""
        with self._lock:
            if self._vectors is None:
                self._vectors = VectorIndex(self.folder / "vectors")
            return self._vectors

    def close(self) -> None:
        """Release all files."""
        for index in (self._words, self._article_words):
            if index is not None:
                index.close()
        if self._vectors is not None:
            self._vectors.close()
        self.ledger.close()

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the archive's write lock; raises `ArchiveLockedError` when another process does."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "write.lock")
        try:
            with lock.acquire(timeout=0):
                try:
                    yield
                finally:
                    self.words.close()
                    self.article_words.close()
        except Timeout as error:
            raise ArchiveLockedError(
                f"the archive in {self.folder} is being written by another process; try again later"
            ) from error

    def index(
        self, staged: Sequence[Staged], entries: Sequence[IndexEntry], vectors: Vectors
    ) -> None:
        """Put staged passages into the indexes, then make their articles current."""
        articles = [
            IndexEntry(
                item.key,
                item.article.title,
                item.article.text,
                item.day,
                item.article.source or "",
            )
            for item in staged
        ]
        with self._readable_failures():
            self.vectors.add(entries, vectors)
            for index, added in ((self.words, entries), (self.article_words, articles)):
                index.add(added)
                index.commit()
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
        with self._readable_failures():
            self.vectors.delete(passages)
            for index, gone in ((self.words, passages), (self.article_words, articles)):
                index.delete(gone)
                index.commit()
        self.ledger.clear_garbage(passages, articles)

    @contextmanager
    def _readable_failures(self) -> Iterator[None]:
        from chromadb.errors import ChromaError

        try:
            yield
        except (ChromaError, OSError, ValueError) as error:
            raise ArchiveError(
                f"the archive in {self.folder} cannot be written: {error}"
            ) from error

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
            size_bytes=_size(self.folder),
        )

    # -- reading ------------------------------------------------------------------------------

    def search(
        self, question: str, vector: Vector, limit: int, filters: Filters
    ) -> list[Candidate]:
        """The best `limit` passages by vector and by words that pass the filters, in no order."""
        self._refresh()
        census = self._census = self._census or Census(self.ledger.days())
        filters = census.needed(filters)
        lexical = self.words.search(question, limit, filters)
        articles = self.article_words.search(question, limit, filters)
        dense = self._nearest(vector, limit, filters, census.share(filters))
        rows = self.ledger.passage_rows([i for i, _ in (*dense, *lexical)])
        dense = _passing(dense, rows, filters)[:limit]
        scores = [_Scores(hits, limit) for hits in (dense, lexical, articles)]
        ids = dict.fromkeys(i for i, _ in (*dense, *lexical) if i in rows)
        return [
            Candidate(rows[i], scores[0][i], scores[1][i], scores[2][rows[i].article_key])
            for i in ids
        ]

    def find(self, words: str, limit: int, filters: Filters) -> list[Article]:
        """The articles whose title or text has all the words, best first."""
        self._refresh()
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

    def _refresh(self) -> None:
        """See what another process has written since the last search."""
        version = self.ledger.version()
        if version == self._version:
            return
        with self._reading:
            self._version = version
            self._census = None
            self.words.reload()
            self.article_words.reload()
            if self._vectors is not None:  # Chroma sees it only when opened anew
                self._vectors.close()
                self._vectors = None


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


def _size(folder: Path) -> int:
    """Bytes of all files of a folder; one that another process removes meanwhile is not there."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if file.is_file():
                total += file.stat().st_size
    return total
