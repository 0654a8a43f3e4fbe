"""ui.bars: which unit of time a plot takes, and how outlets are folded."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from rag import DayCount
from ui.bars import MAX_BARS, MAX_OUTLETS, Bars, by_outlet, by_time

START = date(2023, 12, 30)


def counts(*days: date | None) -> list[DayCount]:
    return [DayCount(one, "Post", 1) for one in days]


def test_a_short_span_is_counted_by_day_with_the_empty_days() -> None:
    days = [DayCount(START, "Post", 2), DayCount(START, "Echo", 3), *counts(date(2024, 1, 1), None)]
    assert by_time(days) == Bars("Day", ("2023-12-30", "2023-12-31", "2024-01-01"), (5, 0, 1))


@pytest.mark.parametrize(
    "days, column, bars, first, last",
    [
        (25, "Day", 26, "2023-12-30", "2024-01-24"),
        (26, "Week", 5, "2023-12-25", "2024-01-22"),
        (176, "Week", 26, "2023-12-25", "2024-06-17"),
        (177, "Month", 7, "2023-12", "2024-06"),
        (800, "Quarter", 10, "2023 Q4", "2026 Q1"),
        (9000, "Year", 26, "2023", "2048"),
    ],
)
def test_a_longer_span_takes_a_longer_unit(
    days: int, column: str, bars: int, first: str, last: str
) -> None:
    found = by_time(counts(START, START + timedelta(days)))
    assert (found.column, len(found.labels)) == (column, bars)
    assert (found.labels[0], found.labels[-1]) == (first, last)
    assert found.counts == (1, *[0] * (bars - 2), 1)
    assert list(found.labels) == sorted(found.labels)


def test_what_is_older_than_the_bars_reach_is_in_the_first_one() -> None:
    found = by_time(counts(date.min, date(1950, 6, 1), date(2023, 5, 5), date.max))
    assert (found.labels[0], found.labels[-1]) == ("9974 and before", "9999")
    assert found.counts == (3, *[0] * (MAX_BARS - 2), 1)


@pytest.mark.parametrize("days", [[], counts(None, None)])
def test_without_a_date_there_is_nothing_to_plot(days: list[DayCount]) -> None:
    assert by_time(days) == Bars("Day")


def test_outlets_come_most_first_and_the_smallest_are_one_bar() -> None:
    days = [DayCount(START, f"Outlet {n:02}", 100 - n) for n in range(MAX_OUTLETS + 2)]
    found = by_outlet([*days, DayCount(None, "Outlet 01", 50)])
    assert found.labels[:3] == ("Outlet 01", "Outlet 00", "Outlet 02")
    assert found.counts[:3] == (149, 100, 98)
    assert found.labels[-1] == "3 other outlets"
    assert found.counts[-1] == 86 + 85 + 84
    assert len(found.labels) == MAX_OUTLETS


def test_labels_in_a_plot_are_short_but_never_alike() -> None:
    same = "The Very Long Name of a Paper in "
    found = Bars("Outlet", (f"{same}Ghent", f"{same}Bruges", "The Quite Different Chronicle"))
    assert found.short_labels == (f"{same}Ghent", f"{same}Bruges", "The Quite Different C…")


def test_an_outlet_cannot_turn_the_plot_around() -> None:
    (label,) = by_outlet([DayCount(None, "Post\u202etxt\n" + "x" * 1000, 1)]).labels
    assert "\u202e" not in label
    assert "\n" not in label
    assert len(label) <= 60
