"""Where articles answer a question with different figures: both are shown, dated, the later first.

What two articles say must be about the same thing, and the question says which: only figures that
the reader takes for its answer, in passages that it finds relevant, are compared. A false alarm is
worse than none, so what may be one figure, rounded or with its bound left out, is no dispute.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.copies import CORRECTS
from rag.passages import split_sentences
from rag.quantities import Quantity, quantities
from rag.retrieve import Found, Window, sigmoid
from rag.tokens import stem_of
from rag.types import Citation, Dispute, Sentence
from rag.words import stems

MIN_RELEVANCE = 0.3
MIN_PHRASE = 0.5
"""The least probabilities that a window is relevant, and that its phrase answers."""

MIN_SAID = 0.4
MIN_COVERED = 0.6
"""The least shares of the question's stems that the sentence, and it with its title, must have.

A sentence that says what is not so may be short: "212 homes, not 312".
"""

MAX_DISPUTES = 2

ROUNDING = 0.05
"""Figures that differ by no more than this share may be one, rounded."""

_ASKS = re.compile(
    r"\b(?:how (?:many|much|long|far|high|old|fast|tall|large|big|deep|heavy|wide|often|soon)"
    r"|number|count|percent|percentage|share|cost|costs|price|toll|total|amount|size|age|length"
    r"|when|(?:what|which) (?:day|date|year|time))\b",
    re.IGNORECASE,
)
_MEASURES = frozenset(["how", "many", "much", "long", "far", "high", "old", "fast", "number"])
_WORD = re.compile(r"[^\W\d_]+")
_DENIAL = re.compile(r"\bnot (?:the )?[\d$€£]")
_NEXT = re.compile(r"[\s-]+(?:(?:the|of|more|new|different|other)\s+)*([^\W\d_]+)")


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure that answers the question, in its sentence; `thing` is the word behind it."""

    citation: Citation
    quantity: Quantity
    thing: str
    chance: float

    @property
    def text(self) -> str:
        """The figure with its bound and its thing, as it stands in the sentence."""
        return self.quantity.text


def disputes(query: str, found: Sequence[Found], shown: Sequence[Sentence]) -> tuple[Dispute, ...]:
    """What other articles say against a figure of the sentences that are shown, if anything."""
    if not _ASKS.search(query):
        return ()
    words = (word for word in _WORD.findall(query) if word.lower() not in _MEASURES)
    asked = frozenset(filter(None, map(stem_of, words)))
    figures = [figure for figure in _figures(found) if _meets(asked, figure)]
    figures.sort(key=lambda figure: -figure.chance)
    cited = {(c.article.id, c.start, c.end) for sentence in shown for c in sentence.citations}
    ours = next((f for f in figures if _place(f.citation) in cited), None)
    if ours is None:
        return ()
    told = {ours.citation.article.id}
    found_disputes = []
    for other in figures:
        if other.citation.article.id not in told and _differ(ours, other):
            told.add(other.citation.article.id)
            found_disputes.append(_dispute(ours, other))
    return tuple(found_disputes[:MAX_DISPUTES])


def _meets(asked: frozenset[str], figure: _Figure) -> bool:
    quote, title = figure.citation.quote, figure.citation.article.title
    said = asked & set(stems(quote))
    covered = said | asked & set(stems(title))
    enough = _DENIAL.search(quote) is not None or len(said) >= MIN_SAID * len(asked)
    return enough and len(covered) >= MIN_COVERED * len(asked)


def _place(citation: Citation) -> tuple[str, int, int]:
    return citation.article.id, citation.start, citation.end


def _figures(found: Sequence[Found]) -> Iterator[_Figure]:
    for window in (window for one in found for window in one.windows):
        if window.phrases and sigmoid(window.relevance) >= MIN_RELEVANCE:
            start, end, score = window.phrases[0]
            if sigmoid(score) >= MIN_PHRASE:
                yield from _figure(window, start, end, sigmoid(score))


def _figure(window: Window, start: int, end: int, chance: float) -> Iterator[_Figure]:
    """The one figure of a phrase; none where it has several, or no date to set it against."""
    text = window.article.text
    for span in split_sentences(text, window.start, window.end):
        if not (span.start <= start and end <= span.end) or window.article.published is None:
            continue
        sentence = text[span.start : span.end]
        inside = [
            q
            for q in quantities(sentence)
            if q.start < end - span.start and start - span.start < q.end
        ]
        if len(inside) == 1 and inside[0].kind in {"number", "day", "year"}:
            quantity = _held(sentence, inside[0])
            after = _NEXT.match(sentence, quantity.end)
            thing = next(iter(stems(after[1])), "") if after else ""
            citation = Citation(window.article, span.start, span.end)
            yield _Figure(citation, quantity, quantity.unit or thing, chance)


def _held(sentence: str, quantity: Quantity) -> Quantity:
    """The quantity, or the one that holds in its place where the sentence says that it does not."""
    if not _DENIAL.search(sentence[: quantity.end]) or not _is_denied(sentence, quantity):
        return quantity
    before = [q for q in quantities(sentence[: quantity.start]) if q.kind == quantity.kind]
    alike = [q for q in before if q.unit == quantity.unit or not quantity.unit]
    return alike[-1] if alike else quantity


def _is_denied(sentence: str, quantity: Quantity) -> bool:
    return re.search(r"\bnot(?: the)?\s*\Z", sentence[: quantity.start]) is not None


def _differ(ours: _Figure, other: _Figure) -> bool:
    """Whether two figures are of one kind and thing, and cannot both hold."""
    a, b = ours.quantity, other.quantity
    if a.kind != b.kind or a.unit != b.unit or not _one_thing(ours, other):
        return False
    if a.kind == "number":
        close = abs(a.value - b.value) <= ROUNDING * max(abs(a.value), abs(b.value))
        if close or _holds(a, b) or _holds(b, a):
            return False
    elif a.equals(b):
        return False
    return (not _names(ours, b) and not _names(other, a)) or _denies(ours, b) or _denies(other, a)


def _one_thing(ours: _Figure, other: _Figure) -> bool:
    """Whether both count the same; what stands without a thing, "at 6,700", must name it before."""
    if ours.thing and other.thing:
        return ours.thing == other.thing
    bare, full = (ours, other) if not ours.thing else (other, ours)
    return bool(full.thing) and full.thing in stems(bare.citation.quote[: bare.quantity.start])


def _holds(bound: Quantity, other: Quantity) -> bool:
    """Whether a figure lies within another's bound and near it: "over 1,000" and 1,100."""
    ratio = other.value / bound.value if bound.value else 0.0
    return (bound.bound == ">" and 1 <= ratio <= 1.3) or (bound.bound == "<" and 0.7 <= ratio <= 1)


def _names(figure: _Figure, value: Quantity) -> bool:
    """Whether the sentence gives the other figure, too: then it knows of both."""
    return any(q.kind == value.kind and q.equals(value) for q in quantities(figure.citation.quote))


def _denies(figure: _Figure, value: Quantity) -> bool:
    """Whether the sentence says that the other figure is not so: "212 homes, not 312"."""
    quote = figure.citation.quote
    return any(q.equals(value) and _is_denied(quote, q) for q in quantities(quote))


def _dispute(ours: _Figure, other: _Figure) -> Dispute:
    def day(figure: _Figure) -> int:
        published = figure.citation.article.published
        return published.toordinal() if published else 0

    earlier, later = sorted((ours, other), key=day)
    corrects = day(earlier) < day(later) and (
        _denies(later, earlier.quantity)
        or CORRECTS.search(later.citation.article.title) is not None
    )
    return Dispute(later.citation, earlier.citation, (later.text, earlier.text), corrects)
