"""newsrag: ask a news archive; every sentence of an answer carries the passage that supports it."""

from rag.archive import Archive
from rag.errors import (
    ArchiveError,
    ArchiveLockedError,
    ArchiveMismatchError,
    ArticleNotFoundError,
    LLMError,
    ModelError,
    NewsragError,
    SettingsError,
    SourceError,
)
from rag.settings import Settings, load_settings
from rag.types import (
    Answer,
    ArchiveStatus,
    Article,
    Citation,
    Event,
    Evidence,
    Failure,
    IngestReport,
    RankedPassage,
    Sentence,
    Trace,
)

__all__ = [
    "Answer",
    "Archive",
    "ArchiveError",
    "ArchiveLockedError",
    "ArchiveMismatchError",
    "ArchiveStatus",
    "Article",
    "ArticleNotFoundError",
    "Citation",
    "Event",
    "Evidence",
    "Failure",
    "IngestReport",
    "LLMError",
    "ModelError",
    "NewsragError",
    "RankedPassage",
    "Sentence",
    "Settings",
    "SettingsError",
    "SourceError",
    "Trace",
    "load_settings",
]
