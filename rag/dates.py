"""Dates as they stand in news archives: a full calendar date, or nothing. Never a guess."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dateparser.date import DateDataParser

_FIRST_YEAR, _LAST_YEAR = 1600, 2100
_FIRST_SECOND = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_LAST_SECOND = datetime(2100, 1, 1, tzinfo=UTC).timestamp()

_LONGEST_DATE = 100
_LANGUAGES = ["en", "fr", "de", "es", "it", "pt", "nl"]

_TIME = r"(?:[T\s,]\s*\d{1,2}:\d\d.*)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}", re.ASCII)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T?(?:\d{4}|\d{6})(?:[Z+-].*)?)?", re.ASCII)
_NUMBER = re.compile(r"\d{9,13}(?:\.\d+)?", re.ASCII)
_MAIL = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d.*", re.ASCII)
_RANGE = re.compile(r"[^\W\d]\.? \d{1,2} ?[-–—] ?\d{1,2}\b|\b\d{1,2}\.? ?[-–—] ?\d{1,2}\.? [^\W\d]")


def parse_date(value: object) -> date | None:
    """Return the calendar date that `value` states, as written: no time zone is applied.

    Text, unix seconds or milliseconds, dates and datetimes are understood. An incomplete, relative
    or ambiguous date ("August 2023", "yesterday", "03/04/2023") is `None`, never a guess.
    """
    match value:
        case bool():
            return None
        case datetime():
            return _plausible(value.date())
        case date():
            return _plausible(value)
        case int() | float():
            return _from_number(value)
        case str() if len(value) <= _LONGEST_DATE:
            return _from_text(" ".join(value.split()))
    return None


def parse_time(value: object) -> date | None:
    """Return the moment that `value` states, as a datetime; its calendar date where it has no time.

    A time without a zone stays without one. What `parse_date` does not take is `None`.
    """
    day = parse_date(value)
    if day is None or isinstance(value, datetime):
        return value if day and isinstance(value, datetime) else None
    text = str(value).strip()
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
        except (ValueError, OverflowError):
            continue
        if moment.date() == day and ":" in text:
            return moment
    return day


@lru_cache(maxsize=4096)
def _from_text(text: str) -> date | None:
    """Try the cheap exact forms first: the general parser takes milliseconds for each text."""
    if _NUMBER.fullmatch(text):
        return _from_number(float(text))
    if text[:4].isdigit():
        # What starts with a year is ISO-like or nothing: "2023-13-04" must not become April.
        return _from_year_first(text)
    if _MAIL.fullmatch(text):
        return _from_mail_date(text)
    return _from_words(text)


def _plausible(found: date) -> date | None:
    return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None


def _from_number(value: float) -> date | None:
    """Read unix time, or the digits of a compact date: 20230814 is no unix time after 1990."""
    if not 0 < value < 1e14:
        return None
    for seconds in (value, value / 1000):
        if _FIRST_SECOND <= seconds < _LAST_SECOND:
            return datetime.fromtimestamp(seconds, UTC).date()
    return _from_year_first(str(value).removesuffix(".0"))


def _from_year_first(text: str) -> date | None:
    if match := _YEAR_FIRST.fullmatch(text):
        year, _, month, day = match.groups()
    elif match := _COMPACT.fullmatch(text):
        year, month, day = match.groups()
    else:
        return None
    try:
        return _plausible(date(int(year), int(month), int(day)))
    except ValueError:
        return None


def _from_mail_date(text: str) -> date | None:
    try:
        return _plausible(parsedate_to_datetime(text).date())
    except (ValueError, OverflowError):
        return None


def _from_words(text: str) -> date | None:
    """Read the date day-first and month-first; it counts when both readings agree."""
    if _RANGE.search(text):
        return None
    readings = set()
    for order in ("DMY", "MDY"):
        try:
            found = _parser(order).get_date_data(text).date_obj
        except (ValueError, OverflowError):
            return None
        readings.add(found.date() if found else None)
    reading = readings.pop()
    # A year that is not spelled out ("14/08/23") would be a guess at the century, or at the order.
    if readings or reading is None or not re.search(rf"\b{reading.year}\b", text):
        return None
    return _plausible(reading)


@cache
def _parser(order: str) -> DateDataParser:
    from dateparser.date import DateDataParser

    return DateDataParser(
        languages=_LANGUAGES,
        settings={
            "DATE_ORDER": order,
            "PARSERS": ["absolute-time"],
            "REQUIRE_PARTS": ["day", "month", "year"],
            "STRICT_PARSING": True,
        },
    )
