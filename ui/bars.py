"""Numbers of articles by time and by outlet, as a plot can show them: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from rag import DayCount
from ui.render import cut, visible

MAX_BARS = 26
"""Bars whose labels can still be read on a phone: half a year of weeks."""

MAX_OUTLETS = 15

_LABEL_CHARACTERS = 60
_SHORT_CHARACTERS = 22


@dataclass(frozen=True, slots=True)
class Bars:
    """Numbers of articles for a plot and its table; `column` says what they are counted by."""

    column: str
    labels: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def heading(self) -> str:
        """What the plot shows."""
        return f"Articles by {self.column.lower()}"

    @property
    def short_labels(self) -> tuple[str, ...]:
        """The labels as there is room for in a plot, all different."""
        short = [cut(label, _SHORT_CHARACTERS) for label in self.labels]
        times = Counter(short)
        return tuple(
            label if times[brief] > 1 else brief
            for label, brief in zip(self.labels, short, strict=True)
        )


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a bar of time stands for; days stand for the unit that they begin.

    Its labels in the order of the alphabet are in the order of time: so the plot sorts them.
    """

    name: str
    first_of: Callable[[date], date]
    after: Callable[[date], date]
    label: Callable[[date], str]


def by_time(days: Iterable[DayCount]) -> Bars:
    """Articles by day, or by the shortest longer unit that makes at most `MAX_BARS` bars.

    Units without an article in between count 0; undated articles are left out. Where even the years
    are too many, the first bar holds all the earlier ones.
    """
    counts: Counter[date] = Counter()
    for one in days:
        if one.day:
            counts[one.day] += one.articles
    if not counts:
        return Bars("Day")
    first, last = min(counts), max(counts)
    for unit in _UNITS:
        begins = _run(unit, first, last)
        if len(begins) <= MAX_BARS:
            break
    else:
        begins = [date(year, 1, 1) for year in range(last.year - MAX_BARS + 1, last.year + 1)]
    sums: Counter[date] = Counter()
    for when, articles in counts.items():
        sums[max(unit.first_of(when), begins[0])] += articles
    labels = [unit.label(begin) for begin in begins]
    if first < begins[0]:
        labels[0] += " and before"
    return Bars(unit.name, tuple(labels), tuple(sums[begin] for begin in begins))


def by_outlet(days: Iterable[DayCount]) -> Bars:
    """Articles by outlet, most first; beyond `MAX_OUTLETS` the smallest are one bar."""
    counts: Counter[str] = Counter()
    for one in days:
        counts[one.source] += one.articles
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) > MAX_OUTLETS:
        rest = ranked[MAX_OUTLETS - 1 :]
        others = f"{len(rest):,} other outlets", sum(count for _, count in rest)
        ranked = [*ranked[: MAX_OUTLETS - 1], others]
    labels = tuple(visible(cut(name, _LABEL_CHARACTERS)) for name, _ in ranked)
    return Bars("Outlet", labels, tuple(count for _, count in ranked))


def _run(unit: _Unit, first: date, last: date) -> list[date]:
    """The units from the first day's to the last day's, or the first that are one too many."""
    begins = [unit.first_of(first)]
    while begins[-1] < unit.first_of(last) and len(begins) <= MAX_BARS:
        begins.append(unit.after(begins[-1]))
    return begins


def _months_later(begin: date, months: int) -> date:
    years, month = divmod(begin.month - 1 + months, 12)
    return date(begin.year + years, month + 1, 1)


_UNITS = (
    _Unit("Day", lambda d: d, lambda d: d + timedelta(1), date.isoformat),
    _Unit("Week", lambda d: d - timedelta(d.weekday()), lambda d: d + timedelta(7), date.isoformat),
    _Unit(
        "Month",
        lambda d: d.replace(day=1),
        lambda d: _months_later(d, 1),
        lambda d: d.isoformat()[:7],
    ),
    _Unit(
        "Quarter",
        lambda d: date(d.year, (d.month - 1) // 3 * 3 + 1, 1),
        lambda d: _months_later(d, 3),
        lambda d: f"{d.year:04} Q{(d.month + 2) // 3}",
    ),
    _Unit(
        "Year",
        lambda d: date(d.year, 1, 1),
        lambda d: _months_later(d, 12),
        lambda d: f"{d.year:04}",
    ),
)
