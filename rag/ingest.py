"""Records into the store: stage, embed and index, the last two at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path

from rag import groups
from rag.agreement import recover
from rag.database import LONGEST_KEY
from rag.fetch import is_url
from rag.indexes import entries_of
from rag.models import Embedder
from rag.passages import split_passages
from rag.reports import Failure, IngestReport
from rag.rows import StageResult
from rag.sources import Known, Reading, Record, find_files, load
from rag.store import Store
from rag.subscriptions import web_records
from rag.types import Article

Progress = Callable[[IngestReport], None]

_BATCH_PASSAGES = 512
_COUNTED = {
    StageResult.ADDED: "added",
    StageResult.CHANGED: "changed",
    StageResult.UNCHANGED: "unchanged",
}


def ingest(
    store: Store,
    embedder: Embedder,
    records: Iterable[Record | Known | Failure],
    passage_characters: int,
    progress: Progress,
) -> IngestReport:
    """Store every record and index its passages; unchanged ones cost no embedding.

    What an earlier run left behind that was killed is mended, and articles that it staged are
    indexed first. `progress` is called with the counts so far after every record and batch. An
    interrupt (Ctrl-C) leaves a sound archive: what is staged is indexed by the next run.
    """
    with store.writing(), _Pipeline(store, embedder, progress) as pipeline:
        recover(store, embedder)
        pipeline.compare_copies()
        pipeline.index_staged()
        for record in records:
            pipeline.take(record, passage_characters)
        pipeline.index_staged()
        pipeline.finish()
    return pipeline.report


class _Pipeline:
    """Embeds one batch while the batch before it is written by a second thread."""

    def __init__(self, store: Store, embedder: Embedder, progress: Progress) -> None:
        self._store = store
        self._embedder = embedder
        self._progress = progress
        self._started = time.monotonic()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="newsrag-index")
        self._writing: Future[None] | None = None
        self._position = 0
        self._staged = 0
        self.report = IngestReport()

    def __enter__(self) -> _Pipeline:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self._join_writer()
        finally:
            self._writer.shutdown()

    def take(self, record: Record | Known | Failure, passage_characters: int) -> None:
        """Stage one record; embed and index once a batch is full."""
        if isinstance(record, Known):
            self._count(unchanged=self.report.unchanged + record.count)
            return
        if isinstance(record, Failure):
            self._count(failures=(*self.report.failures, record))
            return
        result = StageResult.UNCHANGED
        ledger = self._store.ledger
        if not ledger.is_known(record.origin, record.article):
            spans = split_passages(record.article.text, passage_characters)
            result = ledger.stage(
                record.origin,
                record.article,
                spans,
                replaces=record.is_whole,
                durable=is_url(record.origin),  # a file is read again; of a feed, only what is new
            )
            self._staged += len(spans) if result is not StageResult.UNCHANGED else 0
        self._count(**{_COUNTED[result]: getattr(self.report, _COUNTED[result]) + 1})
        if self._staged >= _BATCH_PASSAGES:
            self.index_staged()

    def index_staged(self) -> None:
        """Embed all staged articles, and hand each batch to the writing thread."""
        self._staged = 0
        while staged := self._store.ledger.pending(self._position, _BATCH_PASSAGES):
            self._position = staged[-1].key
            entries, texts = entries_of(staged)
            vectors = self._embedder.encode(texts)
            self._join_writer()
            self._writing = self._writer.submit(self._store.index, staged, entries, vectors)
            self._count(passages=self.report.passages + len(entries))

    def compare_copies(self) -> None:
        """Group the near-copies of an archive that an earlier version made."""
        if not groups.is_begun(self._store.ledger):
            groups.complete(self._store.ledger, self._count)

    def finish(self) -> None:
        """Wait for the last batch, and clear what left the archive without a batch."""
        self._join_writer()
        self._store.collect_garbage()

    def _join_writer(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _count(self, **counts: object) -> None:
        seconds = time.monotonic() - self._started
        self.report = replace(self.report, seconds=seconds, **counts)  # type: ignore[arg-type]
        self._progress(self.report)


def records(
    inputs: Iterable[str | Path | Article],
    folder: Path,
    *,
    allow_private: bool = False,
    reading: Reading = load,
) -> Iterator[Record | Known | Failure]:
    """The records of files, folders, web addresses, lists of feeds (OPML) and `Article` objects.

    `folder` keeps what was read of each feed; `reading` reads files and folders. Raises
    `SourceError` for a path that does not exist, before anything is read.
    """
    inputs = list(inputs)
    given = [_given(item) for item in inputs if isinstance(item, Article)]
    urls = [item for item in inputs if isinstance(item, str) and is_url(item)]
    paths = [Path(i) for i in inputs if not isinstance(i, Article) and i not in urls]
    opml = [path for path in paths if path.suffix.lower() == ".opml" and not path.is_dir()]
    found = reading([path for path in paths if path not in opml])
    lists = find_files(opml)
    return chain(given, web_records(urls, lists, folder, allow_private=allow_private), found)


def _given(article: Article) -> Record | Failure:
    if len(article.id) > LONGEST_KEY:
        return Failure(f"article {article.id[:40]}...", f"its id has over {LONGEST_KEY} characters")
    if article.id and article.text.strip():
        return Record(f"article:{article.id}", article)
    return Failure(f"article {article.id or article.title!r}", "has no id or no text")
