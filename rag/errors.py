"""Every error that newsrag raises for its user; each message is one sentence that says what to do.

    NewsragError
    ├── SettingsError           a setting is unknown or has an unusable value
    ├── SourceError             an input cannot be read as articles; names file and line
    ├── ArchiveError            the archive cannot be opened, read or written
    │   ├── ArchiveLockedError      another process is writing to it
    │   ├── ArchiveUnreachableError a server that holds a part of it does not answer
    │   └── ArchiveMismatchError    it was made with other, incompatible settings
    ├── ArticleNotFoundError    no article has this id
    ├── ConversationError       a title, note, question or search cannot be kept or used as given
    │   └── ConversationNotFoundError   this user has no such conversation, or it no such question
    └── ModelError              a model is missing, damaged or does not load
        └── LLMError            the language model is down, slow or answers rubbish

Lack of evidence is not an error: it is the status "abstained" of an answer.
"""


class NewsragError(Exception):
    """The root of every error that newsrag raises on purpose."""


class SettingsError(NewsragError):
    """A setting is unknown or has an unusable value."""


class SourceError(NewsragError):
    """An input cannot be read as articles. `place` is the file, with the line where known."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason


class ArchiveError(NewsragError):
    """The archive cannot be opened, read or written."""


class ArchiveLockedError(ArchiveError):
    """Another process is writing to the archive."""


class ArchiveUnreachableError(ArchiveError):
    """A server that holds a part of the archive does not answer; nothing of it is lost."""


class ArchiveMismatchError(ArchiveError):
    """The archive was made with settings that do not fit the present ones."""


class ArticleNotFoundError(NewsragError):
    """No article has the given id."""


class ConversationError(NewsragError):
    """A title, a note, a question or a search cannot be kept or used as given."""


class ConversationNotFoundError(ConversationError):
    """The user has no conversation with the given id, or it has no question with that id."""


class ModelError(NewsragError):
    """A model is missing, damaged or does not load."""


class LLMError(ModelError):
    """The language model is down, slow or answers rubbish."""
