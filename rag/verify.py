"""Drafts against their evidence: what is supported is shown, with its span; the rest is not.

Three things must agree: the plain checks of `rag.claims`, the support model, and the language model
itself, asked anew without the question. None overrules a finding of another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.answer import Draft
from rag.claims import failure, is_quote
from rag.evidence import EvidenceSentence, coverage
from rag.types import Article, Citation, Sentence
from rag.words import stems

MIN_SUPPORT = 0.6
"""Of held-back news sentences, as many true as with a planted error, 98.6 % of those that pass are
true, and 98.8 % of the true pass: see rag/weights/SUPPORT.md."""
MIN_COVERAGE = 0.5
"""Share of a sentence's own words, those that the question lacks, that the cited text must have.

Of all its words, the text with its title must have more than this share: else a sentence that
repeats the question would be held for an answer to it."""

MAX_QUOTES = 3
QUOTE_SHARE = 0.8
"""Evidence below this share of the best one's score is not quoted. On our own two sets it takes the
share of quotes that hold gold from .25 to .32, and that of answers with such a quote from .73 to
.70."""

_UNSUPPORTED = "the cited text does not support it"
_DENIED = "the language model does not find it in the cited text"
_BREAKS_OFF = re.compile(
    r",\Z|\b(?:a|an|the|of|in|on|at|to|by|for|from|with|and|or|but|that|said|says|as|than|which"
    r"|who)\Z",
    re.IGNORECASE,
)
"""A comma, or a last word without a stop behind it, after which a sentence would have gone on."""


class Support(Protocol):
    """Pairs of evidence and claim into probabilities that the evidence supports the claim."""

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Shape (pairs,), each in 0..1."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A draft sentence after its check: a sentence to show, or the reason why not.

    `support` is that of the shown sentence, or the best that was found. `near` is the evidence
    that a draft without support came closest to: it may be worded again from there, or quoted.
    """

    sentence: Sentence | None
    reason: str = ""
    near: EvidenceSentence | None = None
    support: float = 0.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A draft against some evidence sentences: its support, and what speaks against it, or "".

    `quoted` says whether it is one of them word for word.
    """

    cited: tuple[EvidenceSentence, ...]
    quoted: bool
    support: float
    reason: str


def check(
    model: Support,
    draft: Draft,
    evidence: Sequence[EvidenceSentence],
    query: str,
    denies: Callable[[str, str], bool],
) -> Verdict:
    """Tie a draft to the evidence that it names, or else to the one that supports it best.

    A number that names no evidence makes the sentence unsupported as it stands; other evidence
    may still support it. The model is asked once, for all evidence. What passes and is no quotation
    must not be denied: `denies` takes the cited text and the sentence, and is asked at most once.
    """
    named = tuple(evidence[n - 1] for n in draft.numbers if 1 <= n <= len(evidence))
    if not draft.text:
        return _quote(named)
    if not evidence:
        return Verdict(None, "there is no evidence")
    first = [named] if named and len(named) == len(draft.numbers) else []
    groups = [*first, *((sentence,) for sentence in evidence if (sentence,) not in first)]
    attempts = _attempts(model, draft.text, groups, query)
    nearest = sorted(attempts, key=lambda attempt: -attempt.support)
    for attempt in (*attempts[: len(first)], *nearest):
        if not attempt.reason:
            if not attempt.quoted and denies(_read(attempt.cited), draft.text):
                return Verdict(None, _DENIED, attempt.cited[0], attempt.support)
            citations = tuple(Citation(e.article, e.start, e.end) for e in attempt.cited)
            sentence = Sentence(draft.text, citations, attempt.support)
            return Verdict(sentence, support=attempt.support)
    blamed = attempts[0] if first else nearest[0]
    return Verdict(None, blamed.reason, nearest[0].cited[0], nearest[0].support)


def _attempts(
    model: Support, text: str, groups: Sequence[tuple[EvidenceSentence, ...]], query: str
) -> list[_Attempt]:
    found = model.probabilities([(_read(cited), text) for cited in groups])
    attempts = []
    for cited, chance in zip(groups, found, strict=True):
        spans = " ".join(e.text for e in cited)
        quoted = is_quote(text, spans)
        support = 1.0 if quoted else float(chance)
        reason = _objection(text, spans, cited, query)
        if not reason and support < MIN_SUPPORT:
            reason = _UNSUPPORTED
        attempts.append(_Attempt(cited, quoted, support, reason))
    return attempts


def _read(cited: Sequence[EvidenceSentence]) -> str:
    """What the model reads: titles and years of the articles, which say who and when, and spans."""
    heads = dict.fromkeys(_head(e.article) for e in cited)
    return " ".join([*heads, *(e.text for e in cited)])


def _head(article: Article) -> str:
    title = article.title.rstrip(".")
    return f"{title}, {article.published.year}." if article.published else f"{title}."


def _objection(text: str, spans: str, cited: Sequence[EvidenceSentence], query: str) -> str:
    """What the plain checks say against a sentence, or "".

    It may repeat names of the question and of the titles, and a year of the articles' dates; what
    it says beyond the question must be in the spans, not only in a title.
    """
    known = " ".join([query, *(e.article.title for e in cited)])
    years = {e.article.published.year for e in cited if e.article.published}
    if _BREAKS_OFF.search(text):
        return "it breaks off"
    if reason := failure(text, spans, known, years):
        return reason
    asked = set(stems(query))
    words = dict.fromkeys(stems(text), 1.0)
    new = {word: 1.0 for word in words if word not in asked} or words
    read = stems(" ".join([spans, *(e.article.title for e in cited)]))
    if coverage(new, stems(spans)) < MIN_COVERAGE or coverage(words, read) <= MIN_COVERAGE:
        return "its words are not in the cited text"
    return ""


def supports(model: Support, claim: str, text: str) -> float:
    """The probability that a text supports a claim; 0.0 where a plain check speaks against it."""
    if failure(claim, text):
        return 0.0
    return 1.0 if is_quote(claim, text) else float(model.probabilities([(text, claim)])[0])


def _quote(named: Sequence[EvidenceSentence]) -> Verdict:
    """What the model pointed at, quoted, where it pointed at one thing clearly enough."""
    if 1 <= len(named) <= MAX_QUOTES:
        return Verdict(quotes(named)[0], support=1.0)
    return Verdict(None, "it points at no evidence, or at too much")


def quotes(evidence: Sequence[EvidenceSentence]) -> tuple[Sentence, ...]:
    """The evidence as an answer in its own words: the best sentences, each citing itself.

    `evidence` is sorted, best first.
    """
    best = evidence[0].score if evidence else 0.0
    return tuple(
        Sentence(" ".join(e.text.split()), (Citation(e.article, e.start, e.end),), 1.0)
        for e in evidence[:MAX_QUOTES]
        if e.score >= min(best, QUOTE_SHARE * best)
    )
