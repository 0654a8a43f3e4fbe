"""What an archive holds: articles by day and outlet, the outlets, a search by words."""

from __future__ import annotations

from datetime import date

from rag.census import NO_SOURCE, Census
from rag.reports import DayCount
from rag.store import Store
from rag.types import Article
from rag.words import Filters


def days(store: Store) -> list[DayCount]:
    """The number of articles by day and outlet, earliest first; undated ones last."""
    rows = sorted(store.ledger.days(), key=lambda row: row.day == 0)
    return [DayCount(_date(row.day), row.source or NO_SOURCE, row.articles) for row in rows]


def _date(day: int) -> date | None:
    return date.fromordinal(day) if day else None


def sources(store: Store) -> list[str]:
    """The outlets, those with most articles first."""
    return [source for source in Census.take(store.ledger).sources if source != NO_SOURCE]


def find(store: Store, words: str, limit: int, filters: Filters) -> list[Article]:
    """Articles whose title or text has all the words, best first; all, latest first, for none."""
    if not words.strip():
        return store.ledger.articles(limit, filters)
    return store.find(words, limit, filters)


def passages(store: Store, article_id: str) -> list[tuple[int, int]]:
    """The passages of an article as (start, end). Raises `ArticleNotFoundError`."""
    article = store.ledger.article(article_id)
    return [(passage.start, passage.end) for passage in store.ledger.passages(article)]
