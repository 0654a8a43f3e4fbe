from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.dates import parse_date

DAY = date(2023, 8, 14)


@pytest.mark.parametrize(
    "text",
    [
        "2023-08-14",
        "2023-8-14",
        " 2023-08-14\n",
        "2023-08-14T03:02:30",
        "2023-08-14 03:02:30",
        "2023-08-14T03:02:30.123456789Z",
        "2023-08-14T03:02:30+0000",
        "2023-08-14, 9:00 a.m.",
        "2023/08/14",
        "2023.08.14",
        "20230814",
        "20230814T030230Z",
        "20230814030230",
        "202308140302",
        "1691982150",
        "1691982150000",
        "1691982150.25",
        "Mon, 14 Aug 2023 03:02:30 GMT",
        "14 Aug 2023 03:02 +0000",
        "August 14, 2023",
        "14 August 2023",
        "14th of August, 2023",
        "Aug. 14, 2023, 9:00 a.m. ET",
        "9:00 AM · Aug 14, 2023",
        "Aug 14 2023 / 09:00 PM EDT",
        "Monday 14 August 2023 22.15 BST",
        "14-Aug-2023",
        "14.08.2023",
        "14/08/2023 09:00",
        "08/14/2023",
        "14 août 2023",
        "lundi 14 août 2023",
        "14. August 2023",
        "14 de agosto de 2023",
        "14 agosto 2023",
        "14 augustus 2023",
    ],
)
def test_a_full_date_in_any_usual_form(text: str) -> None:
    assert parse_date(text) == DAY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13/04/2023", date(2023, 4, 13)),
        ("04/13/2023", date(2023, 4, 13)),
        ("04/04/2023", date(2023, 4, 4)),
        ("14. März 2023", date(2023, 3, 14)),
        ("Sept. 5, 2023", date(2023, 9, 5)),
        ("29 February 2024", date(2024, 2, 29)),
        ("2022/06/16", date(2022, 6, 16)),
        ("January 1, 1603", date(1603, 1, 1)),
        ("1600-01-01", date(1600, 1, 1)),
        ("2100-12-31", date(2100, 12, 31)),
    ],
)
def test_other_dates(text: str, expected: date) -> None:
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "03/04/2023",
        "3.4.2023",
        "03-04-2023 09:00",
        "3/4/23",
        "14 Aug 23",
        "August 14-16, 2023",
        "14–16 August 2023",
        "2023-08-14 to 2023-08-20",
    ],
)
def test_an_ambiguous_date_is_never_guessed(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "August 2023",
        "2023",
        "2023-08",
        "5 May",
        "yesterday",
        "today",
        "Monday",
        "now",
        "3 days ago",
        "next Monday 2023",
        "Spring 2023",
        "May 5 at 20:23",
        "in 2023",
        "soon",
    ],
)
def test_an_incomplete_or_relative_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-30",
        "February 30, 2023",
        "2023-13-04",
        "1599-12-31",
        "2101-01-01",
        "0000-00-00",
        "January 1, 1500",
        "31 Feb 2023 10:00",
        "9" * 40,
        "14 August 2023" + " " * 500,
    ],
)
def test_an_impossible_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_the_date_is_the_one_written_whatever_the_zone() -> None:
    assert parse_date("2023-08-14T23:59:59-11:00") == DAY
    assert parse_date("2023-08-14T00:30:00+14:00") == DAY
    assert parse_date("Mon, 14 Aug 2023 23:30:00 -0700") == DAY
    assert parse_date("August 14, 2023 11:30 PM PST") == DAY
    west = timezone(timedelta(hours=-11))
    assert parse_date(datetime(2023, 8, 14, 23, 30, tzinfo=west)) == DAY


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (DAY, DAY),
        (datetime(2023, 8, 14, 3, 2, tzinfo=UTC), DAY),
        (1691982150, DAY),
        (1691982150.5, DAY),
        (1691982150000, DAY),
        (20230814, DAY),
        (20230814.0, DAY),
        (631152000, date(1990, 1, 1)),
        (631151999, None),
        (2023, None),
        (0, None),
        (-5, None),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
        (date(1599, 1, 1), None),
        (True, None),
        (None, None),
        ([], None),
        (b"2023-08-14", None),
    ],
)
def test_other_types(value: object, expected: date | None) -> None:
    assert parse_date(value) == expected


@given(st.dates(date(1600, 1, 1), date(2100, 12, 31)))
@settings(max_examples=50, deadline=None)
def test_every_date_survives_iso_and_english(day: date) -> None:
    assert parse_date(day.isoformat()) == day
    assert parse_date(day.strftime("%Y%m%d")) == day
    assert parse_date(f"{day:%B} {day.day}, {day.year:04}") == day


PIECES = ["2023", "Aug", "14", "03", "/", "-", ":", ".", " ", ",", "pm", "GMT", "+05", "ago", "ète"]


@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=9).map("".join)))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_date_or_nothing(text: str) -> None:
    assert parse_date(text) is None or 1600 <= parse_date(text).year <= 2100  # type: ignore[union-attr]


@given(st.one_of(st.integers(), st.floats()))
def test_any_number_is_a_date_or_nothing(value: float) -> None:
    found = parse_date(value)
    assert found is None or 1600 <= found.year <= 2100
