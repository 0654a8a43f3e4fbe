"""Whether two texts are one story: near-copies, as outlets make them of a wire story.

Copies are cut, get other leads and headlines, and have their paragraphs moved. Shingles are the
runs of three words; a signature of bands finds texts that may share many (`bands`), and then the
texts themselves decide (`is_copy`). A text that changes a fact of another is no copy of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from rag.quantities import Quantity, quantities

VERSION = "1"
"""Of the bands and of the decision: another one groups an archive anew."""

BANDS = 32
_ROWS = 2
"""Two texts that share a part J of their shingles have a band in common with probability
1 - (1 - J^rows)^bands: .99 at a third, .0003 at a thousandth.
"""

OVERLAP = 0.6
"""What share of the shingles of the shorter text the longer one has to have."""

_SHINGLE = 3
_LEAST_SHINGLES = 30
"""Shorter texts are none that could be told from boilerplate."""

_SHORT_CHANGE = 4
"""A change of at most so many words leaves a sentence what it was, but for a fact in it."""
_ALIKE = 0.4
"""Two longer changes that share this part of the words of the smaller one are about one thing."""
_STEADY = 6
"""Fewer words than these between two changes make them one: a sentence worded anew."""

# Letters of Chinese and Japanese stand without spaces: each counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\d+(?:[.,]\d+)*|[^\W\d]+")
CORRECTS = re.compile(r"\b(?:correct(?:s|ed|ion)|clarif(?:ies|ied|ication))\b", re.IGNORECASE)
"""What a text says that corrects another, or itself."""
_NOTE = 200
"""Characters at both ends of a text in which it may say that it corrects another."""
_NEGATION = re.compile(r"\b(?:not|no|never|nor|neither|without|\w+n['’]t)\b", re.IGNORECASE)
_EDGE = ("", "")
_SENTENCE_START = re.compile(r"(?:^|[.!?:\n])[\s\"'“”‘’(\[–—-]*\Z")
_COMPARABLE = ({"number", "ordinal", "year"}, {"weekday"}, {"day"}, {"month"}, {"clock"})


@dataclass(frozen=True)
class Wording:
    """A text as its words; what is derived from them is kept."""

    text: str
    title: str = ""

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return [match.span() for match in _WORD.finditer(self.text)]

    @cached_property
    def words(self) -> list[str]:
        """The words as they stand."""
        return _WORD.findall(self.text)

    @cached_property
    def lower(self) -> list[str]:
        """The words in lower case."""
        return [word.lower() for word in self.words]

    @cached_property
    def names(self) -> frozenset[str]:
        """The words that stand in upper case where no sentence begins, and never in lower case."""
        found = {
            self.text[start:end]
            for start, end in self._spans
            if self.text[start].isupper()
            and not _SENTENCE_START.search(self.text, max(0, start - 4), start)
        }
        return frozenset(found - {word.capitalize() for word in self.words if word.islower()})

    @cached_property
    def known(self) -> frozenset[str]:
        """The words that occur, in lower case."""
        return frozenset(self.lower)

    @cached_property
    def runs(self) -> list[str]:
        """The shingle that begins at each word that has enough words after it."""
        words = (self.lower[n:] for n in range(_SHINGLE))
        return [" ".join(run) for run in zip(*words, strict=False)]

    @cached_property
    def shingles(self) -> frozenset[str]:
        """All shingles."""
        return frozenset(self.runs)

    @cached_property
    def corrects(self) -> bool:
        """Whether it says, in its title or at an end, that it corrects."""
        ends = (self.title, self.text[:_NOTE], self.text[-_NOTE:])
        return any(CORRECTS.search(part) for part in ends)

    def part(self, first: int, last: int) -> str:
        """The text of the words `first` to `last`, the last one not included."""
        if first >= last:
            return ""
        return self.text[self._spans[first][0] : self._spans[last - 1][1]]


def bands(wording: Wording) -> list[int]:
    """One number per band, 63 bits each and none of two bands equal; none for a short text.

    MinHash (Broder 1997) in bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4).
    """
    from datasketch import MinHash

    if len(wording.shingles) < _LEAST_SHINGLES:
        return []
    sketch = MinHash(BANDS * _ROWS, seed=1)
    sketch.update_batch([shingle.encode() for shingle in wording.shingles])
    values = [int(value) for value in sketch.hashvalues]
    return [_folded(band, *values[band * _ROWS : (band + 1) * _ROWS]) for band in range(BANDS)]


def _folded(band: int, first: int, second: int) -> int:
    """Two hashes of 32 bits and the number of their band as one number of 63 bits."""
    return (band << 58) | ((first & 0x1FFFFFFF) << 29) | (second & 0x1FFFFFFF)


def overlap(a: Wording, b: Wording) -> float:
    """The share of the shingles of the shorter text that the other one has, in 0..1."""
    smaller = min(len(a.shingles), len(b.shingles))
    return len(a.shingles & b.shingles) / smaller if smaller else 0.0


def resemblance(a: Wording, b: Wording) -> float:
    """The share of all shingles that both texts have, in 0..1."""
    shared = len(a.shingles & b.shingles)
    return shared / ((len(a.shingles) + len(b.shingles) - shared) or 1)


def is_copy(a: Wording, b: Wording) -> bool:
    """Whether one text copies the other, perhaps cut or edited, without a changed fact."""
    return overlap(a, b) >= OVERLAP and not is_corrected(a, b)


def is_corrected(a: Wording, b: Wording) -> bool:
    """Whether one of two near-copies changes a fact of the other.

    It says so, or where the same words stand around, a figure, a date or a name is another one, or
    a negation came in or went. A passage worded anew may drop facts or add some: there, what only
    one of both has counts if the other one has it nowhere else.
    """
    if a.corrects != b.corrects:
        return True
    shared = a.shingles & b.shingles
    ours, theirs = _changes(a, shared), _changes(b, shared)
    if any(
        _is_aligned(a, around, change, b, place, other) and _differ(a, change, b, other)
        for around, change in ours.items()
        for place, other in theirs.items()
    ):
        return True
    return _negated(a, ours, theirs, b) or _negated(b, theirs, ours, a)


_Range = tuple[int, int]
"""Words by number: the first one, and the one after the last."""

_Around = tuple[tuple[str, str], tuple[str, str]]
"""The two words before a change and the two after it; empty ones at the ends of a text."""


def _changes(text: Wording, shared: frozenset[str]) -> dict[_Around, _Range]:
    """The words that are in no shared shingle, as (first, end) by what stands around them."""
    kept = [False] * len(text.words)
    for i, shingle in enumerate(text.runs):
        if shingle in shared:
            kept[i : i + _SHINGLE] = [True] * _SHINGLE
    ranges: list[_Range] = []
    for i in (i for i, is_kept in enumerate(kept) if not is_kept):
        if ranges and i - ranges[-1][1] < _STEADY:
            ranges[-1] = (ranges[-1][0], i + 1)
        else:
            ranges.append((i, i + 1))
    return {_around(text.lower, first, end): (first, end) for first, end in ranges}


def _around(words: list[str], first: int, end: int) -> _Around:
    before = (words[first - 2], words[first - 1]) if first >= 2 else _EDGE
    after = (words[end], words[end + 1]) if end + 2 <= len(words) else _EDGE
    return before, after


def _is_aligned(
    a: Wording, around: _Around, ours: _Range, b: Wording, place: _Around, theirs: _Range
) -> bool:
    """Whether two changes stand in one place, or say much in the same words."""
    if around[0] == place[0] or around[1] == place[1]:
        return True
    mine, other = set(a.lower[slice(*ours)]), set(b.lower[slice(*theirs)])
    least = min(len(mine), len(other))
    return least > _SHORT_CHANGE and len(mine & other) >= _ALIKE * least


def _differ(a: Wording, ours: _Range, b: Wording, theirs: _Range) -> bool:
    """Whether one change states another fact than the other in its place."""
    is_short = max(ours[1] - ours[0], theirs[1] - theirs[0]) <= _SHORT_CHANGE
    mine, other = quantities(a.part(*ours)), quantities(b.part(*theirs))
    for kinds in _COMPARABLE:
        is_exact = is_short or "number" not in kinds  # else any text has the same few values
        left = [q for q in mine if q.kind in kinds and _is_alone(q, other, None if is_exact else b)]
        right = [
            q for q in other if q.kind in kinds and _is_alone(q, mine, None if is_exact else a)
        ]
        if left and right:
            return True
    names, others = _names(a, ours), _names(b, theirs)
    return is_short and bool(names - others) and bool(others - names)


def _is_alone(one: Quantity, others: tuple[Quantity, ...], text: Wording | None) -> bool:
    """Whether the other change lacks a quantity, and its text, if given, has it nowhere."""
    if any(one.equals(q) or q.equals(one) for q in others):
        return False
    written = (match.group().lower() for match in _WORD.finditer(one.text))
    return text is None or not all(word in text.known for word in written)


def _names(text: Wording, change: _Range) -> set[str]:
    """The names in a change; a byline at an end of the text has none that matter."""
    if change[0] < 2 or change[1] + 2 > len(text.words):
        return set()
    return {text.words[i] for i in range(*change) if text.words[i] in text.names}


def _negated(
    text: Wording,
    ours: dict[_Around, _Range],
    theirs: dict[_Around, _Range],
    other: Wording,
) -> bool:
    """Whether a short change has a negation that is lacking where the other text says the same."""
    joined = None
    for around, change in ours.items():
        if change[1] - change[0] > _SHORT_CHANGE or not _NEGATION.search(text.part(*change)):
            continue
        if around in theirs:
            if not _NEGATION.search(other.part(*theirs[around])):
                return True
            continue
        if joined is None:
            joined = {tuple(other.lower[i : i + 4]) for i in range(len(other.lower) - 3)}
        if (*around[0], *around[1]) in joined:
            return True
    return False
