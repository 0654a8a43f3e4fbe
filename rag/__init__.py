"""newsrag: ask a news archive; every sentence of an answer carries the passage that supports it."""

from rag.abstain import Calibration, fit_calibration
from rag.archive import Archive
from rag.conversations import (
    Asked,
    Conversation,
    Conversations,
    ConversationSummary,
    Exchange,
    Feedback,
)
from rag.errors import (
    ArchiveError,
    ArchiveLockedError,
    ArchiveMismatchError,
    ArticleNotFoundError,
    ConversationError,
    ConversationNotFoundError,
    LLMError,
    ModelError,
    NewsragError,
    SettingsError,
    SourceError,
)
from rag.looked import Looked, Meant
from rag.reports import ArchiveStatus, DayCount, Failure, IngestReport
from rag.settings import Settings, load_settings
from rag.timeline import Timeline, TimelineEntry
from rag.types import (
    Answer,
    Article,
    Check,
    Citation,
    Dispute,
    Event,
    Evidence,
    RankedPassage,
    Sentence,
    Short,
    Trace,
    Waiting,
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
    "Asked",
    "Calibration",
    "Check",
    "Citation",
    "Conversation",
    "ConversationError",
    "ConversationNotFoundError",
    "ConversationSummary",
    "Conversations",
    "DayCount",
    "Dispute",
    "Event",
    "Evidence",
    "Exchange",
    "Failure",
    "Feedback",
    "IngestReport",
    "LLMError",
    "Looked",
    "Meant",
    "ModelError",
    "NewsragError",
    "RankedPassage",
    "Sentence",
    "Settings",
    "SettingsError",
    "Short",
    "SourceError",
    "Timeline",
    "TimelineEntry",
    "Trace",
    "Waiting",
    "fit_calibration",
    "load_settings",
]
