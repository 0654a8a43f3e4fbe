"""Numbers, dates and clock times as they stand in news English, with their units and bounds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["number", "ordinal", "clock", "weekday", "month", "day", "year"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity at `start:end` of a text.

    `value` is the number itself, minutes since midnight for a clock time, and for a day of a month
    100 * month + day. `unit` and `bound` are empty where none is stated; a bound is ">",
    "<" or "~".
    """

    kind: Kind
    value: float
    start: int
    end: int
    text: str
    unit: str = ""
    bound: str = ""

    @property
    def is_date(self) -> bool:
        """Whether it is a part of a date."""
        return self.kind in {"weekday", "month", "day", "year"}

    def equals(self, other: Quantity) -> bool:
        """Whether both have one value; a month is also met by a day in it."""
        if self.kind == "month" and other.kind == "day":
            return self.value == other.value // 100
        if self.kind == "clock" or other.kind == "clock":
            return self.kind == other.kind and _one_time(self, other)
        plain = {self.kind, other.kind} <= {"number", "ordinal", "year"}
        close = abs(self.value - other.value) <= 1e-9 * max(abs(self.value), 1.0)
        return close and (self.kind == other.kind or (plain and "ordinal" not in {self.kind}))


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_RANKS = (
    "first", "second", "third", "fourth", "fifth", "sixth",
    "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)  # fmt: skip
_WORDS = {w: n for n, w in enumerate(_ONES)} | {w: 10 * n for n, w in enumerate(_TENS, 2)}
_ORDINALS = {word: n for n, word in enumerate(_RANKS, 1)}
_SCALES = {
    "dozen": 12, "hundred": 100, "thousand": 1e3, "million": 1e6, "billion": 1e9,
    "trillion": 1e12, "k": 1e3, "m": 1e6, "mn": 1e6, "bn": 1e9, "tn": 1e12,
}  # fmt: skip
_UNITS = {
    r"%|percent|per cent|pct": "%", r"percentage points?|points?": "points",
    r"seconds?|secs?": "seconds", r"minutes?|mins?": "minutes", r"hours?|hrs?": "hours",
    r"days?": "days", r"weeks?": "weeks", r"months?": "months", r"years?": "years",
    r"decades?": "decades", r"miles?": "miles", r"kilomet(?:er|re)s?|km": "kilometres",
    r"met(?:er|re)s?": "metres", r"feet|foot|ft": "feet", r"inch(?:es)?": "inches",
    r"acres?": "acres", r"hectares?": "hectares", r"tons?|tonnes?": "tons",
    r"kilograms?|kilos?|kg": "kilograms", r"grams?": "grams", r"lit(?:er|re)s?": "litres",
    r"gallons?": "gallons", r"degrees?": "degrees", r"dollars?": "$", r"euros?": "€",
    r"pounds?": "£",
}  # fmt: skip
_BOUNDS = {
    ">": "more than|over|above|exceeding|in excess of|at least|no (?:fewer|less) than|upwards of"
    "|greater than|higher than|longer than|older than|not less than|a minimum of|topped|exceeded",
    "<": "less than|fewer than|under|below|at most|up to|no more than|not more than|nearly|almost"
    "|just shy of|lower than|shorter than|younger than|as (?:many|much) as|a maximum of",
    "~": "about|around|roughly|approximately|some|an estimated|estimated",
}
_BEFORE = re.compile(
    rf"\b(?:(?P<more>{_BOUNDS['>']})|(?P<less>{_BOUNDS['<']})|(?P<near>{_BOUNDS['~']}))"
    r"(?: (?:the|a|an|its|their|another))?\s*\Z",
    re.IGNORECASE,
)
_AFTER = re.compile(r"\+|\s+or (?:(?P<more>more|above|older)|(?P<less>less|fewer|under))\b")
_WORD = "|".join(sorted((*_WORDS, *list(_SCALES)[:6]), key=len, reverse=True))
_MONTH_NAMES = "|".join(
    rf"{m[:3]}(?:{m[3:]})" if len(m) < 5 else rf"{m}|{m[:4]}\.|{m[:3]}\." for m in MONTHS
)
_MONTH = rf"(?:{_MONTH_NAMES})"
_SHORT_MONTH = rf"(?:{'|'.join(m[:3] for m in MONTHS)})"
_UNIT = "|".join(_UNITS)
_QUANTITY = re.compile(
    rf"""
    (?P<clock>\b(?P<hour>\d{{1,2}})(?::(?P<minute>\d\d))?\s?(?P<half>[ap])\.?m\b\.?
        |\b(?P<hour24>\d{{1,2}}):(?P<minute24>\d\d)\b|\b(?P<named>noon|midnight)\b)
    |(?P<date>\b(?P<month>{_MONTH}|{_SHORT_MONTH})\ (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\ ?%)
        |\b(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\ (?:of\ )?(?P<month2>{_MONTH})\b
        |\b(?P<alone>{_MONTH})(?!\w))
    |\b(?P<weekday>{"|".join(WEEKDAYS)})s?\b
    |(?<![$£€\d.,])\b(?P<year>(?:1[6-9]|20)\d\d)
        (?:s\b|\b(?![.,]?\d|[%\-–]\d|\ (?:{_UNIT}|million|people)\b))
    |(?:(?P<money>(?:US|A|C)?[$£€])\s?)?(?<![\w.])
        (?P<number>\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)
        (?P<ordinal>st|nd|rd|th)?(?:[\s-]?(?P<scale>{"|".join(_SCALES)})\b)?
        (?:[\s-]?(?P<unit>{_UNIT})(?!\w))?
    |\b(?P<words>(?:an?\ (?=dozen|hundred|thousand|million|billion|trillion))?(?:{_WORD})
        (?:(?:[\s-]|(?<=hundred)\ and\ )(?:{_WORD}))*)\b(?:[\s-](?P<unit2>{_UNIT})(?!\w))?
    |\b(?P<rank>{"|".join(_ORDINALS)})\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


@lru_cache(maxsize=4096)
def quantities(text: str) -> tuple[Quantity, ...]:
    """Every quantity of a text in order, none overlapping. A lone "one" and "a" are none."""
    found = (_quantity(text, match) for match in _QUANTITY.finditer(text))
    return tuple(quantity for quantity in found if quantity)


def _quantity(text: str, match: re.Match[str]) -> Quantity | None:
    kind, value = _value(text, match)
    if kind is None:
        return None
    unit = match["unit"] or match["unit2"] or ""
    unit = match["money"][-1] if match["money"] else _unit(unit.lower())
    start = match.start() + len(match[0]) - len(match[0].lstrip())
    bound = _bound(text, start, match.end()) if kind == "number" else ""
    return Quantity(kind, value, start, match.end(), match[0].strip(), unit, bound)


def _value(text: str, match: re.Match[str]) -> tuple[Kind | None, float]:
    kind: Kind | None = "number"
    if match["clock"]:
        kind, value = "clock", _clock(match)
    elif match["date"]:
        kind, value = _date(text, match)
    elif match["weekday"]:
        kind, value = "weekday", float(WEEKDAYS.index(match["weekday"].lower()))
    elif match["year"]:
        kind, value = "year", float(match["year"])
    elif match["rank"]:
        kind, value = "ordinal", float(_ORDINALS[match["rank"].lower()])
    elif match["words"]:
        value = _spelled(match["words"].lower())
        if match["words"].lower() == "one" and not match["unit2"]:
            kind = None
    else:
        kind = "ordinal" if match["ordinal"] else "number"
        scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
        value = float(match["number"].replace(",", "")) * scale
    return kind, value


def _clock(match: re.Match[str]) -> float:
    """Minutes since midnight; plus a day where morning or afternoon is left open."""
    if match["named"]:
        return 720.0 if match["named"].lower() == "noon" else 0.0
    if match["half"]:
        hour = int(match["hour"])
        if hour <= 12:
            hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
        return hour * 60 + int(match["minute"] or 0)
    hour = int(match["hour24"])
    return hour * 60 + int(match["minute24"]) + (1440 if hour <= 12 else 0)


def _one_time(a: Quantity, b: Quantity) -> bool:
    open_ = a.value >= 1440 or b.value >= 1440
    return (a.value - b.value) % 720 == 0 if open_ else a.value == b.value


def _date(text: str, match: re.Match[str]) -> tuple[Kind | None, float]:
    name = match["month"] or match["month2"] or match["alone"]
    month = 1 + next(n for n, full in enumerate(MONTHS) if full[:3] == name[:3].lower())
    day = match["day"] or match["day2"]
    if not name[0].isupper():
        return None, 0.0
    if day:
        return "day", 100 * month + int(day)
    before = text[max(0, match.start() - 12) : match.start()].lower()
    unclear = name.lower() in {"may", "march"}  # which are verbs too, and a name
    after_month_word = re.search(
        r"\b(?:in|of|since|until|by|last|next|this|late|early|mid)[ -]\Z", before
    )
    if unclear and not after_month_word and not re.match(r",? \d{4}", text[match.end() :]):
        return None, 0.0
    return "month", month


def _spelled(words: str) -> float:
    total, current = 0.0, 0.0
    for word in re.findall(r"[a-z]+", words):
        if word in _WORDS:
            current += _WORDS[word]
        elif word in {"hundred", "dozen"}:
            current = (current or 1) * _SCALES[word]
        elif word in _SCALES:
            total += (current or 1) * _SCALES[word]
            current = 0.0
    return total + current


def _unit(word: str) -> str:
    return next((name for pattern, name in _UNITS.items() if re.fullmatch(pattern, word)), "")


def _bound(text: str, start: int, end: int) -> str:
    for match in (_BEFORE.search(text[max(0, start - 30) : start]), _AFTER.match(text, end)):
        if match:
            parts = match.groupdict()
            return (
                ">"
                if parts["more"]
                else "<"
                if parts["less"]
                else "~"
                if parts.get("near")
                else ">"
            )
    return ""
