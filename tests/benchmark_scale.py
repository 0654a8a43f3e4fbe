"""Archives of 10,000, 100,000 and 1,000,000 passages on one machine: rates, sizes, slopes.

    python tests/benchmark_scale.py make ARTICLES.jsonl.gz FOLDER [--passages N ...]
    python tests/benchmark_scale.py ask FOLDER QUESTIONS.jsonl [--questions N]
    python tests/benchmark_scale.py again ARTICLES.jsonl.gz FOLDER

`make` grows one archive, keeps a copy of it at every size, and continues where it was interrupted.
`ask` puts each question to every size in turn, so that other work on the machine meets them alike.
`again` ingests 5,000 articles twice. See tests/scalemaking.py for what the passages are.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import islice, takewhile
from math import log
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table
from scalemaking import DAYS, FIRST_DAY, OUTLETS, Pool

from rag import Archive, Settings
from rag.ingest import ingest
from rag.reports import IngestReport
from rag.sources import Record
from rag.store import Store

SIZES = (10_000, 100_000, 1_000_000)
REAL_ARTICLES = 5_000
CHUNK = 20_000
"""Passages that one ingestion takes, as a day's articles are."""

_CHARACTERS = 1000
_FILTERS: dict[str, dict[str, date | str]] = {
    "all": {},
    "as of half way": {"as_of": FIRST_DAY + timedelta(DAYS // 2)},
    "last 1 %": {"since": FIRST_DAY + timedelta(DAYS - DAYS // 100)},
    "last 10 %": {"since": FIRST_DAY + timedelta(DAYS - DAYS // 10)},
    "one outlet of 20": {"source": OUTLETS[0]},
}


def main() -> None:
    """One of the three."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("articles", type=Path)
    making.add_argument("folder", type=Path)
    making.add_argument("--passages", type=int, nargs="*", default=SIZES)
    asking = commands.add_parser("ask")
    asking.add_argument("folder", type=Path)
    asking.add_argument("questions_file", type=Path)
    asking.add_argument("--questions", type=int, default=40)
    memory = commands.add_parser("memory")
    memory.add_argument("archive", type=Path)
    memory.add_argument("question")
    again = commands.add_parser("again")
    again.add_argument("articles", type=Path)
    again.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.articles, arguments.folder, arguments.passages)
    elif arguments.command == "ask":
        ask(arguments.folder, arguments.questions_file, arguments.questions)
    elif arguments.command == "memory":
        print(memory_of(arguments.archive, arguments.question))
    else:
        ingest_again(arguments.articles, arguments.folder)


# Making.


def make(articles: Path, folder: Path, sizes: Sequence[int]) -> None:
    """Grow the archive to each size, and keep a copy of each."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = Pool(articles, folder, REAL_ARTICLES, _CHARACTERS)
    for size in sizes:
        kept = folder / f"size-{size}"
        if kept.exists():
            continue
        while (held := _passages(folder)) < size:
            _grow(folder, pool, min(size, held + CHUNK))
        partial = folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folder / "archive", partial)
        partial.rename(kept)
    _print_rates(folder)


def _grow(folder: Path, pool: Pool, goal: int) -> None:
    """Ingest until there are `goal` passages, and note what that took."""
    store = Store(folder / "archive", pool.name, _CHARACTERS)
    try:
        before = store.status().passages
        last = IngestReport()

        def told(report: IngestReport) -> None:
            nonlocal last
            last = report

        def is_wanted(record: Record) -> bool:
            return before + last.passages < goal

        first = store.ledger.count("current") + store.ledger.count("pending")
        started = time.process_time()
        found = takewhile(is_wanted, pool.records(first))
        report = ingest(store, pool, found, _CHARACTERS, told)
        held = store.status()
        values = {
            "passages": held.passages,
            "added": report.passages,
            "seconds": report.seconds,
            "cpu": time.process_time() - started,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "disk": held.size_bytes,
        }
    finally:
        store.close()
    with (folder / "rates.jsonl").open("a") as file:
        print(json.dumps(values), file=file)
    rate = values["added"] / values["seconds"]
    print(f"{values['passages']:,} passages, {rate:,.0f} a second", flush=True)


def _passages(folder: Path) -> int:
    """How many there are, whatever an interrupted run has noted."""
    if not (folder / "archive").exists():
        return 0
    store = Store(folder / "archive")
    try:
        return store.status().passages
    finally:
        store.close()


def _print_rates(folder: Path) -> None:
    """The rate on the way to each power of ten, against the first."""
    rows = [json.loads(line) for line in (folder / "rates.jsonl").read_text().splitlines()]
    table = Table("up to", "passages/s", "passages/CPU s", "disk GB", "bytes/passage", "memory GB")
    lower = 0
    for size in SIZES:
        part = [row for row in rows if lower < row["passages"] <= size * 1.1]
        lower = int(size * 1.1)
        if part:
            added = sum(row["added"] for row in part)
            table.add_row(
                f"{part[-1]['passages']:,}",
                f"{added / sum(row['seconds'] for row in part):,.0f}",
                f"{added / sum(row['cpu'] for row in part):,.0f}",
                f"{part[-1]['disk'] / 1e9:.2f}",
                f"{part[-1]['disk'] / part[-1]['passages']:,.0f}",
                f"{part[-1]['memory'] / 1e9:.2f}",
            )
    Console(width=120).print(table)


# Asking.


def ask(folder: Path, questions_file: Path, count: int) -> None:
    """Times of every size and filter, their growth against that of log n, and memory."""
    lines = questions_file.read_text(encoding="utf-8").splitlines()
    step = max(len(lines) // count, 1)
    questions = [json.loads(line)["question"] for line in lines[::step]][:count]
    sizes = sorted(int(kept.name.removeprefix("size-")) for kept in folder.glob("size-*"))
    memory = {size: _memory(folder / f"size-{size}", questions[0]) for size in sizes}
    archives = {size: Archive.open(folder / f"size-{size}", Settings()) for size in sizes}
    for archive in archives.values():
        archive.ask(questions[0], wording=False)
    table = Table("measure", *(f"{size:,}" for size in sizes), "growth", "of log n", "ratio")
    for name, filters in _FILTERS.items():
        asked = _times(archives, questions, lambda a, q, f=filters: a.ask(q, wording=False, **f))
        searched = _times(archives, questions, lambda a, q, f=filters: _search(a, q, f))
        for what, (times, cpu) in (("ask", asked), ("indexes", searched)):
            p95 = {size: quantiles(values, n=20)[-1] for size, values in times.items()}
            _row(table, f"{what}, {name}: p50 ms", _medians(times))
            _row(table, f"{what}, {name}: p95 ms", p95)
            _row(table, f"{what}, {name}: p50 CPU ms", _medians(cpu))
        print(f"measured: {name}", flush=True)
    census, _ = _times(archives, [""] * 3, lambda archive, _: archive._store.ledger.days())
    _row(table, "census of days and outlets, p50 ms", _medians(census))
    reopened, _ = _times(archives, questions[:3], _reopened)
    _row(table, "search after another process wrote, p50 ms", _medians(reopened))
    _row(table, "first question after opening, ms", {s: m["first"] for s, m in memory.items()})
    _row(table, "memory, MB", {s: m["memory"] for s, m in memory.items()})
    for archive in archives.values():
        archive.close()
    Console(width=140).print(table)


def _search(archive: Archive, question: str, filters: dict[str, date | str]) -> None:
    """The indexes alone: no reader, no sentences."""
    from rag.retrieve import CANDIDATES, Scope

    vector = archive._encoder().encode([question])[0]
    scope = Scope(**{"as_of": date.today(), **filters})  # type: ignore[arg-type]
    archive._store.search(question, vector, CANDIDATES, scope.filters)


def _reopened(archive: Archive, question: str) -> None:
    """A search that finds everything written anew: it opens the vectors, and counts."""
    archive._store.indexes.reload()
    archive._store._census = None
    _search(archive, question, {})


Times = dict[int, list[float]]


def _times(
    archives: dict[int, Archive], questions: Sequence[str], run: Callable[[Archive, str], object]
) -> tuple[Times, Times]:
    """Milliseconds of each question at each size, size after size: passed, and of processors.

    The latter hardly change with other work on the machine.
    """
    times: Times = {size: [] for size in archives}
    cpu: Times = {size: [] for size in archives}
    for question in questions:
        for size, archive in archives.items():
            started, before = time.perf_counter(), time.process_time()
            run(archive, question)
            cpu[size].append((time.process_time() - before) * 1000)
            times[size].append((time.perf_counter() - started) * 1000)
    return times, cpu


def _medians(times: Times) -> dict[int, float]:
    return {size: median(values) for size, values in times.items()}


def _row(table: Table, name: str, values: dict[int, float]) -> None:
    """One measure; its growth from the first size to the last, over that of log n."""
    first, *_, last = values
    growth = values[last] / values[first]
    logs = log(last) / log(first)
    shown = [f"{value:,.1f}" for value in values.values()]
    table.add_row(name, *shown, f"{growth:.2f}", f"{logs:.2f}", f"{growth / logs:.2f}")


def _memory(archive: Path, question: str) -> dict[str, float]:
    """The peak memory of a new process that asks one question, and how long it waits for it."""
    command = [sys.executable, __file__, "memory", str(archive), question]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, memory = map(float, done.stdout.split())
    return {"first": first, "memory": memory}


def memory_of(folder: Path, question: str) -> str:
    """Milliseconds of the first question, the models loaded, and this process's peak in MB."""
    with Archive.open(folder, Settings()) as archive:
        archive.supports("It is.", "It is.")
        archive._encoder().encode(["warm"])
        assert archive._reader is not None
        archive._reader.read("warm", [("warm", "warm")])
        started = time.perf_counter()
        archive.ask(question, wording=False)
        first = (time.perf_counter() - started) * 1000
    return f"{first} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}"


# Ingesting again.


def ingest_again(articles: Path, folder: Path) -> None:
    """5,000 articles twice; the model is left out, so the first time is shorter than in use."""
    import gzip

    sample = folder / "five-thousand.jsonl"
    with gzip.open(articles, "rt", encoding="utf-8") as file:
        sample.write_text("".join(islice(file, 5_000)), encoding="utf-8")
    pool = Pool(articles, folder, REAL_ARTICLES, _CHARACTERS)
    shutil.rmtree(folder / "again", ignore_errors=True)
    settings = Settings()
    store = Store(folder / "again", settings.embedding_model, settings.passage_characters)
    from rag.models import make_llm

    with Archive(store, settings, pool, make_llm(settings)) as archive:
        reports = [archive.ingest(sample) for _ in range(3)]
    first, *others = (report.seconds for report in reports)
    for report in reports:
        print(f"{report.added:,} added, {report.unchanged:,} unchanged: {report.seconds:.1f} s")
    print(f"again / first: {max(others) / first:.4f} (wanted: under 0.05)")


if __name__ == "__main__":
    main()
