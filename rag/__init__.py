"""newsrag: ask a news archive; every sentence of an answer carries the passage that supports it."""

from rag.abstain import Calibration, fit_calibration
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
    Check,
    Citation,
    Event,
    Evidence,
    Failure,
    IngestReport,
    Looked,
    RankedPassage,
    Sentence,
    Short,
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
    "Calibration",
    "Check",
    "Citation",
    "Event",
    "Evidence",
    "Failure",
    "IngestReport",
    "LLMError",
    "Looked",
    "ModelError",
    "NewsragError",
    "RankedPassage",
    "Sentence",
    "Settings",
    "SettingsError",
    "Short",
    "SourceError",
    "Trace",
    "fit_calibration",
    "load_settings",
]
