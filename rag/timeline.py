"""A topic day by day: for each day the sentence that says most about it, cited.

A day is that of an article's publication. Undated articles have no place here. A copy of what an
earlier day said is no news: its article joins that entry, as one voice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from rag.copies import Wording
from rag.evidence import SHORT_SENTENCE, EvidenceSentence, coverage, select
from rag.models import Embedder
from rag.retrieve import Found, Scope, rank
from rag.settings import Settings
from rag.store import Store
from rag.types import Article, Citation, RankedPassage, byline
from rag.voices import is_same
from rag.words import stems

DAYS = 40
"""Days of a timeline at most: those that have most to say."""

CANDIDATES = 300
PASSAGES_A_DAY = 3

MIN_COVERAGE = 0.6
"""Share of the topic's rare words that a passage, with its title, must have to be on the topic; and
a sentence, or its title, to speak for a day."""
MIN_SIMILARITY = 0.6
"""Or their cosine to the topic."""

LEAD_CHARACTERS = 400
LEAD_WEIGHT = 0.3
"""News says at its beginning what is new."""
FRAGMENT_PENALTY = 0.3

_WHOLE = re.compile(r"[\"'“‘(]?[^\W_a-z].*[.!][\"'”’)]*", re.DOTALL)
"""A sentence that begins as one and comes to its end."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """What was said of a topic on a day; `copies` are articles that said the same, or did later."""

    day: date
    citation: Citation
    copies: tuple[Article, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return {
            "day": self.day.isoformat(),
            "citation": self.citation.to_dict(),
            "copies": [{"article_id": a.id, "revision": a.revision} for a in self.copies],
        }


@dataclass(frozen=True, slots=True)
class Timeline:
    """A topic's days in their order; no entries where the archive says nothing about it.

    `days` is how many days have something to say: there may be more than entries.
    """

    topic: str
    entries: tuple[TimelineEntry, ...]
    days: int

    def to_dict(self) -> dict[str, Any]:
        """The timeline as JSON values: what `newsrag timeline --json` prints."""
        entries = [entry.to_dict() for entry in self.entries]
        return {"topic": self.topic, "days": self.days, "entries": entries}

    def __str__(self) -> str:
        """Plain text: each day with its sentence and source."""
        if not self.entries:
            return f"The archive says nothing about {self.topic}."
        return "\n".join(
            f"{e.day.isoformat()}  {' '.join(e.citation.quote.split())}\n"
            f"            {byline(e.citation.article)}{_echo(e.copies)}"
            for e in self.entries
        )


def _echo(copies: Sequence[Article]) -> str:
    """Who else said it."""
    names = dict.fromkeys(article.source or article.title for article in copies)
    return f"; also: {', '.join(names)}" if names else ""


def timeline(
    store: Store, settings: Settings, embedder: Embedder, topic: str, scope: Scope
) -> Timeline:
    """The days on which the archive speaks of a topic, earliest first."""
    vector = embedder.encode([topic])[0]
    candidates = store.search(topic, vector, CANDIDATES, scope.filters)
    # A day's age is no measure of how much it has to say.
    ranked = rank(candidates, replace(settings, recency_weight=0.0), scope.as_of)
    weights = store.words.rarity(set(stems(topic)))
    by_day: dict[date, list[Found]] = {}
    for candidate, score in ranked:
        row = candidate.row
        if not row.day:
            continue
        article = store.ledger.article(row.article_id, row.revision)
        passage = RankedPassage(row.id, article, row.start, row.end, score)
        said = stems(f"{article.title}\n{passage.text}")
        if coverage(weights, said) >= MIN_COVERAGE or candidate.dense >= MIN_SIMILARITY:
            several = by_day.setdefault(date.fromordinal(row.day), [])
            if len(several) < PASSAGES_A_DAY:
                several.append(Found(passage, candidate))
    best = dict(list(by_day.items())[:DAYS])  # the days, too, are in the order of their scores
    entries: list[TimelineEntry] = []
    for day in sorted(best):
        evidence = select(store, embedder, topic, vector, best[day])
        _enter(entries, day, _telling(evidence, weights))
    return Timeline(topic, tuple(entries), len(by_day))


def _telling(
    evidence: Sequence[EvidenceSentence], weights: dict[str, float]
) -> list[EvidenceSentence]:
    """The sentences that are on the topic themselves, what tells most as news first."""

    def worth(one: EvidenceSentence) -> float:
        lead = LEAD_WEIGHT * (one.start < LEAD_CHARACTERS)
        is_fragment = len(one.text) < SHORT_SENTENCE or _WHOLE.fullmatch(one.text) is None
        return one.score + lead - FRAGMENT_PENALTY * is_fragment

    about = [
        one
        for one in evidence
        if one.similarity >= MIN_SIMILARITY
        or one.coverage >= MIN_COVERAGE
        or coverage(weights, stems(one.article.title)) >= MIN_COVERAGE
    ]
    return sorted(about, key=worth, reverse=True)


def _enter(entries: list[TimelineEntry], day: date, evidence: Sequence[EvidenceSentence]) -> None:
    """Add a day with its best sentence that was not said before, if it has one."""
    copied: set[str] = set()
    for one in evidence:
        if one.article.id in copied:
            continue
        said = next((n for n, e in enumerate(entries) if _same(e, one)), None)
        if said is None:
            entries.append(TimelineEntry(day, Citation(one.article, one.start, one.end)))
            break
        copied.add(one.article.id)
        before = entries[said]
        if one.article not in (before.citation.article, *before.copies):
            entries[said] = replace(before, copies=(*before.copies, one.article))


def _same(entry: TimelineEntry, one: EvidenceSentence) -> bool:
    other = entry.citation.article.id != one.article.id
    return other and is_same(Wording(entry.citation.quote), Wording(one.text))
