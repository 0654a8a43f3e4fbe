"""Plain checks of one sentence against the text that it cites: what a model reads over.

Numbers with their units and bounds, dates, names, negation, opposites, and who said it. Each check
is deterministic and gives its reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from rag.passages import split_sentences
from rag.quantities import Quantity, quantities
from rag.tokens import Token, content, name_words, ordinary_words, tokens, words_of
from rag.wording import attribution, negation, opposite, opposite_side

Kind = Literal["number", "date", "name", "negation", "attribution"]
KINDS: tuple[Kind, ...] = ("number", "date", "name", "negation", "attribution")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a claim that the cited text does not bear out, with the reason in words."""

    kind: Kind
    reason: str


def findings(
    claim: str, text: str, known: str = "", years: Collection[int] = ()
) -> Iterator[Finding]:
    """What speaks against the claim, most telling first; nothing where it passes every check.

    `known` is text whose names the claim may repeat (the question, the titles of the articles); it
    gives no numbers and no facts. `years` may be named too: those in which the articles appeared.
    """
    if is_quote(claim, text):
        return
    ordinary = ordinary_words(claim, text, known)
    said, cited = tokens(claim, ordinary), tokens(text, ordinary)
    yield from _quantities(claim, text, years)
    yield from _names(said, text, known)
    yield from _misplaced(said, cited)
    yield from _borrowed(said, cited, known)
    yield from (Finding("number", reason) for reason in _wrong_rows(said, cited))
    if reason := negation(said, cited) or opposite(said, cited):
        yield Finding("negation", reason)
    if reason := attribution(said, cited):
        yield Finding("attribution", reason)


def failure(claim: str, text: str, known: str = "", years: Collection[int] = ()) -> str:
    """The first finding's reason, or "" for a claim that passes every check."""
    return next((finding.reason for finding in findings(claim, text, known, years)), "")


def is_quote(claim: str, text: str) -> bool:
    """Whether the claim is the text or one of its sentences, word for word."""
    sentences = (text[s.start : s.end] for s in split_sentences(text))
    return _plain(claim) in {_plain(text), *map(_plain, sentences)}


def features(claim: str, text: str) -> list[float]:
    """The share of the claim's words that the text has, then 1 or 0 for a finding of each kind."""
    ordinary = ordinary_words(claim, text)
    words = content(tokens(claim, ordinary))
    covered = len(words & content(tokens(text, ordinary))) / len(words) if words else 1.0
    found = {finding.kind for finding in findings(claim, text)}
    return [covered, *(float(kind in found) for kind in KINDS)]


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _quantities(claim: str, text: str, years: Collection[int]) -> Iterator[Finding]:
    cited = quantities(text)
    for quantity in quantities(claim):
        equal = [other for other in cited if _same_value(quantity, other)]
        kind: Kind = "date" if quantity.is_date else "number"
        if not equal:
            if quantity.kind == "year" and int(quantity.value) in years:
                continue
            if quantity.value == 1 and " one " in f" {text.lower()} ":
                continue
            yield Finding(kind, f"the {kind} {quantity.text} is not in the cited text")
        elif not any(_same_unit(quantity, other) for other in equal):
            yield Finding(kind, f"the cited text has {equal[0].text}, not {quantity.text}")
        elif not any(_same_bound(quantity, o) for o in equal if _same_unit(quantity, o)):
            yield Finding(kind, f"the bound of {quantity.text} differs from the cited text")


def _same_value(quantity: Quantity, other: Quantity) -> bool:
    if quantity.kind in {"number", "ordinal"} and other.kind == "day":
        return quantity.value == other.value % 100
    return quantity.equals(other)


def _same_unit(quantity: Quantity, other: Quantity) -> bool:
    return not quantity.unit or not other.unit or quantity.unit == other.unit


def _same_bound(quantity: Quantity, other: Quantity) -> bool:
    """A bound may be left out ("1,000" for "over 1,000"), but none may be added or turned round."""
    return quantity.bound in {"", "~", other.bound}


def _names(said: Sequence[Token], text: str, known: str) -> Iterator[Finding]:
    """Each word of a name must be in the text or be known; initials may stand for a name."""
    here = {*name_words(text), *name_words(known)}
    initials = {
        _initials(token.text) for token in tokens(f"{text}\n{known}") if token.mask == "name"
    }
    for token in said:
        missing = [part for part in token.parts if part not in here and len(part) > 1]
        if token.mask != "name" or not missing:
            continue
        short = token.text.replace(".", "")
        if short not in initials and _initials(token.text).lower() not in here:
            yield Finding("name", f"the name {token.text} is not in the cited text")


def _borrowed(said: Sequence[Token], cited: Sequence[Token], known: str) -> Iterator[Finding]:
    """A name that is known but not in the text, where the text tells of another name instead.

    The last word of a name stands for it, as "Heche" for "Anne Heche".
    """
    given = set(name_words(known))
    here = {part for token in cited for part in token.parts}
    spoken = {part for token in said if token.mask == "name" for part in token.parts}
    others = [t for t in cited if t.mask == "name" and not spoken.intersection(t.parts)]
    for token in said if others else ():
        if token.mask == "name" and token.parts and token.parts[-1] in given - here:
            yield Finding("name", f"the cited text tells of {others[0].text}, not {token.text}")


def _initials(name: str) -> str:
    capitals = "".join(word[0] for word in name.split() if word[0].isupper())
    return capitals if len(capitals) > 1 else "-"


def _misplaced(said: Sequence[Token], cited: Sequence[Token]) -> Iterator[Finding]:
    """Names, quantities and opposites that stand where the text has another one.

    Both texts are aligned with those units masked, so that "Kim told Putin" meets "Putin told Kim".
    """
    matcher = SequenceMatcher(None, [_key(t) for t in said], [_key(t) for t in cited], False)
    for first, other, size in matcher.get_matching_blocks():
        block = said[first : first + size]
        if size < 3 or not any(token.stem for token in block):
            continue
        for n in range(size):
            ours, theirs = said[first + n], cited[other + n]
            if _same(ours, theirs) or _stands_elsewhere(said, first + n, cited, other + n):
                continue
            kind: Kind = "negation" if not ours.mask else ours.mask
            yield Finding(kind, f"the cited text has {theirs.text} there, not {ours.text}")


def _key(token: Token) -> str:
    if token.mask:
        return f"<{token.mask}>"
    side = opposite_side(token.lower)
    return f"<{side[0]}>" if side else token.lower


def _same(ours: Token, theirs: Token) -> bool:
    if ours.mask != theirs.mask:
        return False
    if ours.mask == "name":
        a, b = set(ours.parts), set(theirs.parts)
        return (
            a <= b
            or b <= a
            or bool({_initials(ours.text), _initials(theirs.text)} & {ours.text, theirs.text})
        )
    if ours.quantity and theirs.quantity:
        return _same_value(ours.quantity, theirs.quantity) or _same_value(
            theirs.quantity, ours.quantity
        )
    return opposite_side(ours.lower) == opposite_side(theirs.lower)


def _stands_elsewhere(said: Sequence[Token], at: int, cited: Sequence[Token], there: int) -> bool:
    """Whether the unit stands elsewhere in the text by the same word, or in one list with it."""
    if not said[at].mask:
        return any(token.lower == said[at].lower for token in cited)
    places = [n for n, token in enumerate(cited) if _same(said[at], token)]
    if sum(_same(said[at], token) for token in said) > len(places):
        return False  # it stands once too often
    before, after = _neighbours(said, at)
    for n in places:
        left, right = _neighbours(cited, n)
        if (before and before == left) or (after and after == right):
            return True
        if n < there and _closes_aside(cited, n, there):
            return True
        between = cited[min(n, there) + 1 : max(n, there)]
        if not any(t.stem for t in between):
            return True
    return False


def _closes_aside(cited: Sequence[Token], at: int, there: int) -> bool:
    """Whether `there` ends an aside behind `at`: "Hale, a nurse from Leeds, said"."""
    follows = there + 1 < len(cited) and cited[there + 1].clause > cited[there].clause
    return (
        follows
        and cited[at].sentence == cited[there + 1].sentence
        and cited[at].clause < cited[at + 1].clause
    )


def _neighbours(part: Sequence[Token], at: int) -> tuple[str, str]:
    """The nearest content words before and after a token in its sentence, or ""."""
    left = next((words_of(t)[-1] for t in reversed(part[max(0, at - 4) : at]) if words_of(t)), "")
    right = next((words_of(t)[0] for t in part[at + 1 : at + 5] if words_of(t)), "")
    return left, right


def _wrong_rows(said: Sequence[Token], cited: Sequence[Token]) -> Iterator[str]:
    """Quantities that the text gives for something else: "45 minutes" of Saturdays for weekdays.

    The clause of the text that has the quantity must share a word with the claim, unless no clause
    with a rival quantity does.
    """
    stated = content(said)
    for token in said:
        if token.quantity is None:
            continue
        own = [t for t in cited if t.quantity and _same(token, t) and t.mask == token.mask]
        if len(own) != 1:
            continue
        for rival in cited:
            if not _rivals(token, own[0], rival, said):
                continue
            ours, theirs = _row(cited, own[0]), _row(cited, rival)
            front = [t for t in ours if t.start < own[0].start]
            if not content(front):  # it shares the subject of the clause before
                theirs = [t for t in theirs if t.start > rival.start]
            if stated & (content(theirs) - content(ours)) and not stated & (
                content(ours) - content(theirs) - {*words_of(own[0])}
            ):
                yield f"the cited text gives {rival.text} for this, not {token.text}"
                break


def _rivals(token: Token, own: Token, rival: Token, said: Sequence[Token]) -> bool:
    if rival.quantity is None or own.quantity is None or rival.mask != token.mask:
        return False
    return (
        rival.clause != own.clause
        and rival.quantity.kind == own.quantity.kind
        and rival.quantity.unit == own.quantity.unit
        and not any(t.quantity and _same(t, rival) for t in said)
    )


def _row(cited: Sequence[Token], token: Token) -> list[Token]:
    return [t for t in cited if t.clause == token.clause and t.sentence == token.sentence]
