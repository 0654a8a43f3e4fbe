"""How well near-copies are told from stories of their own, on a made set.

    python tests/near_copies.py --articles 2000 --seed 0

The articles go through a ledger as ingestion puts them there, in the order of arrival. A pair is
found when both articles are in one group; it is right when one was made as a copy of the other, or
both of a third.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from rich.console import Console
from rich.table import Table
from wire_stories import COPIES, Made, made_set

from rag import Article, groups
from rag.ledger import Ledger
from rag.ledgerfile import LedgerFile
from rag.types import Span

WANTED = 0.95

Pair = tuple[int, int]


def grouped(made: Sequence[Made], folder: Path) -> tuple[list[int], float]:
    """The story of each article, and the seconds that grouping them took."""
    ledger = Ledger(LedgerFile(folder / "articles.sqlite"))
    for number, one in enumerate(made):
        article = Article(f"a{number}", one.story.title, one.story.text, one.story.outlet)
        ledger.stage(f"o{number}", article, [Span(0, len(article.text))], replaces=False)
    staged = ledger.pending(0, len(made))
    ledger.publish(staged)
    started = time.perf_counter()
    groups.group(ledger, [item.key for item in staged])
    seconds = time.perf_counter() - started
    stories = groups.stories(ledger, [item.key for item in staged])
    assert not groups.faults(ledger)
    ledger.close()
    return [stories[item.key] for item in staged], seconds


def pairs(labels: Sequence[int]) -> set[Pair]:
    """The pairs of numbers that have one label."""
    same: dict[int, list[int]] = {}
    for number, label in enumerate(labels):
        same.setdefault(label, []).append(number)
    return {pair for several in same.values() for pair in combinations(several, 2)}


@dataclass(frozen=True)
class Result:
    """The pairs that are copies, and those that were found, of a made set."""

    made: Sequence[Made]
    right: set[Pair]
    found: set[Pair]

    @property
    def precision(self) -> float:
        """The share of the found pairs that are copies."""
        return len(self.right & self.found) / len(self.found)

    @property
    def recall(self) -> float:
        """The share of the copies that were found."""
        return len(self.right & self.found) / len(self.right)

    def by_kind(self) -> list[tuple[str, int, int, int, int]]:
        """Per kind: articles, pairs with another copy, those found, pairs found with no copy."""
        counts = [Counter[str]() for _ in range(4)]
        counts[0].update(one.kind for one in self.made)
        for count, several in zip(
            counts[1:],
            (self.right, self.right & self.found, self.found - self.right),
            strict=True,
        ):
            for pair in several:
                count.update({self.made[number].kind for number in pair})
        order = ["original", *COPIES]
        kinds = [*order, *sorted(counts[0].keys() - set(order))]
        return [(kind, *(count[kind] for count in counts)) for kind in kinds]


def measure(articles: int, seed: int) -> tuple[Result, float]:
    """Group a made set; returns what was found, and the seconds of grouping."""
    made = made_set(articles, seed)
    with tempfile.TemporaryDirectory() as folder:
        stories, seconds = grouped(made, Path(folder))
    return Result(made, pairs([one.family for one in made]), pairs(stories)), seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--articles", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    result, seconds = measure(given.articles, given.seed)
    table = Table(
        "how it was made", "articles", "pairs of copies", "found", "recall", "false pairs"
    )
    for kind, articles, right, found, false in result.by_kind():
        recall = f"{found / right:.3f}" if right else "-"
        table.add_row(kind, f"{articles:,}", f"{right:,}", f"{found:,}", recall, f"{false:,}")
    console = Console(width=110)
    console.print(table)
    console.print(
        f"{len(result.right):,} pairs of copies, {len(result.found):,} found: "
        f"precision {result.precision:.3f}, recall {result.recall:.3f}; "
        f"{1000 * seconds / given.articles:.2f} ms an article"
    )
    return 0 if min(result.precision, result.recall) > WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
