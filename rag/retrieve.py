"""A question into ranked passages.

Read top to bottom: `condense`, and `search`, which mixes the scores of the indexes, has the best
passages read together with the question, and mixes again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from rag import voices
from rag.copies import Wording
from rag.models import Vector
from rag.passages import split_passages
from rag.reader import WINDOW_CHARACTERS, Reader
from rag.rows import PassageRow
from rag.settings import Settings
from rag.store import Candidate, Store
from rag.types import Article, History, RankedPassage
from rag.words import Filters, stems

CANDIDATES = 100
"""Passages taken from each index."""

READ_ARTICLES = 10
READ_PASSAGES = 3
"""How many articles (copies count as one), and how many passages of each, are read together with
the question.
"""

_SHORTEST = 3
"""Days over which the preference for the days of a question decays at the least."""

_LATE = 1
"""Days after which most articles on an event are there."""

_GRACE = timedelta(days=1)
"""An article dated one day after `as_of` may have been published on that day elsewhere."""

_CROWDED = 4
"""How many times more passages are taken from each index where copies crowd them, at most twice."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which articles may answer, and from which day their age is counted.

    With `near`, a first and a last day that the question names, their distance from those counts in
    place of their age.
    """

    as_of: date
    since: date | None = None
    until: date | None = None
    source: str | Sequence[str] | None = None
    near: tuple[date, date] | None = None

    @property
    def filters(self) -> Filters:
        """The filters for the indexes: nothing later than a day after `as_of`, as it read then."""
        latest = self.as_of + _GRACE if self.as_of < date.max else self.as_of
        return Filters(self.since, min(self.until or latest, latest), self.source, self.as_of)


_LEANING = re.compile(
    r"\b(it|its|he|him|his|she|her|hers|they|them|their|theirs|this|that|these|those|there|then"
    r"|one|ones|else|former|latter|same)\b|^(and|but|or|so|then|also|what about|how about)\b",
    re.IGNORECASE,
)
_SHORT_QUESTION = 2
_PART = re.compile(
    r"\?\s+(?=\w)|,?\s+and\s+(?=(?:who|whom|whose|what|when|where|which|why|how)\b)", re.IGNORECASE
)


def condense(question: str, history: History) -> str:
    """A question that stands alone: a follow-up gets the question it leans on in front.

    A follow-up is a question with a pronoun or a connective, or with hardly any content word.
    This is code, not a model, so that evidence appears before any model is asked.
    """
    if not history:
        return question
    leans = _LEANING.search(question) is not None or len(stems(question)) <= _SHORT_QUESTION
    if not leans:
        return question
    before = condense(history[-1][0], history[:-1])  # which may itself lean on an earlier one
    return f"{before.strip()} {question.strip()}"


def parts(query: str) -> list[tuple[str, str]]:
    """The questions in a question, each as it was asked and as it stands alone.

    A part with hardly a word of its own stays with its neighbour.
    """
    pieces: list[str] = []
    for piece in _PART.split(query.strip()):
        if pieces and min(len(stems(piece)), len(stems(pieces[-1]))) < _SHORT_QUESTION:
            pieces[-1] = f"{pieces[-1]} and {piece}"
        elif piece.strip():
            pieces.append(piece.strip())
    if not pieces:
        return [(query, query)]
    whole = [piece if piece.endswith("?") or len(pieces) == 1 else f"{piece}?" for piece in pieces]
    earlier = [[(before, "") for before in whole[:n]] for n in range(len(whole))]
    return [(part, condense(part, said)) for part, said in zip(whole, earlier, strict=True)]


@dataclass(frozen=True, slots=True)
class Window:
    """Some sentences of an article, `text[start:end]`, as the reader saw them.

    `relevance` is its logit, minus infinity where nothing was read; `phrases` are (start, end,
    logit) in the article, best first.
    """

    article: Article
    start: int
    end: int
    relevance: float = -math.inf
    phrases: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A passage with what ranked it. It has windows where it was read."""

    passage: RankedPassage
    candidate: Candidate
    windows: tuple[Window, ...] = ()

    @property
    def relevance(self) -> float:
        """The relevance of its best window, in 0..1; 0 where it was not read."""
        return max((sigmoid(window.relevance) for window in self.windows), default=0.0)


def search(
    store: Store,
    settings: Settings,
    reader: Reader | None,
    query: str,
    vector: Vector,
    k: int,
    scope: Scope,
) -> list[Found]:
    """The best `k` passages, best first, near-copies from other articles folded into the best.

    `vector` is the embedding of `query`, shape (dimensions,). Without a reader the scores of the
    indexes decide alone.
    """
    ranked, stories = _candidates(store, settings, query, vector, max(CANDIDATES, k), scope)
    windows = _read(store, reader, query, pool(ranked, stories)) if reader else {}
    found = []
    for candidate, score in ranked:
        row = candidate.row
        article = store.ledger.article(row.article_id, row.revision)
        passage = RankedPassage(row.id, article, row.start, row.end, score)
        found.append(Found(passage, candidate, windows.get(row.id, ())))
    return _with_copies(store, _fold(rerank(found, settings), k), stories, scope.filters)


def _candidates(
    store: Store, settings: Settings, query: str, vector: Vector, limit: int, scope: Scope
) -> tuple[list[tuple[Candidate, float]], voices.Stories]:
    """About the best `limit` passages of each index, ranked, each story told once.

    Where the copies of a story take up half of the places, more is looked at.
    """
    most = limit * _CROWDED**2
    while True:
        candidates = store.search(query, vector, limit, scope.filters)
        stories = voices.stories_of(store.ledger, candidates)
        everything = rank(candidates, settings, scope.as_of, scope.near)
        ranked = voices.merged(store.ledger, everything, stories)
        if len(candidates) < limit or len(ranked) * 2 > len(candidates) or limit >= most:
            return ranked, stories
        limit *= _CROWDED


def _with_copies(
    store: Store, found: Sequence[Found], stories: voices.Stories, filters: Filters
) -> list[Found]:
    """The passages with every copy of their story that holds them, found or not."""
    told = [voices.voice_of(one.candidate.row, stories) for one in found]
    tellers = voices.tellers(store.ledger, told, filters)
    return [
        replace(
            one, passage=replace(one.passage, copies=voices.copies(one.passage, tellers[story]))
        )
        if story in tellers
        else one
        for one, story in zip(found, told, strict=True)
    ]


def nearest(store: Store, vector: Vector, k: int) -> list[RankedPassage]:
    """The `k` passages nearest to a vector, shape (dimensions,), by cosine; no words, no dates."""
    hits = store.vectors.search(vector, k)
    rows = store.ledger.passage_rows([number for number, _ in hits])
    places = [(rows[number], score) for number, score in hits if number in rows]
    return [
        RankedPassage(
            row.id, store.ledger.article(row.article_id, row.revision), row.start, row.end, score
        )
        for row, score in places
    ]


def rank(
    candidates: Sequence[Candidate],
    settings: Settings,
    as_of: date,
    near: tuple[date, date] | None = None,
) -> list[tuple[Candidate, float]]:
    """Candidates with their mixed score, best first.

    The score is the weighted sum of cosine similarity, BM25 of the passage and BM25 of its article,
    each over its largest value here, and of exp(-age / recency_days); with `near`, of
    exp(-distance / decay), which decays faster for a shorter time.
    """
    days, decay = near or (as_of, as_of), settings.recency_days
    if near:  # the shorter the time that is named, the less is a day beside it what is meant
        decay = min(decay, float(max((near[1] - near[0]).days, _SHORTEST)))
    top_dense = max((c.dense for c in candidates), default=0.0) or 1.0
    top_lexical = max((c.lexical for c in candidates), default=0.0) or 1.0
    top_article = max((c.article for c in candidates), default=0.0) or 1.0

    def score(candidate: Candidate) -> float:
        return (
            settings.dense_weight * max(candidate.dense, 0.0) / top_dense
            + settings.lexical_weight * candidate.lexical / top_lexical
            + settings.article_weight * candidate.article / top_article
            + settings.recency_weight * recency(candidate.row.day, days, decay)
        )

    scored = [(candidate, score(candidate)) for candidate in candidates]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].row.id))


def pool(ranked: Sequence[tuple[Candidate, float]], stories: voices.Stories) -> list[PassageRow]:
    """What is read: the best passages of the best voices, so that none takes all places."""
    taken: dict[int, int] = {}
    rows = []
    for candidate, _ in ranked:
        key = voices.voice_of(candidate.row, stories)
        if key in taken or len(taken) < READ_ARTICLES:
            taken[key] = taken.get(key, 0) + 1
            if taken[key] <= READ_PASSAGES:
                rows.append(candidate.row)
    return rows


def _read(
    store: Store, reader: Reader, query: str, rows: Sequence[PassageRow]
) -> dict[int, tuple[Window, ...]]:
    """The windows of each passage, as the reader sees them, by the passage's id."""
    places = []
    for row in rows:
        article = store.ledger.article(row.article_id, row.revision)
        for span in split_passages(article.text[row.start : row.end], WINDOW_CHARACTERS):
            places.append((row, article, row.start + span.start, row.start + span.end))
    texts = [(article.title, article.text[start:end]) for _, article, start, end in places]
    windows: dict[int, tuple[Window, ...]] = {}
    for place, reading in zip(places, reader.read(query, texts), strict=True):
        row, article, start, end = place
        phrases = tuple((start + p.start, start + p.end, p.score) for p in reading.phrases)
        window = Window(article, start, end, reading.relevance, phrases)
        windows[row.id] = (*windows.get(row.id, ()), window)
    return windows


def rerank(found: Sequence[Found], settings: Settings) -> list[Found]:
    """The passages by their mixed score and their relevance; what was not read counts as worst."""
    least = min((one.relevance for one in found if one.windows), default=0.0)
    scored = []
    for one in found:
        relevance = one.relevance if one.windows else least
        score = one.passage.score + settings.reader_weight * relevance
        scored.append(replace(one, passage=replace(one.passage, score=score)))
    return sorted(scored, key=lambda one: -one.passage.score)


def recency(day: int, near: tuple[date, date], decay_days: float) -> float:
    """exp(-distance / decay_days) of an article dated `day`, an ordinal; 0 for an undated one.

    The distance is 0 from the first to a day after the last of the days: news comes a day late.
    """
    first, last = (bound.toordinal() for bound in near)
    return math.exp(-max(first - day, day - last - _LATE, 0) / decay_days) if day else 0.0


def _fold(found: Sequence[Found], k: int) -> list[Found]:
    """The first `k` passages; a near-copy from another article joins the one above it."""
    kept: list[Found] = []
    wordings: list[Wording] = []
    for one in found:
        article = one.passage.article
        mine = Wording(one.passage.text)
        twin = next(
            (
                n
                for n, theirs in enumerate(wordings)
                if kept[n].passage.article.id != article.id and voices.is_same(mine, theirs)
            ),
            None,
        )
        if twin is not None:
            first = kept[twin].passage
            if article not in first.copies:
                folded = replace(first, copies=(*first.copies, article))
                kept[twin] = replace(kept[twin], passage=folded)
        elif len(kept) == k:
            break
        else:
            kept.append(one)
            wordings.append(mine)
    return kept


def sigmoid(logit: float) -> float:
    """A logit as a probability."""
    return 1 / (1 + math.exp(-max(min(logit, 60.0), -60.0)))
