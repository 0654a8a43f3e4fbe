"""Articles, words and vectors behind one upsert, one delete and one search.

The ledger decides what exists; the indexes are derived from it and follow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from math import ceil
from pathlib import Path

from rag import groups
from rag import ledgeraudit as audit
from rag.census import Census, passing
from rag.database import MOVED, UNFINISHED
from rag.databases import open_database
from rag.editions import clear_retired, indexes_of, use_store
from rag.errors import ArchiveError, ArchiveMismatchError, ArticleNotFoundError
from rag.files import folder_size
from rag.indexes import article_entry, edition_folder, entries_of
from rag.ledger import Ledger
from rag.lock import Waiting, WriteLock
from rag.models import Vector, Vectors
from rag.reports import ArchiveStatus
from rag.rows import PassageRow, Staged
from rag.settings import LOCAL_STORE
from rag.types import Article
from rag.vectors import VectorIndex
from rag.words import Filters, IndexEntry, WordIndex

FORMAT = "1"
_MOST_FETCHED = 15_000
"""Neighbours that are fetched to be filtered afterwards, which takes as long however many vectors
there are; where more would be needed, the ledger says first which passages pass.
"""
_SPARE = 1.5
"""How many more neighbours than the share asks for are fetched when filtering afterwards; fewer
where nearly all pass."""
_AS_OF_SPARE = 2
"""How many more of an article's revisions are fetched, where those of one day are wanted."""

_LOOKS = 3
"""How often a search is tried while articles that it finds are being replaced."""

_VERSION = "version"


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
    (Chroma, unless a server has them) and `words/` (tantivy, twice).
    """

    def __init__(
        self,
        folder: Path,
        embedding_model: str | None = None,
        passage_characters: int = 0,
        *,
        database: str = "",
        store: str = "",
        adopt: bool = False,
    ) -> None:
        """Open or make an archive with these settings; without a model, open it as it was made.

        `database` and `adopt` are those of `rag.databases.open_database`; `store` is where the
        vectors are to be, as in the settings. Raises `ArchiveError`,
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
            use_store(self.ledger, folder, store)
            self.indexes = indexes_of(self.ledger.meta(), folder)
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
            self.must_mend = bool(meta.get(UNFINISHED))
            self.ledger.set_meta({UNFINISHED: "1"})
            clear_retired(self.ledger, self.folder, meta)
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
            self.ledger.set_meta({UNFINISHED: ""})

    @contextmanager
    def undisturbed(self, waiting: Waiting | None = None) -> Iterator[None]:
        """Hold the write lock to read; raises or waits as `writing` does."""
        with self._lock.held(waiting):
            yield

    def index(
        self, staged: Sequence[Staged], entries: Sequence[IndexEntry], vectors: Vectors
    ) -> None:
        """Put staged passages into the indexes, then make their articles current."""
        # This waits for the disk, and so for all that was staged before: were a number lost with
        # the power after the indexes had it, another passage would get it.
        self.ledger.set_meta({UNFINISHED: "1"})
        self.indexes.add(staged, entries, vectors)
        self.ledger.publish(staged)
        groups.group(self.ledger, [item.key for item in staged])
        self.collect_garbage()

    def delete(self, article_id: str) -> None:
        """Remove an article everywhere. Raises `ArticleNotFoundError`."""
        self.ledger.delete(article_id)
        self.collect_garbage()

    def collect_garbage(self) -> None:
        """Make the indexes forget what no longer exists, and file anew what was superseded."""
        self._census = None
        passages, articles = self.ledger.garbage()
        if not passages and not articles:
            return
        entries, _ = entries_of(audit.passages(self.ledger, passages))
        whole = [article_entry(item) for item in audit.articles(self.ledger, articles)]
        if entries or whole:
            self.indexes.refile(entries, whole)
        kept = {entry.id for entry in entries}, {entry.id for entry in whole}
        self.indexes.delete(
            [number for number in passages if number not in kept[0]],
            [number for number in articles if number not in kept[1]],
        )
        self.ledger.clear_garbage(passages, articles)

    def status(self) -> ArchiveStatus:
        """Counts, dates, outlets and size on disk."""
        census = Census.take(self.ledger)
        articles, first, last = census.period(Filters())
        copied, copies = groups.count(self.ledger)
        return ArchiveStatus(
            path=str(self.folder),
            articles=articles,
            passages=audit.passage_count(self.ledger),
            pending=self.ledger.count("pending"),
            first=first,
            last=last,
            undated=sum(row.articles for row in census.rows if not row.day),
            sources=census.sources,
            embedding_model=self.ledger.meta()["embedding_model"],
            size_bytes=folder_size(self.folder) + self.ledger.database.size(),
            copied=copied,
            copies=copies,
            store=self.indexes.place.url if self.indexes.place else LOCAL_STORE,
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
        census = self._census = self._census or Census.take(self.ledger)
        filters = census.needed(filters)
        wide = limit * _AS_OF_SPARE if filters.as_of else limit
        worded = self.words.search(question, wide, filters)
        articles = self.article_words.search(question, wide, filters)
        dense = self._nearest(vector, wide, filters, census.share(filters))
        ids = dict.fromkeys(i for i, _ in (*dense, *worded))
        rows = self.ledger.passage_rows(list(ids), filters.as_of)
        near = _passing(dense, rows, filters)[:limit]
        if filters != Filters() and len(near) < limit / 2 and len(dense) > wide:
            # The nearest of all lie elsewhere: those among what passes are wanted.
            with self._reading:
                dense = self.vectors.search(vector, wide, passing(self.ledger, filters))
            more = [i for i, _ in dense if i not in ids]
            ids |= dict.fromkeys(more)
            rows |= self.ledger.passage_rows(more, filters.as_of)
            near = _passing(dense, rows, filters)[:limit]
        lexical = worded if wide == limit else _passing(worded, rows, filters)[:limit]
        scores = [
            _Scores(hits, limit, seen)
            for hits, seen in ((near, dense), (lexical, worded), (articles, articles))
        ]
        kept = dict.fromkeys(i for i, _ in (*near, *lexical) if i in rows)
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
        return (self._census or Census.take(self.ledger)).period(filters)

    def _nearest(
        self, vector: Vector, limit: int, filters: Filters, share: float
    ) -> list[tuple[int, float]]:
        """At least the nearest passages that pass the filters, of which a `share` of all do."""
        if share == 0:
            return []
        with self._reading:
            fetch = ceil(limit / share * min(_SPARE, 1 / share))
            if fetch > _MOST_FETCHED:
                return self.vectors.search(vector, limit, passing(self.ledger, filters))
            return self.vectors.search(vector, fetch)

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
            before, self.indexes = self.indexes, indexes_of(meta, self.folder)
            self.embedding_model = meta["embedding_model"]
            self.passage_characters = int(meta["passage_characters"])
            before.close()
            return True


class _Scores(dict[int, float]):
    """The scores of one index; what a full list left out gets the last score, else 0.

    Of all that were `seen`, the hits are those that pass the filters.
    """

    def __init__(
        self, hits: Sequence[tuple[int, float]], limit: int, seen: Sequence[tuple[int, float]]
    ) -> None:
        super().__init__(hits)
        last = hits if len(hits) >= limit else seen
        self._bound = last[-1][1] if len(last) >= limit else 0.0

    def __missing__(self, key: int) -> float:
        return self._bound


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
