"""What the ledger's rows are to the rest of the archive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from rag.types import Article
from rag.words import filed


class PassageRow(NamedTuple):
    """Where a passage stands; `day` is the article's date as a proleptic ordinal, 0 if undated.

    `article_key` numbers the article's revision in the word index of whole articles. A named tuple,
    since each search makes hundreds, and frozen dataclasses are slower to make.
    """

    id: int
    article_key: int
    article_id: str
    revision: int
    start: int
    end: int
    day: int
    source: str | None


class DayRow(NamedTuple):
    """How much is of one day and outlet; day 0 is undated."""

    day: int
    source: str | None
    articles: int


class HeldRow(NamedTuple):
    """What an index must hold, or may hold while its `state` is "pending", under a number.

    `day` is as the indexes file it.
    """

    id: int
    day: int
    state: str
    article_id: str


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """A passage of a known article."""

    id: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A revision to be indexed, with the passages that it is cut into."""

    key: int
    article: Article
    passages: list[PassageSpan]
    superseded: bool = False

    @property
    def day(self) -> int:
        """The date as the indexes file it."""
        published = self.article.published
        return filed(published.toordinal() if published else 0, self.superseded)


class StageResult(Enum):
    """What staging found."""

    ADDED = auto()
    CHANGED = auto()
    UNCHANGED = auto()
