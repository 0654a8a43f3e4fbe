"""Drafts against their evidence: what is supported is shown, with its span; the rest is not.

The checks here are deterministic: words, numbers, names and negation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.answer import Draft
from rag.retrieve import EvidenceSentence, coverage
from rag.types import Citation, Sentence
from rag.words import stems

MIN_SUPPORT = 0.75
MIN_SIMILARITY = 0.4
MIN_SIMILARITY_UNWORDED = 0.6
MAX_QUOTES = 3

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?<![.!?“\"'‘] )(?<!^)\b[A-Z][\w’'-]*[a-z]\w*")
_NEGATION = re.compile(
    r"\b(not|no|never|none|neither|nor|nobody|nothing|without|cannot|den(?:y|ies|ied|ying))\b|n[’']t\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A draft sentence after its check: a sentence to show, or the reason why not."""

    sentence: Sentence | None
    reason: str = ""


def check(draft: Draft, evidence: Sequence[EvidenceSentence], query: str) -> Verdict:
    """Tie a draft to the evidence that it names, or else to the one that supports it best.

    A number that names no evidence makes the sentence unsupported as it stands; other evidence
    may still support it.
    """
    named = [evidence[n - 1] for n in draft.numbers if 1 <= n <= len(evidence)]
    if not draft.text:
        return _quote(named)
    attempts = [named] if named and len(named) == len(draft.numbers) else []
    attempts.extend([sentence] for sentence in evidence if [sentence] not in attempts)
    reasons = []
    for cited in attempts:
        support, reason = supports(draft.text, cited, query)
        if not reason:
            citations = tuple(Citation(e.article, e.start, e.end) for e in cited)
            return Verdict(Sentence(draft.text, citations, support))
        reasons.append(reason)
    return Verdict(None, reasons[0] if reasons else "there is no evidence")


def _quote(named: Sequence[EvidenceSentence]) -> Verdict:
    """What the model pointed at, quoted, where it pointed at one thing clearly enough."""
    if 1 <= len(named) <= MAX_QUOTES:
        return Verdict(quotes(named)[0])
    return Verdict(None, "it points at no evidence, or at too much")


def supports(text: str, cited: Sequence[EvidenceSentence], query: str) -> tuple[float, str]:
    """How well the cited spans support a sentence, in 0..1, and what speaks against it, or "".

    Each word must be in the spans; the question's own words and the articles' titles may be
    repeated, but numbers and negation come from the spans, and a year from the articles' dates.
    """
    spans = " ".join(e.text for e in cited)
    context = " ".join([spans, query, *(e.article.title for e in cited)])
    years = {str(e.article.published.year) for e in cited if e.article.published}
    missing = _numbers(text) - _numbers(spans) - years
    if missing:
        return 0.0, f"the number {sorted(missing)[0]} is not in the cited text"
    names = {name for name in _NAME.findall(text) if not set(stems(name)) <= set(stems(context))}
    if names:
        return 0.0, f"the name {sorted(names)[0]} is not in the cited text"
    if bool(_NEGATION.search(text)) != bool(_NEGATION.search(spans)):
        return 0.0, "a negation differs from the cited text"
    words = dict.fromkeys(stems(text), 1.0)
    new = {word: 1.0 for word in words if word not in set(stems(query))}
    support = min(coverage(words, stems(context)), coverage(new or words, stems(spans)))
    return support, "" if support >= MIN_SUPPORT else "its words are not in the cited text"


def _numbers(text: str) -> set[str]:
    return {number.replace(",", "").rstrip(".") for number in _NUMBER.findall(text)}


def answerable(evidence: Sequence[EvidenceSentence], *, unworded: bool = False) -> bool:
    """Whether the best evidence is close enough to the question to answer from.

    It must be closer where it is `unworded`: a model that was asked found no words that hold.
    """
    least = MIN_SIMILARITY_UNWORDED if unworded else MIN_SIMILARITY
    return any(sentence.similarity >= least for sentence in evidence)


def quotes(evidence: Sequence[EvidenceSentence]) -> tuple[Sentence, ...]:
    """The evidence as an answer in its own words: the best sentences, each citing itself."""
    return tuple(
        Sentence(" ".join(e.text.split()), (Citation(e.article, e.start, e.end),), 1.0)
        for e in evidence[:MAX_QUOTES]
    )
