"""Parsing and embedding over a Ray cluster, as stages of Ray Data.

The workers read files, cut them into passages and embed these, by the functions that do so locally.
What they make comes here in the order of the files, and goes the way of every ingestion: staged,
indexed and published by the one process that holds the archive's lock, which asks for the vectors
of what it has staged and finds them here. Articles that are stored already are dropped by the
workers before they are embedded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import ArchiveError, SettingsError
from rag.indexes import passage_texts
from rag.ledger import Ledger, article_digest
from rag.models import Embedder, SentenceTransformerEmbedder, Vector, Vectors
from rag.passages import split_passages
from rag.sources import Found, Known, Reading, Record, find_files, load
from rag.store import Store
from rag.turnstile import usable_cores
from rag.types import Article

if TYPE_CHECKING:
    from ray.data import Dataset

LOCAL = "local"
"""The address of a cluster that is started here, and ends with the ingestion."""

_INSTALL = "install it with: pip install -c constraints.txt -e '.[ray]'"
_BATCH_RECORDS = 32
_BLOCK_BYTES = 512 * 1024
"""What a worker hands on at once: small, so that embedding begins while a long file is read."""
_PARSE_CPUS = 0.1
_EMBED_CPUS = 0.9
"""Parsing takes little of a core, and must have it while the embedders hold theirs."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "180",
    "RAY_DATA_LOG_LEVEL": "ERROR",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""No reports to anyone, patience with a busy machine, and only errors on the screen."""

Names = NDArray[np.bytes_]
"""Sorted hashes of what the ledger knows, shape (n,)."""


class Delivered:
    """Vectors that the workers have made, by the text that they are of; an `Embedder`.

    What has not come from a worker (what an earlier run left behind) is embedded here.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._rows: dict[str, Vector] = {}
        self._used = False

    def deliver(self, texts: Sequence[str], vectors: Vectors) -> None:
        """Keep vectors until they are asked for."""
        if self._used:  # All that came before has been indexed: staging is emptied at once.
            self._rows.clear()
            self._used = False
        self._rows.update(zip(texts, vectors, strict=True))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row per text, in order."""
        self._used = True
        lacking = [text for text in texts if text not in self._rows]
        if lacking:
            self._rows.update(zip(lacking, self._embedder.encode(lacking), strict=True))
        return np.stack([self._rows[text] for text in texts])


def over_cluster(store: Store, embedder: Embedder, address: str) -> tuple[Embedder, Reading]:
    """An embedder, and how files are read, that share the work out over a Ray cluster.

    `address` is that of a running cluster, or "local". All workers must have newsrag installed and
    see the files under the same paths. Reading raises `SettingsError` when there is no such
    cluster, and `ArchiveError` when its workers fail.
    """
    delivered = Delivered(embedder)

    def reading(paths: Iterable[Path]) -> Iterator[Found]:
        files = find_files(paths)
        return _records(files, store, delivered, address) if files else iter(())

    return delivered, reading


def _records(
    files: Sequence[Path], store: Store, delivered: Delivered, address: str
) -> Iterator[Found]:
    """What the files hold; each vector is delivered before its article comes."""
    with _cluster(address) as ray, _failures(ray):
        known = ray.put(_known(store.ledger))
        stages = _stages(ray, files, known, delivered.name, store.passage_characters)
        for row in stages.iter_rows():
            item, texts, vectors = pickle.loads(row["item"])
            delivered.deliver(texts, vectors)
            yield item


def _stages(
    ray: Any, files: Sequence[Path], known: Any, model: str, passage_characters: int
) -> Dataset:
    from ray.data import ActorPoolStrategy, DataContext

    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True  # of two versions of an article the later wins
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK_BYTES
    workers = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    rows = [{"file": str(file.absolute())} for file in files]
    with DataContext.current(context):
        files_read: Dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
        parsed = files_read.flat_map(Parse(known), num_cpus=_PARSE_CPUS)
        return parsed.map_batches(
            Embed,
            fn_constructor_args=(model, passage_characters),
            batch_size=_BATCH_RECORDS,
            compute=ActorPoolStrategy(size=workers),
            num_cpus=_EMBED_CPUS,
        )


class Parse:
    """Files into records; of what is known already, only that there is one."""

    def __init__(self, known: Any) -> None:
        self._reference = known

    def __call__(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The records of one file, pickled, one a row."""
        import ray

        known: Names = ray.get(self._reference)
        for item in load([Path(row["file"])]):
            drop = isinstance(item, Record) and _is_known(known, item)
            yield {"item": pickle.dumps(Known(1) if drop else item)}


class Embed:
    """Records into records with the texts of their passages and a vector for each."""

    def __init__(self, model: str, passage_characters: int) -> None:
        self._embedder = SentenceTransformerEmbedder(model)
        self._characters = passage_characters

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As many rows: the item, its texts, and their vectors of shape (texts, dimensions)."""
        items = [pickle.loads(item) for item in batch["item"]]
        several = [self._texts(item) for item in items]
        texts = [text for some in several for text in some]
        vectors = self._embedder.encode(texts) if texts else np.zeros((0, 1), np.float32)
        made, first = [], 0
        for item, some in zip(items, several, strict=True):
            made.append(pickle.dumps((item, some, vectors[first : first + len(some)])))
            first += len(some)
        return {"item": made}

    def _texts(self, item: Found) -> list[str]:
        if not isinstance(item, Record):
            return []
        spans = split_passages(item.article.text, self._characters)
        return passage_texts(item.article, spans)


def _known(ledger: Ledger) -> Names:
    return np.sort(np.array([_name(*row) for row in ledger.origins()], "S32"))


def _is_known(known: Names, record: Record) -> bool:
    article: Article = record.article
    name = _name(record.origin, article.id, article_digest(article))
    place = int(np.searchsorted(known, name))
    return place < len(known) and bool(known[place] == name)


def _name(origin: str, article_id: str, digest: str) -> bytes:
    """A hash of what an origin gave, in 32 ASCII characters."""
    text = "\n".join((origin, article_id, digest))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest().encode()


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster; one that the caller has connected to is used as it is."""
    if importlib.util.find_spec("ray") is None:
        raise SettingsError(f"--ray needs Ray; {_INSTALL}")
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield ray
        return
    where: dict[str, Any] = {"address": address}
    if address == LOCAL:
        where = {"num_cpus": usable_cores(), "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # a plain one where a node does not start in time
        reason = str(error).strip().partition("\n")[0]
        raise SettingsError(f"there is no Ray cluster at {address}: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _failures(ray: Any) -> Iterator[None]:
    """What went wrong on a worker, as one `ArchiveError`; what is done stays done."""
    try:
        yield
    except ray.exceptions.RayError as error:
        reason = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
        raise ArchiveError(f"the Ray workers failed: {reason}") from error
