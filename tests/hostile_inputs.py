"""Reads two hundred broken and hostile inputs, and reports what becomes of each.

    python tests/hostile_inputs.py FOLDER

FOLDER takes the inputs. Each is read in a process of its own, which is killed after a minute; then
all files are read in one go, each with a good article after it. Printed are, for each, the first
sentence, how many there are, the articles that were read, seconds, and the peak of memory. The exit
code is 1 where one was not refused in a sentence or not read, or where memory passed 1,000 MB.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from hostile_files import GOOD, every
from hostile_sites import sites
from webserver import Site

from rag.reports import Failure
from rag.sources import Known, Record, load
from rag.subscriptions import web_records

MAX_SECONDS = 60
MAX_MEGABYTES = 1000
Results = Iterable[Record | Known | Failure]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input; `problem` is empty where it went as it should."""

    name: str
    articles: int = 0
    failures: int = 0
    first: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    problem: str = ""

    def __str__(self) -> str:
        figures = f"{self.seconds:6.2f} s {self.megabytes:6.0f} MB {self.articles:5} articles"
        said = self.problem or self.first
        return f"{self.name:36} {figures} {self.failures:5} failures  {said[:150]}"


def in_a_process(
    name: str, results: Callable[[], Results], max_seconds: int = MAX_SECONDS
) -> Outcome:
    """Read one input in a process of its own, for its memory and its end to be its own."""
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(max_seconds)
        told: list[object] = [0, 0, "", ""]
        try:
            told[:3] = counted(results())
        except BaseException as error:  # noqa: BLE001
            told[3] = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(told).encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(child, 0)
    seconds, megabytes = time.monotonic() - started, usage.ru_maxrss / 1024
    if not said:
        return Outcome(name, 0, 0, "", seconds, megabytes, f"ended by signal {os.WTERMSIG(status)}")
    articles, failures, first, problem = json.loads(said)
    if not problem and not failures and not articles:
        problem = "nothing was said"
    if megabytes > MAX_MEGABYTES:
        problem = f"took more than {MAX_MEGABYTES:,} MB"
    return Outcome(name, articles, failures, first, seconds, megabytes, problem)


def counted(results: Results) -> list[object]:
    """The articles, the failures, and the first failure as a sentence."""
    articles, failures, first = 0, 0, ""
    for result in results:
        articles += isinstance(result, Record)
        if isinstance(result, Failure):
            first = first or str(result)
            failures += 1
            sentence = str(result)
            if "\n" in sentence or len(sentence) > 3000 or "Traceback" in sentence:
                raise ValueError(f"no clear sentence: {sentence[:200]!r}")
    return [articles, failures, first]


def main(folder: Path) -> int:
    """Make the inputs, read each, then all together; the exit code."""
    import docx
    import feedparser
    import pypdf
    import trafilatura

    print(f"read with {', '.join(m.__name__ for m in (docx, feedparser, pypdf, trafilatura))}")
    folder = folder.resolve()
    outcomes: list[Outcome] = []
    names: list[Path] = []
    child = os.fork()  # Making them takes memory that the reading must not count as its own.
    if child == 0:
        for number, (name, data) in enumerate(every()):
            path = folder / "files" / f"{number:03}-{name.replace('/', '-')}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            text = GOOD["txt"] + f"Number {number}.".encode()
            path.with_name(f"{number:03}~good.txt").write_bytes(text)
        os._exit(0)
    os.waitpid(child, 0)
    names = sorted((folder / "files").iterdir())
    good = [path for path in names if path.name.endswith("~good.txt")]
    for path in names:
        if path not in good:
            outcomes.append(in_a_process(path.name, lambda path=path: load([path])))
            print(outcomes[-1], flush=True)
    site = Site()
    for number, (name, url) in enumerate(list(sites(site))):
        state = folder / f"state-{number}"
        state.mkdir()
        outcomes.append(in_a_process(name, lambda u=url, s=state: online(u, s)))
        print(outcomes[-1], flush=True)
    together = in_a_process("all files together", lambda: only_good(folder / "files"), 3600)
    print(together)
    problems = [outcome for outcome in outcomes if outcome.problem]
    worst = max(outcomes, key=lambda outcome: outcome.megabytes)
    slowest = max(outcomes, key=lambda outcome: outcome.seconds)
    print(
        f"\n{len(outcomes)} inputs, {len(problems)} problems; most memory {worst.megabytes:.0f} MB"
        f" ({worst.name}), slowest {slowest.seconds:.1f} s ({slowest.name}); together"
        f" {together.megabytes:.0f} MB, {together.articles} of {len(good)} good articles;"
        f" at the start {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )
    return int(bool(problems) or bool(together.problem) or together.articles != len(good))


def only_good(folder: Path) -> Results:
    """All that is in the folder, but of the articles those that were put between the inputs."""
    for result in load([folder]):
        if not isinstance(result, Record) or result.origin.endswith("~good.txt"):
            yield result


def online(url: str, state: Path) -> Results:
    """A feed or page, without the pauses."""
    return web_records([url], [], state, allow_private=True, wait=lambda seconds: None)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
