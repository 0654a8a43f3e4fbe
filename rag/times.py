"""Times that are told from where one stands: "last week", "on Monday", "in March", as days.

In a question they count from the day of asking, in an article from its publication. Only what names
a time of the calendar is resolved; "since the election" is left alone.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from rag.looked import Meant
from rag.quantities import MONTHS, WEEKDAYS
from rag.types import Sentence

if TYPE_CHECKING:
    from dateparser.date import DateDataParser

_WEEKDAY = "|".join(day.title() for day in WEEKDAYS)
_MONTH = "|".join(month.title() for month in MONTHS)
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_COUNT = r"(?:a|an|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})"
_IN_QUESTIONS = re.compile(
    rf"""\b(?P<since>(?i:since)\s+)?(?:
    (?P<plain>(?i:yesterday|today|tonight)
        |(?i:last|this)\s+(?i:week|month|year)
        |{_COUNT}\s+(?i:day|week|month|year)s?\s+ago
        |(?:{_DAY}\s+(?:of\s+)?(?:{_MONTH})|(?:{_MONTH})\s+{_DAY})(?!\d)(?:,?\s+\d{{4}})?)
    |(?i:on|last|this)\s+(?P<weekday>{_WEEKDAY})
    |(?(since)|(?i:in|during)\s+)(?P<long>(?:{_MONTH})(?:,?\s+\d{{4}})?|(?:19|20)\d\d)
    )\b""",
    re.VERBOSE,
)
_IN_ARTICLES = re.compile(
    rf"\b(?:(?P<plain>(?i:yesterday|today|tonight))|(?i:on|last)\s+(?P<weekday>{_WEEKDAY}))\b"
)
_FUTURE = re.compile(r"\b(?:will|going to|next|upcoming|shall)\b", re.IGNORECASE)
_BARE = re.compile(rf"(?:{_MONTH}|{_WEEKDAY})\Z|[\w ]*(?:{_MONTH})[\w ]*\Z")
_WEEK = timedelta(days=6)


def meant(question: str, asked: date) -> tuple[Meant, ...]:
    """The times of a question that was asked on a day, each as its first and its last day.

    None lies after the day of asking, and a month or a weekday without a year is the latest one; of
    a question about what is to come, these are left alone.
    """
    future = _FUTURE.search(question) is not None
    found = (_resolved(match, asked, future) for match in _IN_QUESTIONS.finditer(question))
    return tuple(dict.fromkeys(one for one in found if one))


def days_meant(quote: str, published: date | None) -> tuple[Meant, ...]:
    """The days that an article of a day calls "yesterday", "today" or by their weekday."""
    if published is None:
        return ()
    found = (_resolved(match, published, False) for match in _IN_ARTICLES.finditer(quote))
    return tuple(dict.fromkeys(one for one in found if one))


def hull(times: tuple[Meant, ...]) -> tuple[date, date] | None:
    """The days from the first to the last of some times; None where there are none."""
    if not times:
        return None
    return min(one.first for one in times), max(one.last for one in times)


def _resolved(match: re.Match[str], base: date, future: bool) -> Meant | None:
    groups = match.groupdict()
    text = next(t for t in (groups["plain"], groups["weekday"], groups.get("long")) if t)
    if future and _BARE.match(text):
        return None
    # What is told of the present weekday, without "last", is told of today.
    today = bool(groups["weekday"]) and not match[0].lower().startswith("last")
    days = _days(text, base + timedelta(days=1) if today and base < date.max else base)
    if days is None or days[0] > base:
        return None
    first, last = days
    since = bool(groups.get("since"))
    if text.lower() == "this week":  # on a Monday, few mean a week of one day
        first = min(first, base - _WEEK)
    said = " ".join(match[0].split())
    return Meant(said, first, base if since else min(last, base))


def remarks(sentences: Sequence[Sentence], times: Sequence[Meant]) -> Iterator[str]:
    """Which days the question means, and which ones the quotes that are shown."""
    yield from (f"“{one.text}” was taken as {one.days}." for one in times)
    citations = dict.fromkeys(c for sentence in sentences for c in sentence.citations)
    for number, citation in enumerate(citations, 1):
        for one in days_meant(citation.quote, citation.article.published):
            yield f"“{one.text}” in [{number}] is {one.days}."


def _days(text: str, base: date) -> tuple[date, date] | None:
    found = _parser(base).get_date_data(text)
    if found.date_obj is None:
        return None
    day = found.date_obj.date()
    if found.period == "week":
        first = day - timedelta(days=day.weekday())
        return first, first + _WEEK
    if found.period == "month":
        last = calendar.monthrange(day.year, day.month)[1]
        return day.replace(day=1), day.replace(day=last)
    if found.period == "year":
        return date(day.year, 1, 1), date(day.year, 12, 31)
    return day, day


@cache
def _parser(base: date) -> DateDataParser:
    from dateparser.date import DateDataParser

    return DateDataParser(
        languages=["en"],
        settings={
            "RELATIVE_BASE": datetime(base.year, base.month, base.day),
            "PREFER_DATES_FROM": "past",
            "PREFER_DAY_OF_MONTH": "first",
        },
    )
