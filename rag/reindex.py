"""A new edition of the indexes, made while the old one serves, then switched to at once.

It has its own passages in the ledger and its own folder. Each batch is embedded without the write
lock and put in under it, so that articles can be ingested meanwhile; at the end, under the lock,
what has changed is caught up with, the indexes are mended, and one transaction switches. Killed at
any moment, it continues where it stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from rag import ledgeraudit as audit
from rag.agreement import Mended, mend_indexes, recover
from rag.editions import indexes_of, note_store, store_of
from rag.indexes import Indexes, edition_folder, entries_of, passage_texts
from rag.lock import Waiting
from rag.models import Embedder
from rag.passages import split_passages
from rag.rows import Staged
from rag.settings import LOCAL_STORE
from rag.store import Store
from rag.types import Span
from rag.vectorserver import ping

_BATCH_ARTICLES = 64


@dataclass(frozen=True, slots=True)
class ReindexReport:
    """How far reindexing is, in revisions; `switched` once the new edition serves."""

    done: int
    total: int
    switched: bool = False


Progress = Callable[[ReindexReport], None]


def reindex(
    store: Store,
    embedder: Embedder,
    passage_characters: int,
    progress: Progress,
    waiting: Waiting | None = None,
    server: str = "",
) -> ReindexReport:
    """Bring the archive to this embedding model and length of passages, in characters.

    The name of the embedder is that of the model. `server` is where the vectors are to be, as the
    setting `store`. A run for another goal that was interrupted is given up.
    """
    if server not in ("", LOCAL_STORE):
        ping(server)
    embedder.encode(["A model that does not load is found out before anything is begun."])
    with store.writing(waiting):
        recover(store, embedder)
        edition = _begin(store, embedder.name, passage_characters, server)
    indexes = indexes_of(store.ledger.meta(), store.folder, edition)
    try:
        return _Run(store, indexes, embedder, edition, passage_characters).run(progress, waiting)
    finally:
        indexes.close()


def _begin(store: Store, model: str, characters: int, server: str) -> int:
    """The number of the edition to be made: that of an interrupted run, if its goal is the same."""
    meta = store.ledger.meta()
    server = server or store_of(meta, int(meta.get("edition", 0)))
    goal = {"next_model": model, "next_characters": str(characters)}
    if "next_edition" in meta:
        number = int(meta["next_edition"])
        is_there = store_of(meta, number) == server
        if is_there and all(meta.get(name) == value for name, value in goal.items()):
            return number
        shutil.rmtree(edition_folder(store.folder, number), ignore_errors=True)
    number = 1 + max(int(meta.get(name, 0)) for name in ("edition", "next_edition"))
    edition_folder(store.folder, number).mkdir(exist_ok=True)
    note_store(store.ledger, number, server)
    audit.begin_edition(store.ledger, number, goal)
    return number


@dataclass(frozen=True, slots=True)
class _Run:
    store: Store
    indexes: Indexes
    embedder: Embedder
    edition: int
    characters: int

    def run(self, progress: Progress, waiting: Waiting | None) -> ReindexReport:
        """Batch after batch until none is left, then switch."""
        while True:
            last = 0
            while keys := audit.not_reindexed(self.store.ledger, last, _BATCH_ARTICLES):
                last = keys[-1]
                self._take(keys, waiting)
                progress(self._report())
            with self.store.writing(waiting):
                if audit.not_reindexed(self.store.ledger, 0, 1):
                    continue  # ingested since the last look
                recover(self.store, self.embedder)
                mend_indexes(self.store, self.indexes, self.embedder, Mended())
                self.indexes.finish_writing()
                audit.switch_edition(self.store.ledger)
                self.store.reopen(self.store.ledger.touched())
            return self._report(switched=True)

    def _take(self, keys: list[int], waiting: Waiting | None) -> None:
        """Cut and embed some articles, then put them in."""
        cut: list[tuple[Staged, list[Span]]] = [
            (item, split_passages(item.article.text, self.characters))
            for item in audit.articles(self.store.ledger, keys)
        ]
        texts = [text for item, spans in cut for text in passage_texts(item.article, spans)]
        if not texts:  # deleted since
            return
        vectors = self.embedder.encode(texts)
        with self.store.writing(waiting):
            staged = audit.cut_for_edition(self.store.ledger, self.edition, cut)
            entries, now = entries_of(staged)
            row = {text: number for number, text in enumerate(texts)}
            self.indexes.add(staged, entries, vectors[[row[text] for text in now]])
            self.indexes.finish_writing()
            audit.note_reindexed(self.store.ledger, [item.key for item in staged])

    def _report(self, *, switched: bool = False) -> ReindexReport:
        return ReindexReport(*audit.reindex_counts(self.store.ledger), switched)
