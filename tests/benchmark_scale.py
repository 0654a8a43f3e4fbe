"""Archives of 10,000, 100,000 and 1,000,000 passages on one machine: rates, sizes, slopes.

    python tests/benchmark_scale.py make ARTICLES.jsonl.gz FOLDER [--passages N ...]
    python tests/benchmark_scale.py ask FOLDER QUESTIONS.jsonl [--questions N]
    python tests/benchmark_scale.py search FOLDER QUESTIONS.jsonl [--questions N]
    python tests/benchmark_scale.py again ARTICLES.jsonl.gz FOLDER

`make` grows one archive, keeps a copy of it at every size, and continues where it was interrupted.
`ask` puts each question to every size in turn, so that other work on the machine meets them alike;
`search` puts it to the indexes alone, with vectors of real passages, and needs no model.
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
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from itertools import islice, takewhile
from math import log
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table
from scalemaking import DAYS, FIRST_DAY, OUTLETS, Pool

from rag import Archive, Settings
from rag.census import Census
from rag.ingest import ingest
from rag.reports import IngestReport
from rag.retrieve import CANDIDATES, Scope
from rag.sources import Record
from rag.store import Store

Opened = TypeVar("Opened", Archive, Store)
Times = dict[int, list[float]]

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
    """One of the four."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("articles", type=Path)
    making.add_argument("folder", type=Path)
    making.add_argument("--passages", type=int, nargs="*", default=SIZES)
    for name in ("ask", "search"):
        asking = commands.add_parser(name)
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
    elif arguments.command == "search":
        search(arguments.folder, arguments.questions_file, arguments.questions)
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
    """Times of whole answers without wording, and the memory of a process that gives one."""
    questions = _questions(questions_file, count)
    memory = {size: _memory(folder / f"size-{size}", questions[0]) for size in _sizes(folder)}
    archives = {size: Archive.open(folder / f"size-{size}", Settings()) for size in _sizes(folder)}
    for archive in archives.values():
        archive.ask(questions[0], wording=False)
    table = _table(archives)
    for name, filters in _FILTERS.items():

        def run(archive: Archive, question: str, filters: Any = filters) -> None:
            archive.ask(question, wording=False, **filters)

        _rows(table, f"ask, {name}", *_times(archives, questions, run))
    _row(table, "first question after opening, ms", {s: m["first"] for s, m in memory.items()})
    _row(table, "memory, MB", {s: m["memory"] for s, m in memory.items()})
    for archive in archives.values():
        archive.close()
    Console(width=140).print(table)


def search(folder: Path, questions_file: Path, count: int) -> None:
    """Times of the indexes, of the census, and of both after another process has written."""
    questions = _questions(questions_file, count)
    vectors = np.concatenate([np.load(file) for file in sorted(folder.glob("vectors-*.npy"))])
    stores = {size: Store(folder / f"size-{size}") for size in _sizes(folder)}

    def look(store: Store, question: str, filters: Any = None) -> None:
        vector = vectors[questions.index(question) * 7 % len(vectors)]
        scope = Scope(**{"as_of": date.today(), **(filters or {})})
        store.search(question, vector, CANDIDATES, scope.filters)

    def reopened(store: Store, question: str) -> None:
        store.indexes.reload()
        store._census = None
        look(store, question)

    for store in stores.values():
        look(store, questions[0])
    table = _table(stores)
    for name, filters in _FILTERS.items():
        run = partial(look, filters=filters)
        _rows(table, f"indexes, {name}", *_times(stores, questions, run))
    census, used = _times(stores, questions[:5], lambda store, _: Census.take(store.ledger))
    _rows(table, "census of days and outlets", census, used)
    _rows(table, "a search after another wrote", *_times(stores, questions[:5], reopened))
    for store in stores.values():
        store.close()
    Console(width=140).print(table)


def _questions(file: Path, count: int) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    step = max(len(lines) // count, 1)
    return [json.loads(line)["question"] for line in lines[::step]][:count]


def _sizes(folder: Path) -> list[int]:
    return sorted(int(kept.name.removeprefix("size-")) for kept in folder.glob("size-*"))


def _table(sizes: Iterable[int]) -> Table:
    return Table("measure", *(f"{size:,}" for size in sizes), "growth", "of log n", "ratio")


def _rows(table: Table, name: str, times: Times, cpu: Times) -> None:
    p95 = {size: quantiles(values, n=20)[-1] for size, values in times.items()}
    _row(table, f"{name}: p50 ms", _medians(times))
    _row(table, f"{name}: p95 ms", p95)
    _row(table, f"{name}: p50 CPU ms", _medians(cpu))


def _times(
    archives: dict[int, Opened], questions: Sequence[str], run: Callable[[Opened, str], object]
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
    print(f"{name}: {', '.join(shown)}", flush=True)  # what an interrupted run has measured
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
