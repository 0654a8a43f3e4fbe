"""Articles, words and vectors behind one upsert, one delete and one search.

SQLite decides what exists; the two indexes are derived from it and follow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from math import ceil
from pathlib import Path

from rag.errors import ArchiveError, ArchiveLockedError, ArchiveMismatchError
from rag.ledger import Ledger, PassageRow, Staged
from rag.models import Vector, Vectors
from rag.types import ArchiveStatus
from rag.vectors import VectorIndex
from rag.words import Filters, IndexEntry, WordIndex

FORMAT = "1"
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
        self._words: WordIndex | None = None
        self._article_words: WordIndex | None = None
        self._vectors: VectorIndex | None = None
        self._census: _Census | None = None
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
        census = _Census(self.ledger.days())
        days = [day for day in census.days if day]
        return ArchiveStatus(
            path=str(self.folder),
            articles=self.ledger.count("current"),
            passages=census.total,
            pending=self.ledger.count("pending"),
            first=date.fromordinal(min(days)) if days else None,
            last=date.fromordinal(max(days)) if days else None,
            undated=self.ledger.undated(),
            sources=self.ledger.sources(),
            embedding_model=self.ledger.meta()["embedding_model"],
            size_bytes=sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file()),
        )

    # -- reading ------------------------------------------------------------------------------

    def search(
        self, question: str, vector: Vector, limit: int, filters: Filters
    ) -> list[Candidate]:
        """The best `limit` passages by vector and by words that pass the filters, in no order."""
        self._refresh()
        census = self._census = self._census or _Census(self.ledger.days())
        filters = census.needed(filters)
        lexical = self.words.search(question, limit, filters)
        articles = self.article_words.search(question, limit, filters)
        share = census.share(filters)
        if share == 0:
            dense = []
        elif share < _EXACT_FILTER_SHARE:
            dense = self.vectors.search(vector, limit, filters)
        else:
            fetch = limit if share == 1 else ceil(limit / share * _SPARE)
            dense = self.vectors.search(vector, fetch, Filters())
        rows = self.ledger.passage_rows([i for i, _ in (*dense, *lexical)])
        dense = [(i, s) for i, s in dense if i in rows and census.allows(rows[i], filters)][:limit]
        scores = [_Scores(hits, limit) for hits in (dense, lexical, articles)]
        ids = dict.fromkeys(i for i, _ in (*dense, *lexical) if i in rows)
        return [
            Candidate(rows[i], scores[0][i], scores[1][i], scores[2][rows[i].article_key])
            for i in ids
        ]

    def _refresh(self) -> None:
        """See what another process has written since the last search."""
        version = self.ledger.version()
        if version != self._version:
            self._version = version
            self._census = None
            self.words.reload()
            self.article_words.reload()


class _Scores(dict[int, float]):
    """The scores of one index; what a full list left out gets the last score, else 0."""

    def __init__(self, hits: Sequence[tuple[int, float]], limit: int) -> None:
        super().__init__(hits)
        self._bound = hits[-1][1] if len(hits) >= limit else 0.0

    def __missing__(self, key: int) -> float:
        return self._bound


class _Census:
    """How many passages there are per day and outlet, to plan filtered searches."""

    def __init__(self, counts: Sequence[tuple[int, str | None, int]]) -> None:
        self._counts = counts
        self.total = sum(count for _, _, count in counts)
        self.days = [day for day, _, _ in counts]
        self._last = max(self.days, default=0)

    def needed(self, filters: Filters) -> Filters:
        """The filters without an end that nothing comes after."""
        if filters.until is not None and filters.until.toordinal() >= self._last:
            return replace(filters, until=None)
        return filters

    def share(self, filters: Filters) -> float:
        """The share of all passages that the filters let through, in 0..1."""
        if filters == Filters():
            return 1.0 if self.total else 0.0
        passing = sum(n for day, source, n in self._counts if _passes(day, source, filters))
        return passing / self.total if self.total else 0.0

    @staticmethod
    def allows(row: PassageRow, filters: Filters) -> bool:
        """Whether a passage passes the filters."""
        return _passes(row.day, row.source, filters)


def _passes(day: int, source: str | None, filters: Filters) -> bool:
    return (
        (filters.since is None or day >= filters.since.toordinal())
        and (filters.until is None or day <= filters.until.toordinal())
        and (filters.source is None or source == filters.source)
    )
