"""The vector index: passage embeddings in Chroma. Derived from SQLite, rebuildable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rag.errors import ArchiveError
from rag.models import Vector, Vectors
from rag.words import Filters, IndexEntry

_COLLECTION = "passages"


class VectorIndex:
    """One Chroma collection with cosine distance, embedded in this process."""

    def __init__(self, folder: Path) -> None:
        import chromadb
        from chromadb.config import Settings as ChromaSettings
        from chromadb.errors import ChromaError

        self._failure = ChromaError
        try:
            client = chromadb.PersistentClient(
                str(folder), settings=ChromaSettings(anonymized_telemetry=False)
            )
            self._collection = client.get_or_create_collection(
                _COLLECTION,
                embedding_function=None,
                # Flush the graph to disk less often than by default: an ingest is one long write.
                configuration={"hnsw": {"space": "cosine", "sync_threshold": 20_000}},
            )
        except (ChromaError, ValueError, OSError) as error:
            raise ArchiveError(f"the vectors in {folder} cannot be opened: {error}") from error
        self._client = client
        self._batch = client.get_max_batch_size()

    def close(self) -> None:
        """Release the files."""
        self._client.close()  # type: ignore[attr-defined]

    def add(self, entries: Sequence[IndexEntry], vectors: Vectors) -> None:
        """Store one vector per entry, replacing those of the same id."""
        for first in range(0, len(entries), self._batch):
            part = entries[first : first + self._batch]
            self._collection.upsert(
                ids=[str(entry.id) for entry in part],
                embeddings=vectors[first : first + self._batch],
                metadatas=[{"day": entry.day, "source": entry.source} for entry in part],
            )

    def delete(self, ids: Sequence[int]) -> None:
        """Forget these passages."""
        for first in range(0, len(ids), self._batch):
            part = [str(passage_id) for passage_id in ids[first : first + self._batch]]
            self._collection.delete(ids=part)

    def count(self) -> int:
        """The number of stored vectors."""
        return self._collection.count()

    def search(self, vector: Vector, limit: int, filters: Filters) -> list[tuple[int, float]]:
        """The `limit` nearest passages as (id, cosine similarity), best first."""
        result = self._collection.query(
            query_embeddings=vector[np.newaxis],
            n_results=limit,
            where=_where(filters),
            include=["distances"],
        )
        distances = (result["distances"] or [[]])[0]
        return [(int(i), 1.0 - d) for i, d in zip(result["ids"][0], distances, strict=True)]


def _where(filters: Filters) -> dict[str, Any] | None:
    clauses: list[dict[str, Any]] = []
    if filters.since is not None:
        clauses.append({"day": {"$gte": filters.since.toordinal()}})
    if filters.until is not None:
        clauses.append({"day": {"$lte": filters.until.toordinal()}})
    if filters.sources:
        clauses.append({"source": {"$in": list(filters.sources)}})
    if len(clauses) > 1:
        return {"$and": clauses}
    return clauses[0] if clauses else None
