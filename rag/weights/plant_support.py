"""True sentences changed by rule: planted errors, and shortened or reworded ones that stay true.

They make negatives and positives for the support model from any article, and measure how many
errors the check catches. Every change is drawn with a seed, so that a run can be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
NAMES = (
    "Martin Hale", "Priya Nair", "Oslo", "Kenya", "Denver", "Laura Benitez", "Portugal",
    "Thomas Wren", "Manila", "Northgate Bank", "Helena", "Argentina", "Grace Okafor", "Leeds",
)  # fmt: skip

_NUMBER = re.compile(r"(?<![\w.,-])\d+(?:,\d{3})*(?:\.\d+)?(?![\w,.-]*\d)")
_NUMBER_WORD = re.compile(r"\b(two|three|four|five|six|seven|eight|nine|ten|dozen|hundred)\b")
_SCALE = re.compile(
    r"\b(thousand|million|billion|trillion|minutes|hours|days|weeks|months|years)\b"
)
_BOUND = re.compile(
    r"\b([Mm]ore than|[Ll]ess than|[Aa]t least|[Aa]t most|[Oo]ver|[Uu]nder)(?= [$£€]?\d)"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DAY = re.compile(rf"\b(?:{'|'.join(WEEKDAYS)})\b")
_MONTH = re.compile(rf"\b(?:{'|'.join(m for m in MONTHS if m != 'May')})\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?:[ -][A-Z][a-z]+){0,3}\b")
_NO_NAMES = {
    *WEEKDAYS, *(f"{day}s" for day in WEEKDAYS), *MONTHS, *(month[:3] for month in MONTHS),
    "Sept", "St", "Dr", "Mr", "Mrs", "Ms", "Rep", "Sen", "Gov", "No",
}  # fmt: skip
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|will|would|can|could|should|has|have|had|does|did|may|might|must)\b"
    r"(?! (?:not|never|no|none|nothing)\b)(?!n[’'])"
)
_NOT = re.compile(r" (?:not|never)\b(?![,-]| (?:only|just|the)\b)")
_SAYS = r"(?:said|says|told [A-Z]\w+|added|claimed|argued|believes?|alleged|warned|suggested)"
_SAID_FIRST = re.compile(rf"^[^,“\"]{{3,60}}? {_SAYS} (?:that )?(?P<rest>[^“\"]{{25,}})$")
_SAID_LAST = re.compile(
    rf"^(?P<rest>[^“\"]{{25,}}), (?P<who>(?:according to [^,]{{3,60}}|[^,]{{3,60}} {_SAYS}))\.$"
)
_POSSIBLE = re.compile(
    r"\b(?:may|might|could|plans? to|hopes? to|is expected to|are expected to)\b"
)
_OPPOSITES = (
    ("rose", "fell"), ("won", "lost"), ("increased", "decreased"), ("increase", "decrease"),
    ("approved", "rejected"), ("before", "after"), ("more", "fewer"), ("first", "last"),
    ("higher", "lower"), ("guilty", "innocent"), ("opened", "closed"), ("up", "down"),
    ("supported", "opposed"), ("began", "ended"), ("bought", "sold"), ("accepted", "refused"),
    ("largest", "smallest"), ("arrived", "left"), ("win", "lose"), ("gained", "lost"),
)  # fmt: skip
_SWAP = {a: b for pair in _OPPOSITES for a, b in (pair, pair[::-1])}
_OPPOSITE = re.compile(rf"\b(?:{'|'.join(_SWAP)})\b")
_OTHER_SCALE = {
    "thousand": "million", "million": "billion", "billion": "million", "trillion": "billion",
    "minutes": "hours", "hours": "days", "days": "weeks", "weeks": "months", "months": "years",
    "years": "months",
}  # fmt: skip
_OTHER_BOUND = {
    "more than": "less than", "less than": "more than", "at least": "at most",
    "at most": "at least", "over": "under", "under": "over",
}  # fmt: skip

Change = Callable[[str, Random, Sequence[str]], str | None]


def plant(sentence: str, seed: int, names: Sequence[str] = NAMES) -> list[tuple[str, str]]:
    """One planted error of each kind that the sentence has room for, as (kind, changed sentence).

    Kinds are number, date, name and negation. A replaced name is drawn from `names`.
    """
    random = Random(f"{seed}:{sentence}")
    found = ((kind, change(sentence, random, names)) for kind, change in _CHANGES.items())
    return [(kind, changed) for kind, changed in found if changed and changed != sentence]


def unattributed(sentence: str) -> str | None:
    """The sentence without who said it, or with a possibility made a fact; None if it has none."""
    for pattern in (_SAID_FIRST, _SAID_LAST):
        if match := pattern.match(sentence):
            return _capital(match["rest"].rstrip(".")) + "."
    match = _POSSIBLE.search(sentence)
    return _replace(sentence, match, "will") if match else None


def true_variants(sentence: str) -> list[str]:
    """The sentence without an aside, or reworded lightly: each still true, none the same."""
    variants = (make(sentence) for make in _TRUE)
    return [variant for variant in variants if variant and variant != sentence]


def _number(sentence: str, random: Random, _: Sequence[str]) -> str | None:
    makers: list[tuple[re.Match[str], str]] = []
    for match in _NUMBER.finditer(sentence):
        if not _YEAR.fullmatch(match[0]):
            makers.append((match, _other_number(match[0], random)))
    for match in _NUMBER_WORD.finditer(sentence):
        words = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]
        makers.append((match, random.choice([w for w in words if w != match[0]])))
    makers.extend((m, _OTHER_SCALE[m[0]]) for m in _SCALE.finditer(sentence))
    makers.extend((m, _OTHER_BOUND[m[0].lower()]) for m in _BOUND.finditer(sentence))
    if not makers:
        return None
    match, other = random.choice(makers)
    return _replace(sentence, match, _capital(other) if match[0][0].isupper() else other)


def _other_number(number: str, random: Random) -> str:
    value = float(number.replace(",", ""))
    other = random.choice([value * 10, value + random.randint(1, 9), value * 2 + 1])
    decimals = len(number.partition(".")[2])
    return f"{other:,.{decimals}f}" if "," in number or other >= 10_000 else f"{other:.{decimals}f}"


def _date(sentence: str, random: Random, _: Sequence[str]) -> str | None:
    makers: list[tuple[re.Match[str], str]] = []
    for pattern, names in ((_DAY, WEEKDAYS), (_MONTH, MONTHS)):
        for match in pattern.finditer(sentence):
            makers.append((match, random.choice([n for n in names if n != match[0]])))
    for match in _YEAR.finditer(sentence):
        makers.append((match, str(int(match[0]) + random.choice([-11, -3, -2, -1, 1, 2, 4]))))
    if not makers:
        return None
    match, other = random.choice(makers)
    return _replace(sentence, match, other)


def _name(sentence: str, random: Random, names: Sequence[str]) -> str | None:
    found = [m for m in _NAME.finditer(sentence) if not set(m[0].split()) & _NO_NAMES]
    others = [n for n in names if not any(part in sentence for part in n.split())]
    if not found:
        return None
    match = random.choice(found)
    own = [m for m in found if m[0] not in match[0] and match[0] not in m[0]]
    if own and random.random() < 0.4:
        return _replace(sentence, match, random.choice(own)[0])
    return _replace(sentence, match, random.choice(others)) if others else None


def _negation(sentence: str, random: Random, _: Sequence[str]) -> str | None:
    if match := _NOT.search(sentence):
        return _replace(sentence, match, "")
    makers = [(m, f"{m[0]} not") for m in _AUXILIARY.finditer(sentence)]
    makers.extend((m, _SWAP[m[0]]) for m in _OPPOSITE.finditer(sentence))
    if not makers:
        return None
    match, other = random.choice(makers)
    return _replace(sentence, match, other)


_CHANGES: dict[str, Change] = {
    "number": _number,
    "date": _date,
    "name": _name,
    "negation": _negation,
}


def _without_relative(sentence: str) -> str | None:
    return re.sub(
        r", (?:who|which|where)\b[^,.;“\"]{8,120}(?:,(?!\d)|(?=\.$))", "", sentence, count=1
    )


def _without_apposition(sentence: str) -> str | None:
    match = re.search(r"(?<=[a-z]), (?:an?|the) [^,.;“\"]{5,80}, (?=[a-z])", sentence)
    aside = match is not None and not re.search(rf"\b{_SAYS}\b", match[0])
    return _replace(sentence, match, " ") if match and aside else None


def _without_brackets(sentence: str) -> str | None:
    return re.sub(r" \([^)]{2,80}\)", "", sentence)


def _without_adverb(sentence: str) -> str | None:
    return re.sub(
        r"(?<=[a-z] )(?!only|nearly|family|early|July|likely)[a-z]{3,}ly (?=[a-z])",
        "",
        sentence,
        count=1,
    )


def _without_opening(sentence: str) -> str | None:
    match = re.match(
        r"(?:(?:In|On|At|After|During)\b[^,.“\"]{0,60}|Meanwhile|However|Still), (.{30,})",
        sentence,
    )
    return _capital(match[1]) if match else None


def _said_first(sentence: str) -> str | None:
    match = _SAID_LAST.match(sentence)
    if not match:
        return None
    rest = match["rest"]
    rest = (
        rest[0].lower() + rest[1:]
        if re.match(r"(?:The|A|An|It|He|She|They|In|On) ", rest)
        else rest
    )
    if match["who"].startswith("according to"):
        return f"{_capital(match['who'])}, {rest}."
    return f"{_capital(match['who'])} that {rest}."


def _said_last(sentence: str) -> str | None:
    match = re.match(r"^([A-Z][^,“\"]{3,40}?) said (?:that )?([^,“\"]{25,})\.$", sentence)
    if not match:
        return None
    who = match[1]
    lowered = who[0].lower() + who[1:] if who.split()[0] in {"The", "A", "An"} else who
    return f"According to {lowered}, {match[2]}."


def _units(sentence: str) -> str | None:
    for old, new in (("%", " percent"), (" percent", "%"), ("n’t ", " not "), ("n't ", " not ")):
        irregular = re.search(rf"\b(?:ca|wo){old}", sentence)
        if re.search(rf"\w{old}", sentence) and not irregular:
            return sentence.replace(old, new)
    return None


_TRUE = (
    _without_relative,
    _without_apposition,
    _without_brackets,
    _without_adverb,
    _without_opening,
    _said_first,
    _said_last,
    _units,
)


def _replace(sentence: str, match: re.Match[str], other: str) -> str:
    return sentence[: match.start()] + other + sentence[match.end() :]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
