"""What ingestion did, and what an archive holds, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Failure:
    """One input record that could not be stored: where it stands and why, in one sentence."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one `ingest` did, or has done so far. Counts are articles, but for `passages`.

    `passages` are those embedded by this run; `seconds` is its wall time.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    passages: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many articles an outlet has of a day; None stands for the undated ones.

    `source` is "(none)" for articles without an outlet.
    """

    day: date | None
    source: str
    articles: int


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """What an archive holds. `sources` maps an outlet to its number of articles, most first.

    `copied` stories are told by several articles in the same words, by `copies` of them in all.
    `store` is the URL of the server that has the vectors, or "local". `size_bytes` are those of the
    folder and of a PostgreSQL database, but not of that server.
    """

    path: str
    articles: int
    passages: int
    pending: int
    first: date | None
    last: date | None
    undated: int
    sources: Mapping[str, int]
    embedding_model: str
    size_bytes: int
    copied: int = 0
    copies: int = 0
    store: str = "local"
