"""Kill ingestion at random moments, again and again, and count what that broke.

    python tests/crash.py --kills 100 --seed 0 --folder /tmp/crash

A child process ingests, revises, deletes and reindexes small articles by a plan that the seed
decides, and is killed by SIGKILL. After some of the kills (the others hit the mending, too) the
archive is opened again as the next command would, and compared with what the plan says. Vectors
are made from hashes of words: what is tried is storage, not the model.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path

import numpy as np

import rag.groups
import rag.ingest
import rag.reindex
import rag.vectors
from rag.agreement import check, recover
from rag.databases import holds_archive
from rag.errors import ArticleNotFoundError
from rag.models import Vectors
from rag.sources import Record
from rag.store import Store
from rag.types import Article
from rag.words import Filters

ROOT = Path(__file__).resolve().parents[1]
ARTICLES = 60
LONGEST_SECONDS = 2.0
REVISED = date(2024, 2, 1)
"""The first day on which a revision may stand that is not an article's first."""


class HashEmbedder:
    """Unit vectors of shape (n, 64) from the words of a text."""

    name = "hashes of words"

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.full((len(texts), 64), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[hashlib.blake2b(word.encode(), digest_size=1).digest()[0] % 64] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def small_batches() -> None:
    """Many steps in little time, so that kills fall into each of them."""
    rag.ingest._BATCH_PASSAGES = 24
    rag.groups._BATCH = 2
    rag.reindex._BATCH_ARTICLES = 8
    rag.vectors.SYNC_THRESHOLD = 100  # the graph is written every so many vectors


@dataclass(frozen=True)
class Step:
    """One command: articles by number to put in (as of this version) or to delete, or a reindex."""

    kind: str
    numbers: tuple[int, ...] = ()
    characters: int = 0


def step(seed: int, number: int) -> Step:
    chance = random.Random(f"{seed}:{number}")
    kind = chance.choices(["put", "delete", "reindex"], [6, 2, 2])[0]
    if kind == "reindex":
        return Step(kind, (), chance.choice([250, 400]))
    count = 14 if kind == "put" else 3
    return Step(kind, tuple(chance.sample(range(ARTICLES), count)))


def made(number: int, version: int) -> Article:
    chance = random.Random(f"{number}:{version}")
    words = ["harbour", "bridge", "council", "strike", "vote", "storm", "ferry", "budget"]
    sentences = [
        f"The {chance.choice(words)} of mark{number}v{version} met the {chance.choice(words)}."
        for _ in range(chance.randrange(4, 30))
    ]
    day = date(2024, 1, 1) + timedelta(days=number % 9)
    text = " ".join(sentences)
    modified = REVISED + timedelta(days=version // 4)
    return Article(f"a{number}", f"Story {number}", text, "Gazette", None, day, modified=modified)


def put(store: Store, articles: Sequence[Article]) -> None:
    records = [Record(f"o:{article.id}", article) for article in articles]
    with store.writing():
        characters = store.passage_characters
        rag.ingest.ingest(store, HashEmbedder(), records, characters, lambda report: None)


def do(store: Store, one: Step, version: int) -> None:
    if one.kind == "put":
        put(store, [made(number, version) for number in one.numbers])
    elif one.kind == "reindex":
        rag.reindex.reindex(store, HashEmbedder(), one.characters, lambda report: None)
    for number in one.numbers if one.kind == "delete" else ():
        with store.writing(), suppress(ArticleNotFoundError):
            recover(store, HashEmbedder())
            store.delete(f"a{number}")


def child(folder: Path, seed: int, journal: Path) -> None:
    """Carry out the plan from where the journal ends, until killed."""
    small_batches()
    store = Store(folder)
    print("ready", flush=True)
    number = len(journal.read_text().split())
    while True:
        do(store, step(seed, number), number)
        with journal.open("a") as file:
            file.write(f"{number}\n")
        number += 1


@dataclass
class Findings:
    """What was wrong, summed over all looks; `mended` are disagreements that a start resolved."""

    kills: int = 0
    looks: int = 0
    steps: int = 0
    mended: int = 0
    lost: int = 0
    duplicated: int = 0
    disagreements: int = 0


def expected(seed: int, done: int) -> dict[int, int]:
    """The version of each article that is there after so many steps."""
    versions: dict[int, int] = {}
    for number in range(done):
        one = step(seed, number)
        if one.kind == "put":
            versions |= dict.fromkeys(one.numbers, number)
        for gone in one.numbers if one.kind == "delete" else ():
            versions.pop(gone, None)
    return versions


def first_versions(seed: int, done: int) -> dict[int, int]:
    """The version in which each article that is there was put in first."""
    versions: dict[int, int] = {}
    for number in range(done):
        one = step(seed, number)
        for given in one.numbers if one.kind == "put" else ():
            versions.setdefault(given, number)
        for gone in one.numbers if one.kind == "delete" else ():
            versions.pop(gone, None)
    return versions


def look_back(store: Store, seed: int, done: int, findings: Findings) -> None:
    """Before anything was revised, the first revisions are found, and no other."""
    before, after = first_versions(seed, done), first_versions(seed, done + 1)
    day = REVISED - timedelta(days=1)
    hits = store.words.search("met", 100_000, Filters(as_of=day))  # which every sentence has
    rows = store.ledger.passage_rows([hit for hit, _ in hits], day).values()
    found = {(row.article_id, row.revision) for row in rows}
    for number in range(ARTICLES):
        allowed = {versions.get(number) for versions in (before, after)}
        texts = {store.ledger.article(*one).text for one in found if one[0] == f"a{number}"}
        wanted = {made(number, v).text if v is not None else None for v in allowed}
        if (texts or {None}) - wanted:
            findings.lost += 1
            print(f"lost: as of {day}, article {number} should be of version {allowed}")


def look(folder: Path, seed: int, done: int, findings: Findings) -> None:
    """Start as the next command would, then compare with the plan; step `done` may be half done."""
    store = Store(folder)
    findings.looks += 1
    findings.mended += len(check(store))
    put(store, [])
    lines = check(store)
    findings.disagreements += len(lines)
    for line in lines:
        print("disagreement:", line)
    before, after = expected(seed, done), expected(seed, done + 1)
    held = {article.id: article.text for article in store.ledger.articles()}
    findings.duplicated += len(store.ledger.articles()) - len(held)
    for number in range(ARTICLES):
        allowed = {versions.get(number) for versions in (before, after)}
        texts = {made(number, v).text if v is not None else None for v in allowed}
        text = held.get(f"a{number}")
        if text not in texts:
            findings.lost += 1
            print(f"lost: article {number} should be of version {allowed}: {text and text[:60]}")
            continue
        for version in allowed - {None}:
            hits = store.words.search(f"mark{number}v{version}", 100, Filters())
            rows = store.ledger.passage_rows([number for number, _ in hits])
            if text == made(number, version).text:
                wanted = len(store.ledger.passages(store.ledger.article(f"a{number}")))
                findings.lost += len(rows) < wanted
                findings.duplicated += len(hits) > wanted
    look_back(store, seed, done, findings)
    store.close()


def run(folder: Path, seed: int, kills: int, seconds: float = 1e9, database: str = "") -> Findings:
    """Kill so many times, or until the time is over, and look at what is left."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / "journal"
    journal.touch()
    archive = folder / "archive"
    if not holds_archive(archive):
        Store(archive, HashEmbedder.name, 250, database=database).close()
    chance = random.Random(seed)
    findings = Findings()
    started = time.monotonic()
    command = [sys.executable, __file__, "--child", "--seed", str(seed), "--folder", str(folder)]
    while findings.kills < kills and time.monotonic() - started < seconds:
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
            assert process.poll() is None, "the child ended by itself"
            process.send_signal(signal.SIGKILL)
        findings.kills += 1
        print(f"kill {findings.kills}", file=sys.stderr)
        if chance.random() < 0.5 or findings.kills == kills:
            look(archive, seed, len(journal.read_text().split()), findings)
    findings.steps = len(journal.read_text().split())
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="end after so long")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--database", default="", help="a PostgreSQL database, empty, by its URL")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.folder / "archive", given.seed, given.folder / "journal")
    found = run(given.folder, given.seed, given.kills, given.seconds, given.database)
    print(", ".join(f"{getattr(found, f.name)} {f.name}" for f in fields(found)))
    return 1 if found.lost or found.duplicated or found.disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
