"""What the ledger's searches cost in PostgreSQL, beside SQLite in the same run.

    python tests/benchmark_ledger.py --articles 2000

A real server is started for it, on this machine, so that the network costs nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from conftest import article
from postgres import MISSING, PASSWORD, PostgresServer, programs

from rag.databases import open_database
from rag.ledger import Ledger
from rag.passages import split_passages
from rag.postgres import PostgresDatabase

RUNS = 200
WANTED = 400
TEXT = "The council of the old harbour met again about the bridge and its costs. " * 60


def fill(ledger: Ledger, articles: int) -> float:
    """Stage and publish; returns articles a second."""
    started = time.perf_counter()
    for number in range(articles):
        one = article(number, f"Story {number}. {TEXT}")
        ledger.stage(f"o{number}", one, split_passages(one.text, 1000), replaces=False)
    last = 0
    while staged := ledger.pending(last, 512):
        last = staged[-1].key
        ledger.publish(staged)
    return articles / (time.perf_counter() - started)


def milliseconds(call: Callable[[], object]) -> float:
    """The median of many calls."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def measure(ledger: Ledger, articles: int) -> dict[str, float]:
    rate = fill(ledger, articles)
    if isinstance(ledger.database, PostgresDatabase):
        with ledger.transaction() as db:
            db.execute("ANALYZE")  # the server does so by itself within a minute or two
    last = ledger.database.last_number("passages")
    chance = random.Random(0)
    ids = chance.sample(range(1, last + 1), min(WANTED, last))
    return {
        "articles staged and published a second": rate,
        f"passage_rows of {len(ids)}, p50 ms": milliseconds(lambda: ledger.passage_rows(ids)),
        "one article, p50 ms": milliseconds(lambda: ledger.article("a7", 1)),
        "touched, p50 ms": milliseconds(ledger.touched),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=2000)
    given = parser.parse_args()
    found = programs()
    if found is None:
        raise SystemExit(MISSING)
    os.environ["PGPASSWORD"] = PASSWORD
    with tempfile.TemporaryDirectory() as folder, PostgresServer(found, durable=True) as server:
        results = []
        for name, url in (("sqlite", ""), ("postgres", server.database())):
            (Path(folder) / name).mkdir()
            ledger = Ledger(open_database(Path(folder) / name, url))
            results.append(measure(ledger, given.articles))
            ledger.close()
    print(f"{'':42} {'SQLite':>8} {'PostgreSQL':>10} {'ratio':>6}")
    for what, base in results[0].items():
        other = results[1][what]
        print(f"{what:42} {base:8.2f} {other:10.2f} {other / base:6.2f}")


if __name__ == "__main__":
    main()
