"""What a question was understood to ask for, and where that was looked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any


def written(day: date) -> str:
    """A date as a newspaper prints it."""
    return f"{day.day} {day:%B %Y}"


@dataclass(frozen=True, slots=True)
class Meant:
    """A time as it was told, such as "last week", and its first and last day."""

    text: str
    first: date
    last: date

    @property
    def days(self) -> str:
        """The day, or the days from the first to the last, for the reader."""
        if self.first == self.last:
            return f"{self.first:%A}, {written(self.first)}"
        return f"{written(self.first)} to {written(self.last)}"

    def to_dict(self) -> dict[str, Any]:
        """The time as JSON values."""
        first, last = self.first.isoformat(), self.last.isoformat()
        return {"text": self.text, "first": first, "last": last}


@dataclass(frozen=True, slots=True)
class Looked:
    """What was looked for, and where: what a refusal tells the reader.

    `missing` are words of the question that none of the evidence has. `first` and `last` are the
    days of the oldest and the newest article that could have answered, None where none is dated.
    `meant` are the times that the question names from where it stands, such as "last week": what
    lies near them is preferred.
    """

    query: str
    missing: tuple[str, ...] = ()
    articles: int = 0
    first: date | None = None
    last: date | None = None
    meant: tuple[Meant, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """For the reader: what was looked for, what nothing mentions, which days were searched."""
        absent = (f"Nothing found mentions: {', '.join(self.missing)}",) if self.missing else ()
        count = f"{self.articles:,} article{'' if self.articles == 1 else 's'}"
        days = [written(day) for day in dict.fromkeys((self.first, self.last)) if day]
        period = f" {'from' if len(days) > 1 else 'of'} {' to '.join(days)}" if days else ""
        times = (f"“{one.text}” was taken as {one.days}." for one in self.meant)
        return (f"Looked for: {self.query}", *times, *absent, f"Searched {count}{period}.")

    def to_dict(self) -> dict[str, Any]:
        """What was looked for, as JSON values."""
        return {
            "query": self.query,
            "missing": list(self.missing),
            "articles": self.articles,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "meant": [one.to_dict() for one in self.meant],
        }
