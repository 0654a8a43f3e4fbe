"""Ingestion over a Ray cluster of one and of two workers, against the plain path beside it.

    python tests/benchmark_ray.py ARTICLES.jsonl.gz [--articles 1000] [--rounds 2]

Each side ingests the same articles in a process of its own, one side after the other, again and
again, so that other work on the machine meets them alike. A rate counts from the first vectors on,
so without the start of processes and models, which the whole seconds have.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from rag import Archive, Settings
from rag.reports import IngestReport

SIDES = {"plain": 0, "one worker": 1, "two workers": 2}


def main() -> None:
    """All sides in turn, then their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("articles_file", type=Path)
    parser.add_argument("--articles", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.workers is not None:
        print(json.dumps(ingest(arguments.articles_file, arguments.workers)))
        return
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "sample.jsonl"
        with gzip.open(arguments.articles_file, "rt", encoding="utf-8") as file:
            sample.write_text("".join(islice(file, arguments.articles)), encoding="utf-8")
        for number in range(arguments.rounds):
            for side, workers in SIDES.items():
                command = [sys.executable, __file__, str(sample), "--workers", str(workers)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                found[side].append(json.loads(done.stdout.splitlines()[-1]))
                print(f"round {number + 1}, {side}: {found[side][-1]}", flush=True)
    _print(found)


def ingest(sample: Path, workers: int) -> dict[str, float]:
    """Passages, the seconds of all, and passages a second from the first vectors on."""
    if workers:
        import ray

        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    begun: list[tuple[float, int]] = []

    def told(report: IngestReport) -> None:
        if report.passages and not begun:
            begun.append((time.monotonic(), report.passages))

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        with Archive.open(Path(folder) / "archive", Settings()) as archive:
            report = archive.ingest(sample, progress=told, ray="local" if workers else "")
        end = time.monotonic()
    (first, passages) = begun[0]
    rate = (report.passages - passages) / (end - first)
    return {"passages": report.passages, "seconds": end - started, "rate": rate}


def _print(found: dict[str, list[dict[str, float]]]) -> None:
    table = Table(
        "side", "passages/s, each round", "median", "of plain", "of one worker", "seconds"
    )
    rates = {side: median(one["rate"] for one in rounds) for side, rounds in found.items()}
    for side, rounds in found.items():
        table.add_row(
            side,
            ", ".join(f"{one['rate']:.1f}" for one in rounds),
            f"{rates[side]:.1f}",
            f"{rates[side] / rates['plain']:.2f}",
            f"{rates[side] / rates['one worker']:.2f}",
            ", ".join(f"{one['seconds']:.0f}" for one in rounds),
        )
    console = Console(width=120)
    console.print(table)
    console.print("wanted: two workers over one >= 1.7 with the cores for it; on two cores, >= 0.9")
    console.print("of the plain path.")


if __name__ == "__main__":
    main()
