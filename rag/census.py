"""What filters leave of an archive, without a search: how much, and which passages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import cast

from rag.database import marks
from rag.ledger import Ledger
from rag.revisions import STOOD, standing
from rag.rows import DayRow
from rag.words import Filters

NO_SOURCE = "(none)"
"""Stands for the outlet of articles without one."""


class Census:
    """Current articles by day and outlet; of what was superseded, only how much there is.

    `superseded` counts revisions; `changed` is the day from which the last revision stands, a
    proleptic ordinal, 0 where no article was ever revised. Articles are counted, not passages: they
    can be read off an index, and the share that filters let through need only be about right.
    """

    def __init__(self, rows: Sequence[DayRow], superseded: int = 0, changed: int = 0) -> None:
        self.rows = rows
        self._total = sum(row.articles for row in rows)
        self._superseded = superseded
        self._changed = changed
        self._last = max((row.day for row in rows), default=0)

    @classmethod
    def take(cls, ledger: Ledger) -> Census:
        """Count what a ledger holds now."""
        superseded = f"SELECT count(*) FROM articles a WHERE a.state = 'old' AND {STOOD}"
        changed = "SELECT coalesce(max(valid_from), 0) FROM articles WHERE valid_from > 0"
        numbers = (cast(int, ledger.rows(query)[0][0]) for query in (superseded, changed))
        return cls(ledger.days(), *numbers)

    @property
    def sources(self) -> dict[str, int]:
        """Articles per outlet, most first; those without one under `NO_SOURCE`."""
        counts: Counter[str] = Counter()
        for row in self.rows:
            counts[row.source or NO_SOURCE] += row.articles
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def period(self, filters: Filters) -> tuple[int, date | None, date | None]:
        """How many articles pass the filters, and the days of the first and the last dated one."""
        passing = self._passing(filters)
        days = [date.fromordinal(row.day) for row in passing if row.day]
        articles = sum(row.articles for row in passing)
        return articles, min(days, default=None), max(days, default=None)

    def needed(self, filters: Filters) -> Filters:
        """The filters without an end, and without a day of revisions, that nothing comes after."""
        if filters.until is not None and filters.until.toordinal() >= self._last:
            filters = replace(filters, until=None)
        if filters.as_of is not None and filters.as_of.toordinal() >= self._changed:
            filters = replace(filters, as_of=None)
        return filters

    def share(self, filters: Filters) -> float:
        """The share of all articles that the filters let through, in 0..1; what is superseded, too.

        With `as_of`, all that is superseded counts as let through: how much is, is not known.
        """
        held = self._total + self._superseded
        passing = self._total
        if filters != Filters():
            passing = sum(row.articles for row in self._passing(filters))
        passing += self._superseded if filters.as_of else 0
        return passing / held if held else 0.0

    def _passing(self, filters: Filters) -> list[DayRow]:
        first, last = filters.days
        sources = frozenset(filters.sources)
        return [
            row
            for row in self.rows
            if first <= row.day <= last and (not sources or row.source in sources)
        ]


def passing(ledger: Ledger, filters: Filters) -> list[int]:
    """The numbers of all passages that the filters let through, in any edition."""
    which, days = standing(filters.as_of)
    sources = f" AND a.source IN ({marks(filters.sources)})" if filters.sources else ""
    rows = ledger.rows(
        "SELECT p.id FROM articles a JOIN passages p ON p.article_id = a.id"
        " AND p.revision = a.revision WHERE a.state IN ('current', 'old')"
        f" AND a.day BETWEEN ? AND ?{sources} AND {which}",
        (*filters.days, *filters.sources, *days),
    )
    return [cast(int, row[0]) for row in rows]
