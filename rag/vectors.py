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

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

_COLLECTION = "passages"
SYNC_THRESHOLD = 20_000
"""Vectors between two flushes of the graph: rarer than by default, as an ingest is one long write.

A collection keeps it from its making.
"""
_FEW = 1_000
"""Vectors up to which comparing each is quicker than a walk through the graph past all others."""


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

    def add(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Store one vector per passage, replacing those of the same id."""
        for first in range(0, len(ids), self._batch):
            part = ids[first : first + self._batch]
            with self._files, self._asking():
                self._collection.upsert(
                    ids=[str(i) for i in part], embeddings=vectors[first : first + self._batch]
                )

    def delete(self, ids: Sequence[int]) -> None:
        """Forget these passages."""
        self.forget([str(passage_id) for passage_id in ids])

    def count(self) -> int:
        """The number of stored vectors."""
        with self._asking():
            return self._collection.count()

    def held(self, first: int, last: int) -> set[int]:
        """Those of the passages `first` to `last` that have a sound vector.

        Raises `ArchiveError` when the index cannot be read.
        """
        ids, vectors = self.vectors(range(first, last + 1))
        sound = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
        return {ids[row] for row in np.flatnonzero(sound)}

    def vectors(self, ids: Sequence[int]) -> tuple[list[int], Vectors]:
        """Those of the passages that are held, and their vectors, one row each."""
        try:
            with self._loading(), self._asking():
                names = [str(i) for i in ids]
                result: Any = self._collection.get(ids=names, include=["embeddings"])
        except (self._failure, ValueError, OSError) as error:
            raise ArchiveError(f"the vectors cannot be read: {error}") from error
        if not result["ids"]:
            return [], np.zeros((0, 1), np.float32)
        return [int(i) for i in result["ids"]], np.asarray(result["embeddings"], np.float32)

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
        self, vector: Vector, limit: int, among: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """The `limit` nearest passages, of all or `among` these, as (id, cosine), best first.

        Of all, those of superseded revisions are among them. Raises `ArchiveError`, also for a
        vector of another length than those held.
        """
        if among is not None and len(among) <= _FEW:
            return self._compared(vector, limit, among)
        try:
            with self._loading(), self._asking():
                result = self._collection.query(
                    query_embeddings=vector[np.newaxis],
                    n_results=limit,
                    ids=[str(i) for i in among] if among is not None else None,
                    include=["distances"],
                )
            self._loaded = self._loaded or bool(result["ids"][0])
        except self._failure as error:
            raise ArchiveError(f"the vectors cannot be searched: {error}") from error
        distances = (result["distances"] or [[]])[0]
        return [(int(i), 1.0 - d) for i, d in zip(result["ids"][0], distances, strict=True)]

    def _compared(
        self, vector: Vector, limit: int, among: Sequence[int]
    ) -> list[tuple[int, float]]:
        """The same by comparing each."""
        ids, vectors = self.vectors(among)
        if not ids:
            return []
        if vectors.shape[1] != len(vector):
            raise ArchiveError(
                f"the vectors cannot be searched: they have {vectors.shape[1]} dimensions,"
                f" the question's has {len(vector)}"
            )
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        cosines = vectors @ vector / np.maximum(lengths, np.finfo(np.float32).tiny)
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [(ids[row], float(cosines[row])) for row in best]


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
