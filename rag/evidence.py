"""Ranked passages into the sentences that matter: the evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.models import Embedder, Vector
from rag.passages import split_sentences
from rag.retrieve import Found, Window, sigmoid
from rag.store import Store
from rag.types import Article
from rag.words import stems

SECTIONS = 16
"""Windows of the found passages that sentences are taken from; passages, where none was read."""
SENTENCES = 8
"""Evidence sentences at most."""

SIMILARITY_WEIGHT = 0.4
COVERAGE_WEIGHT = 0.3
PASSAGE_WEIGHT = 0.8
RELEVANCE_WEIGHT = 0.2
PHRASE_WEIGHT = 0.5
"""How an evidence sentence's score is mixed."""

SHORT_SENTENCE = 40
SHORT_PENALTY = 0.1
"""What is shorter than this is mostly a heading, a byline or a link, and counts less."""

_QUESTION = re.compile(r"\?[\"'”’)]*\Z")
"""A question in an article asserts nothing; a news quiz would match the user's own too well."""


@dataclass(frozen=True, slots=True)
class EvidenceSentence:
    """One sentence of a found passage, with how well it meets the question.

    `similarity` is a cosine, `coverage` the share of the question's rare stems that the sentence
    has; `score` mixes both with what the reader makes of it and the passage's rank.
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


@dataclass(frozen=True, slots=True)
class _Place:
    """A sentence before it is scored: its span, its section's part of the score."""

    article: Article
    start: int
    end: int
    prior: float

    @property
    def text(self) -> str:
        return self.article.text[self.start : self.end]


def select(
    store: Store, embedder: Embedder, query: str, vector: Vector, found: Sequence[Found]
) -> list[EvidenceSentence]:
    """The best evidence sentences of the found passages, best first, none twice.

    `vector` is the embedding of `query`, shape (dimensions,).
    """
    places = _places(found)
    if not places:
        return []
    similarities = embedder.encode([place.text for place in places]) @ vector
    weights = store.words.rarity(set(stems(query)))
    sentences = []
    for place, similarity in zip(places, map(float, similarities), strict=True):
        covered = coverage(weights, stems(place.text))
        score = (
            place.prior
            + SIMILARITY_WEIGHT * similarity
            + COVERAGE_WEIGHT * covered
            - SHORT_PENALTY * (len(place.text) < SHORT_SENTENCE)
        )
        sentences.append(
            EvidenceSentence(place.article, place.start, place.end, similarity, covered, score)
        )
    sentences.sort(key=lambda sentence: -sentence.score)
    unique = {" ".join(stems(sentence.text)): sentence for sentence in reversed(sentences)}
    return sorted(unique.values(), key=lambda sentence: -sentence.score)[:SENTENCES]


def _places(found: Sequence[Found]) -> list[_Place]:
    """The sentences of the best sections, without questions."""
    top = max((one.passage.score for one in found), default=0.0) or 1.0
    sections = []
    for one in found:
        prior = PASSAGE_WEIGHT * one.passage.score / top
        windows = one.windows or (Window(one.passage.article, one.passage.start, one.passage.end),)
        for window in windows:
            sections.append((prior + RELEVANCE_WEIGHT * sigmoid(window.relevance), window))
    sections.sort(key=lambda section: -section[0])
    places = []
    for prior, window in sections[:SECTIONS]:
        text = window.article.text
        for span in split_sentences(text, window.start, window.end):
            if not _QUESTION.search(text, span.start, span.end):
                phrase = PHRASE_WEIGHT * _phrase(window, span.start, span.end)
                places.append(_Place(window.article, span.start, span.end, prior + phrase))
    return places


def _phrase(window: Window, start: int, end: int) -> float:
    """The probability of the best phrase that the reader found in a sentence; 0 without one."""
    inside = (score for first, last, score in window.phrases if start <= first and last <= end)
    return max((sigmoid(score) for score in inside), default=0.0)


def coverage(weights: Mapping[str, float], words: Sequence[str]) -> float:
    """The share of the weight that lies on stems among `words`, in 0..1."""
    total = sum(weights.values())
    present = set(words)
    return sum(w for stem, w in weights.items() if stem in present) / total if total else 0.0
