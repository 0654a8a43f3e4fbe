"""A question into ranked passages, and those into the sentences that matter.

Read top to bottom: `condense`, `search`, `select`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from rag.models import Embedder, Vector
from rag.passages import split_sentences
from rag.settings import Settings
from rag.store import Candidate, Store
from rag.types import Article, History, RankedPassage
from rag.words import Filters, stems

CANDIDATES = 50
"""Passages taken from each index."""

EVIDENCE_PASSAGES = 6
EVIDENCE_SENTENCES = 8

SIMILARITY_WEIGHT = 0.5
COVERAGE_WEIGHT = 0.3
PASSAGE_WEIGHT = 0.5
"""How an evidence sentence's score is mixed."""

SHORT_SENTENCE = 40
SHORT_PENALTY = 0.2
"""What is shorter than this is mostly a heading, a byline or a link, and counts less."""

_GRACE = timedelta(days=1)
"""An article dated one day after `as_of` may have been published on that day elsewhere."""

_COPY_OVERLAP = 0.7
_SHINGLE = 3
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which articles may answer, and from which day their age is counted."""

    as_of: date
    since: date | None = None
    until: date | None = None
    source: str | None = None

    @property
    def filters(self) -> Filters:
        """The filters for the indexes: nothing later than a day after `as_of`."""
        latest = self.as_of + _GRACE if self.as_of < date.max else self.as_of
        return Filters(self.since, min(self.until or latest, latest), self.source)


_LEANING = re.compile(
    r"\b(it|its|he|him|his|she|her|hers|they|them|their|theirs|this|that|these|those|there|then"
    r"|one|ones|else|former|latter|same)\b|^(and|but|or|so|then|also|what about|how about|why)\b",
    re.IGNORECASE,
)
_SHORT_QUESTION = 2
_QUESTION = re.compile(r"\?[\"'”’)]*\Z")
"""A question in an article asserts nothing; a news quiz would match the user's own too well."""


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


def search(
    store: Store, settings: Settings, query: str, vector: Vector, k: int, scope: Scope
) -> list[RankedPassage]:
    """The best `k` passages, best first, near-copies from other articles folded into the best.

    `vector` is the embedding of `query`, shape (dimensions,).
    """
    candidates = store.search(query, vector, max(CANDIDATES, k), scope.filters)
    ranked = rank(candidates, settings, scope.as_of)
    return _fold(store, ranked, k)


def rank(
    candidates: Sequence[Candidate], settings: Settings, as_of: date
) -> list[tuple[Candidate, float]]:
    """Candidates with their mixed score, best first.

    The score is the weighted sum of cosine similarity, BM25 of the passage and BM25 of its article,
    each over its largest value here, and of exp(-age / recency_days).
    """
    top_dense = max((c.dense for c in candidates), default=0.0) or 1.0
    top_lexical = max((c.lexical for c in candidates), default=0.0) or 1.0
    top_article = max((c.article for c in candidates), default=0.0) or 1.0

    def score(candidate: Candidate) -> float:
        return (
            settings.dense_weight * max(candidate.dense, 0.0) / top_dense
            + settings.lexical_weight * candidate.lexical / top_lexical
            + settings.article_weight * candidate.article / top_article
            + settings.recency_weight * _recency(candidate.row.day, as_of, settings.recency_days)
        )

    scored = [(candidate, score(candidate)) for candidate in candidates]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].row.id))


def _recency(day: int, as_of: date, decay_days: float) -> float:
    return math.exp(-max(as_of.toordinal() - day, 0) / decay_days) if day else 0.0


def _fold(store: Store, ranked: Sequence[tuple[Candidate, float]], k: int) -> list[RankedPassage]:
    """The first `k` passages; a near-copy from another article joins the one above it."""
    kept: list[RankedPassage] = []
    shingles: list[frozenset[tuple[str, ...]]] = []
    for candidate, score in ranked:
        row = candidate.row
        article = store.ledger.article(row.article_id, row.revision)
        passage = RankedPassage(row.id, article, row.start, row.end, score)
        mine = _shingles(passage.text)
        twin = next(
            (
                n
                for n, theirs in enumerate(shingles)
                if kept[n].article.id != article.id and _overlap(mine, theirs) >= _COPY_OVERLAP
            ),
            None,
        )
        if twin is not None:
            copies = kept[twin].copies
            if article not in copies:
                kept[twin] = replace(kept[twin], copies=(*copies, article))
        elif len(kept) == k:
            break
        else:
            kept.append(passage)
            shingles.append(mine)
    return kept


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    runs = [words[n:] for n in range(_SHINGLE)]
    return frozenset(zip(*runs, strict=False))


def _overlap(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    smaller = min(len(a), len(b))
    return len(a & b) / smaller if smaller else 0.0


@dataclass(frozen=True, slots=True)
class EvidenceSentence:
    """One sentence of a found passage, with how well it meets the question.

    `similarity` is a cosine, `coverage` the share of the question's rare stems that the sentence
    (or its title) has; `score` mixes both with the passage's rank.
    """

    article: Article
    start: int
    end: int
    similarity: float
    coverage: float
    score: float

    @property
    def text(self) -> str:
        """The sentence, exactly as it stands in the article."""
        return self.article.text[self.start : self.end]


def select(
    store: Store,
    embedder: Embedder,
    query: str,
    vector: Vector,
    passages: Sequence[RankedPassage],
) -> list[EvidenceSentence]:
    """The best evidence sentences of the best passages, best first, none twice.

    `vector` is the embedding of `query`, shape (dimensions,).
    """
    best = passages[:EVIDENCE_PASSAGES]
    spans = [
        (passage, span)
        for passage in best
        for span in split_sentences(passage.article.text, passage.start, passage.end)
        if not _QUESTION.search(passage.article.text, span.start, span.end)
    ]
    if not spans:
        return []
    texts = [passage.article.text[span.start : span.end] for passage, span in spans]
    similarities = embedder.encode(texts) @ vector
    weights = store.words.rarity(set(stems(query)))
    top_score = max(passage.score for passage in best) or 1.0
    sentences = []
    for (passage, span), text, similarity in zip(spans, texts, similarities, strict=True):
        covered = coverage(weights, stems(text))
        score = (
            SIMILARITY_WEIGHT * float(similarity)
            + COVERAGE_WEIGHT * covered
            + PASSAGE_WEIGHT * passage.score / top_score
            - SHORT_PENALTY * (len(text) < SHORT_SENTENCE)
        )
        sentences.append(
            EvidenceSentence(
                passage.article, span.start, span.end, float(similarity), covered, score
            )
        )
    sentences.sort(key=lambda sentence: -sentence.score)
    unique = {" ".join(stems(sentence.text)): sentence for sentence in reversed(sentences)}
    return sorted(unique.values(), key=lambda sentence: -sentence.score)[:EVIDENCE_SENTENCES]


def coverage(weights: dict[str, float], words: Sequence[str]) -> float:
    """The share of the weight that lies on stems among `words`, in 0..1."""
    total = sum(weights.values())
    present = set(words)
    return sum(w for stem, w in weights.items() if stem in present) / total if total else 0.0
