"""Measure the chat under load, with locust, over Gradio's own queue: one user, then many at once.

    python tests/load.py ARCHIVE [--users 20] [--each 5] [--set eval/sets/corpus.jsonl]

ARCHIVE holds the articles that the question set is about; nothing is worded by a language model.
Each user asks the next question as soon as the last is answered. It fails when a question fails,
or when the p95 of many users is more than USERS times the p50 of one user, divided by the cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle
from pathlib import Path

import gevent
from gradio_queue import DATA, JOIN, Box, messages
from locust import HttpUser, constant, task
from locust.env import Environment
from locust.exception import StopUser

ASK, QUESTION = "ASK", "question"
WARM_UP, ALONE = 3, 20
SHOWN = re.compile(r"nr-cite|nr-abstained")
ROOT = Path(__file__).resolve().parents[1]


class Reader(HttpUser):
    """Asks `each` questions, every one on a page just opened."""

    wait_time = constant(0)
    questions: Iterator[str]
    each: int

    def on_start(self) -> None:
        self.asked = 0
        self.box = Box.of(self.client.get("/config").json())

    @task
    def ask(self) -> None:
        if self.asked == self.each:
            raise StopUser
        self.asked += 1
        began, error = time.perf_counter(), None
        try:
            self._answer(next(self.questions))
        except (OSError, ValueError) as raised:
            error = raised
        self.environment.events.request.fire(
            request_type=ASK,
            name=QUESTION,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=error,
            context={},
        )

    def _answer(self, question: str) -> None:
        """Raises `OSError` and `ValueError` when no answer comes."""
        session = secrets.token_hex(8)
        self.client.post(JOIN, json=self.box.body(question, session)).raise_for_status()
        answer = self.client.get(DATA, params={"session_hash": session}, name=DATA, stream=True)
        seen = ""
        with closing(answer) as response:
            response.raise_for_status()
            for message in messages(response.iter_lines(decode_unicode=True)):
                seen += json.dumps(message)
        if not message["success"] or "nr-error" in seen or not SHOWN.search(seen):
            raise ValueError(f"no answer to {question!r}: {seen[-300:]}")


def measure(url: str, users: int, each: int) -> tuple[int, int, float, float]:
    """Questions, errors, p50 and p95 in ms, of so many users who ask so many questions each."""
    Reader.each = each
    environment = Environment(user_classes=[Reader], host=url)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    runner.spawning_greenlet.join()
    while runner.user_count:
        gevent.sleep(0.1)
    runner.quit()
    asked = environment.stats.get(QUESTION, ASK)
    p50, p95 = (asked.get_response_time_percentile(share) or 0.0 for share in (0.5, 0.95))
    for one in environment.stats.errors.values():
        print(f"{one.occurrences} times: {one.error}", file=sys.stderr)
    return asked.num_requests, environment.stats.total.num_failures, p50, p95


@contextmanager
def served(archive: str) -> Iterator[str]:
    """The address of `newsrag chat --no-llm`, in a process of its own."""
    command = [sys.executable, "-m", "rag.cli", "chat", "--no-llm", "--no-browser", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--archive", archive], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout
        found = re.search(r"http://\S+", process.stdout.readline())
        if not found:
            raise SystemExit("the chat did not start")
        yield found[0].rstrip("/")
    finally:
        process.terminate()
        process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("archive")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--set", type=Path, default=ROOT / "eval" / "sets" / "corpus.jsonl")
    given = parser.parse_args()
    lines = given.set.read_text(encoding="utf-8").splitlines()
    Reader.questions = cycle([json.loads(line)["question"] for line in lines if line.strip()])
    cores = len(os.sched_getaffinity(0))
    with served(str(Path(given.archive).resolve())) as url:
        measure(url, 1, WARM_UP)
        rows = [(1, *measure(url, 1, ALONE)), (given.users, *measure(url, given.users, given.each))]
    print("users  questions  errors  p50 ms  p95 ms")
    for users, questions, errors, p50, p95 in rows:
        print(f"{users:5}  {questions:9}  {errors:6}  {p50:6.0f}  {p95:6.0f}")
    p50, p95 = rows[0][3], rows[1][4]
    most = given.users * p50 / cores
    print(f"p95 of {given.users} users: {p95 / most:.2f} of {given.users} * p50 / {cores} cores")
    return int(p95 > most or any(row[2] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
