"""The word indexes: BM25 in tantivy. Derived from SQLite, rebuildable."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import tantivy

from rag.errors import ArchiveError
from rag.files import storable

_WRITER_HEAP_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which articles may be found; bounds are inclusive.

    An undated article passes `until`, since nothing says that it is later, but not `since`.
    `source` is an outlet or several; none at all lets every outlet through. With `as_of`, of each
    article the revision of that day may be found instead of the current one.
    """

    since: date | None = None
    until: date | None = None
    source: str | Collection[str] | None = None
    as_of: date | None = None

    @property
    def days(self) -> tuple[int, int]:
        """The first and the last day that pass, as ordinals; an undated article has day 0."""
        first = self.since.toordinal() if self.since else 0
        return first, (self.until or date.max).toordinal()

    @property
    def filed(self) -> list[tuple[int, int]]:
        """The same as the indexes file it: with `as_of`, superseded revisions may pass, too."""
        first, last = self.days
        superseded = [(filed(last, True), filed(first, True))] if self.as_of else []
        return [(first, last), *superseded]

    @property
    def sources(self) -> tuple[str, ...]:
        """The outlets that pass; empty where all do."""
        several = (self.source,) if isinstance(self.source, str) else self.source or ()
        return tuple(map(storable, several))


def filed(day: int, superseded: bool) -> int:
    """The day under which the indexes file a revision, so that each search can tell both kinds.

    It is the day itself, 0 if undated, and below 0 for a superseded revision.
    """
    return -1 - day if superseded else day


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What the derived indexes keep of a passage, or of an article, under its number.

    A title counts as a field of its own, so that its words weigh more; passages have none. `day` is
    a proleptic ordinal as `filed`.
    """

    id: int
    title: str
    text: str
    day: int
    source: str


@cache
def _analyzer() -> tantivy.TextAnalyzer:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(40))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.stopword("english"))
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def stems(text: str) -> list[str]:
    """The stems of a text's words, in order, without English function words."""
    return _analyzer().analyze(text)


class WordIndex:
    """One tantivy index in a folder. One writer at a time; the archive's lock sees to that."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._schema = (
            tantivy.SchemaBuilder()
            .add_integer_field("id", indexed=True, fast=True)
            .add_text_field("title", tokenizer_name="en_stem")
            .add_text_field("text", tokenizer_name="en_stem")
            .add_integer_field("day", indexed=True, fast=True)
            .add_text_field("source", tokenizer_name="raw", index_option="basic")
            .build()
        )
        try:
            self._index = tantivy.Index(self._schema, str(folder))
        except ValueError as error:
            raise ArchiveError(f"the word index in {folder} cannot be opened: {error}") from error
        self._writer: tantivy.IndexWriter | None = None
        self._superseded: bool | None = None

    def add(self, entries: Iterable[IndexEntry]) -> None:
        """Index the entries, replacing those of the same id; not visible before `commit`."""
        writer = self._open_writer()
        for entry in entries:
            writer.delete_documents_by_term("id", entry.id)
            writer.add_document(
                tantivy.Document(
                    id=entry.id,
                    title=entry.title,
                    text=entry.text,
                    day=entry.day,
                    source=entry.source,
                )
            )

    def delete(self, ids: Iterable[int]) -> None:
        """Forget these entries, from the next `commit` on."""
        writer = self._open_writer()
        for entry_id in ids:
            writer.delete_documents_by_term("id", entry_id)

    def commit(self) -> None:
        """Make all changes durable and visible."""
        if self._writer is not None:
            self._writer.commit()
            self.reload()

    def reload(self) -> None:
        """See what has been committed, also by another process."""
        self._index.reload()
        self._superseded = None

    def close(self) -> None:
        """Finish merging and release the writer."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.wait_merging_threads()
            self.reload()

    def search(
        self, question: str, limit: int, filters: Filters, *, every: bool = False
    ) -> list[tuple[int, float]]:
        """The best `limit` entries as (id, BM25 score), best first.

        They have a word of the question; with `every`, all of its words.
        """
        terms = list(dict.fromkeys(stems(question)))
        if not terms:
            return []
        groups = [[term] for term in terms] if every else [terms]
        parts = (*map(self._any_of, groups), *self._must(filters))
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, part) for part in parts])
        searcher = self._index.searcher()
        hits = searcher.search(query, limit, count=False).hits
        ids = searcher.fast_field_values("id", [address for _, address in hits])
        return [(int(i or 0), float(score)) for i, (score, _) in zip(ids, hits, strict=True)]

    def rarity(self, terms: Iterable[str]) -> dict[str, float]:
        """ln(1 + N / (1 + n)) per stem: N entries in all, n of them with the stem."""
        searcher = self._index.searcher()
        total = searcher.num_docs
        return {term: math.log(1 + total / (1 + searcher.doc_freq("text", term))) for term in terms}

    def held(self, first: int, last: int) -> dict[int, list[int]]:
        """The days of the entries under the numbers `first` to `last`; more than one is a fault."""
        searcher = self._index.searcher()
        query = tantivy.Query.range_query(
            self._schema, "id", tantivy.FieldType.Integer, first, last
        )
        hits = searcher.search(query, max(searcher.num_docs, 1), count=False).hits
        addresses = [address for _, address in hits]
        found: dict[int, list[int]] = {}
        ids = searcher.fast_field_values("id", addresses)
        for entry_id, day in zip(ids, searcher.fast_field_values("day", addresses), strict=True):
            found.setdefault(int(entry_id or 0), []).append(int(day or 0))
        return found

    def count(self) -> int:
        """The number of entries."""
        return int(self._index.searcher().num_docs)

    def _any_of(self, terms: Sequence[str]) -> tantivy.Query:
        return tantivy.Query.boolean_query(
            [
                (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, field, term))
                for term in terms
                for field in ("title", "text")
            ]
        )

    def _must(self, filters: Filters) -> Sequence[tantivy.Query]:
        must = []
        if filters.since or filters.until or (self._has_superseded() and not filters.as_of):
            ranges = [(tantivy.Occur.Should, self._days(*several)) for several in filters.filed]
            days = tantivy.Query.boolean_query(ranges)
            must.append(tantivy.Query.const_score_query(days, 0.0))
        if filters.sources:
            outlets = tantivy.Query.term_set_query(self._schema, "source", list(filters.sources))
            must.append(tantivy.Query.const_score_query(outlets, 0.0))
        return must

    def _has_superseded(self) -> bool:
        """Whether any entry is of a superseded revision; looked up once after each change."""
        if self._superseded is None:
            searcher = self._index.searcher()
            past = self._days(filed(date.max.toordinal(), True), filed(0, True))
            self._superseded = bool(searcher.search(past, 1, count=False).hits)
        return self._superseded

    def _days(self, first: int, last: int) -> tantivy.Query:
        return tantivy.Query.range_query(
            self._schema, "day", tantivy.FieldType.Integer, first, last
        )

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(_WRITER_HEAP_BYTES, 1)
            # A commit that was killed leaves files whose names the next one would stumble over.
            self._writer.garbage_collect_files()
        return self._writer
