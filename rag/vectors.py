"""The vector index: passage embeddings in Chroma. Derived from the ledger, rebuildable."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag import vectorserver
from rag.errors import ArchiveError
from rag.models import Vector, Vectors
from rag.vectorserver import Place
from rag.words import Filters, IndexEntry

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

_COLLECTION = "passages"
_UNFILED = -(2**31)
"""Stands for the day of a vector without one: no revision is filed under it."""
SYNC_THRESHOLD = 20_000
"""Vectors between two flushes of the graph: rarer than by default, as an ingest is one long write.

A collection keeps it from its making.
"""


class VectorIndex:
    """One Chroma collection with cosine distance, embedded in this process or on a server.

    Embedded, Chroma writes the files of its graph in place, and a process that loads them meanwhile
    can crash as a whole. So writing, and the first reading, which loads them, hold a lock between
    processes. A server needs no such lock: it is the one process that has the files.
    """

    def __init__(self, folder: Path, place: Place | None = None) -> None:
        """Open the collection in a folder, or at a place on a server.

        Raises `ArchiveError`, and `ArchiveUnreachableError` for a server.
        """
        from chromadb.errors import ChromaError

        self.place = place
        self._failure = ChromaError
        self._loaded = False
        try:
            self._files = nullcontext() if place else _file_lock(folder)
            with self._files, self._asking():
                self._client = vectorserver.connect(place.url) if place else _embedded(folder)
                self._collection = self._client.get_or_create_collection(
                    place.collection if place else _COLLECTION,
                    embedding_function=None,
                    configuration={"hnsw": {"space": "cosine", "sync_threshold": SYNC_THRESHOLD}},
                )
                self._batch = self._client.get_max_batch_size()
        except (ChromaError, ValueError, OSError) as error:
            _forget_failed_start(folder)
            raise ArchiveError(f"the vectors in {folder} cannot be opened: {error}") from error

    def close(self) -> None:
        """Release the files, or the connections to the server."""
        if self.place:
            vectorserver.close(self._client)
        else:
            self._client.close()  # type: ignore[attr-defined]

    def add(self, entries: Sequence[IndexEntry], vectors: Vectors) -> None:
        """Store one vector per entry, replacing those of the same id."""
        for first in range(0, len(entries), self._batch):
            part = entries[first : first + self._batch]
            with self._files, self._asking():
                self._collection.upsert(
                    ids=[str(entry.id) for entry in part],
                    embeddings=vectors[first : first + self._batch],
                    metadatas=[{"day": entry.day, "source": entry.source} for entry in part],
                )

    def refile(self, entries: Sequence[IndexEntry]) -> None:
        """Give the passages that are held another day or outlet; their vectors stay."""
        for first in range(0, len(entries), self._batch):
            part = entries[first : first + self._batch]
            with self._files, self._asking():
                self._collection.update(
                    ids=[str(entry.id) for entry in part],
                    metadatas=[{"day": entry.day, "source": entry.source} for entry in part],
                )

    def delete(self, ids: Sequence[int]) -> None:
        """Forget these passages."""
        self.forget([str(passage_id) for passage_id in ids])

    def count(self) -> int:
        """The number of stored vectors."""
        with self._asking():
            return self._collection.count()

    def held(self, first: int, last: int) -> dict[int, tuple[int, str]]:
        """Day and outlet of the passages `first` to `last` that have a sound vector.

        Raises `ArchiveError` when the index cannot be read.
        """
        result = self._get(range(first, last + 1), ["metadatas", "embeddings"])
        sound = np.isfinite(result["embeddings"]).all(axis=1) & result["embeddings"].any(axis=1)
        metadata = [values or {} for values in result["metadatas"]]
        return {
            int(i): (int(values.get("day", _UNFILED)), str(values.get("source", "")))
            for i, values, is_sound in zip(result["ids"], metadata, sound, strict=True)
            if is_sound
        }

    def vectors(self, ids: Sequence[int]) -> tuple[list[int], Vectors]:
        """Those of the passages that are held, and their vectors, one row each."""
        result = self._get(ids, ["embeddings"])
        return [int(i) for i in result["ids"]], np.asarray(result["embeddings"], np.float32)

    def _get(self, ids: Sequence[int], include: list[str]) -> Any:
        try:
            with self._loading(), self._asking():
                result: Any = self._collection.get(ids=[str(i) for i in ids], include=include)  # type: ignore[arg-type]
        except (self._failure, ValueError, OSError) as error:
            raise ArchiveError(f"the vectors cannot be read: {error}") from error
        if not result["ids"]:
            result["embeddings"] = np.zeros((0, 1), np.float32)
        return result

    def _loading(self) -> AbstractContextManager[object]:
        """The lock, until something has been found: the graph is in memory from then on."""
        return nullcontext() if self._loaded else self._files

    def _asking(self) -> AbstractContextManager[None]:
        """What a server, or the way to it, raises as `ArchiveError`."""
        return vectorserver.failures(self.place.url) if self.place else nullcontext()

    def strangers(self, ids: Collection[int]) -> list[str]:
        """The names of vectors under anything but these numbers: reads all names."""
        known = {str(i) for i in ids}
        with self._asking():
            names = self._collection.get(include=[])["ids"]
        return [name for name in names if name not in known]

    def forget(self, names: Sequence[str]) -> None:
        """Forget vectors by their names."""
        for first in range(0, len(names), self._batch):
            with self._files, self._asking():
                self._collection.delete(ids=list(names[first : first + self._batch]))

    def search(
        self, vector: Vector, limit: int, filters: Filters | None = None
    ) -> list[tuple[int, float]]:
        """The `limit` nearest passages as (id, cosine similarity), best first.

        Without filters, those of superseded revisions are among them. Raises `ArchiveError`, also
        for a vector of another length than those held.
        """
        try:
            with self._loading(), self._asking():
                result = self._collection.query(
                    query_embeddings=vector[np.newaxis],
                    n_results=limit,
                    where=_where(filters) if filters else None,
                    include=["distances"],
                )
            self._loaded = self._loaded or bool(result["ids"][0])
        except self._failure as error:
            raise ArchiveError(f"the vectors cannot be searched: {error}") from error
        distances = (result["distances"] or [[]])[0]
        return [(int(i), 1.0 - d) for i, d in zip(result["ids"][0], distances, strict=True)]


def _file_lock(folder: Path) -> AbstractContextManager[object]:
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(folder.with_name(f"{folder.name}.lock"))


def _embedded(folder: Path) -> ClientAPI:
    import chromadb
    from chromadb.config import Settings as ChromaSettings

    settings = ChromaSettings(anonymized_telemetry=False)
    return chromadb.PersistentClient(str(folder), settings=settings)


def _forget_failed_start(folder: Path) -> None:
    """Chroma keeps a system that failed to start, and gives it to the next client of the folder."""
    from chromadb.api.shared_system_client import SharedSystemClient as Shared

    if str(folder) not in Shared._identifier_to_refcount:
        Shared._identifier_to_system.pop(str(folder), None)


def _where(filters: Filters) -> dict[str, Any]:
    ranges: list[dict[str, Any]] = [
        {"$and": [{"day": {"$gte": first}}, {"day": {"$lte": last}}]}
        for first, last in filters.filed
    ]
    days = {"$or": ranges} if len(ranges) > 1 else ranges[0]
    if filters.sources:
        return {"$and": [days, {"source": {"$in": list(filters.sources)}}]}
    return days
