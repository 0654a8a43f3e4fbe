"""Prompts against each other, on the same evidence: one table for each question set.

    python tests/benchmark_prompts.py ARCHIVE SET [--limit 100] [--variant NAME=FOLDER ...]

A variant is a folder of prompt files, each of which stands for the one of that name in `prompts/`;
NAME may end in ":4" for four evidence sentences instead of all; with "grammar" in it, the phrase
can only be words that follow each other in the evidence, by a grammar in llama.cpp's sampler. The
prompts as shipped are always the first row. Questions that the archive does not answer are left
out: whether to answer is decided elsewhere. Rows are kept beside each other in a file under --out,
so that a run can be continued.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import resources
from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from eval import metrics
from eval.datasets import Question, load_questions
from rag import Archive, LLMError, answer, models, short, verify
from rag.evidence import EvidenceSentence, select
from rag.inquiry import PASSAGES
from rag.models import LLM, Message, Reply
from rag.retrieve import Scope, condense, search

COLUMNS = {
    "EM": "the phrase is a gold answer",
    "F1": "words that the phrase shares with one",
    "in evidence": "the phrase stands in the evidence, and fits the question",
    "worded": "a sentence was written, not declined",
    "kept": "the first sentence passes its check",
    "gold kept": "it passes, and has a gold answer",
    "seconds": "for both replies, median",
}


def main() -> None:
    """Ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("archive", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", default="9999", help="only questions asked before this day")
    parser.add_argument("--variant", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, default=Path("eval-results/prompts.jsonl"))
    given = parser.parse_args()
    variants = {"as shipped": ""} | dict(one.split("=", 1) for one in given.variant)
    with Archive.open(given.archive, create=False) as archive:
        chosen = sample(archive, given.questions, given.limit, given.seed, given.until)
        rows = ask_all(archive, chosen, variants, given.out)
    table = Table("prompts", "questions", *COLUMNS, title=str(given.questions))
    for name in variants:
        mine = [row for row in rows if row["variant"] == name]
        table.add_row(name, str(len(mine)), *(figure(mine, column) for column in COLUMNS))
    Console(width=140).print(table)


def sample(archive: Archive, file: Path, limit: int, seed: int, until: str) -> list[Question]:
    """The answerable questions of a set, so many of them, the same for the same seed."""
    held = load_questions(file, archive.articles()).questions
    answerable = [q for q in held if q.answerable and str(q.as_of or "") < until]
    chosen = random.Random(seed).sample(range(len(answerable)), min(limit, len(answerable)))
    return [answerable[number] for number in sorted(chosen)]


def ask_all(
    archive: Archive, questions: list[Question], variants: dict[str, str], out: Path
) -> list[dict[str, Any]]:
    """A row for each question and variant; those that the file has are not asked again."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.touch()
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    known = {(row["variant"], row["id"]) for row in rows}
    with out.open("a") as file:
        for question in track(questions, description="asking"):
            left = [name for name in variants if (name, question.id) not in known]
            found = evidence(archive, question) if left else ("", [])
            for name in left:
                row = {"variant": name, "id": question.id}
                count = int(name.rpartition(":")[2]) if ":" in name else len(found[1])
                kept = found[1][:count]
                with prompts(variants[name]), constrained(name, archive._llm, kept):
                    row |= ask(archive, question, found[0], kept)
                rows.append(row)
                file.write(json.dumps(row) + "\n")
                file.flush()
    wanted = {question.id for question in questions}
    return [row for row in rows if row["id"] in wanted]


def evidence(archive: Archive, question: Question) -> tuple[str, list[EvidenceSentence]]:
    """The question as it is searched for, and its evidence, as `ask` finds it."""
    from datetime import date

    query = condense(question.question, question.history)
    store, embedder = archive._store, archive._encoder()
    vector = embedder.encode([query])[0]
    scope = Scope(question.as_of or date.today())
    found = search(store, archive.settings, archive._reader, query, vector, PASSAGES, scope)
    return query, select(store, embedder, query, vector, found)


@contextmanager
def prompts(folder: str) -> Iterator[None]:
    """The prompts of a folder in place of the shipped ones."""
    original = answer._source

    def source(name: str) -> str:
        file = Path(folder) / name
        if folder and file.exists():
            return file.read_text(encoding="utf-8")
        return resources.files("prompts").joinpath(name).read_text(encoding="utf-8")

    answer._source = source  # type: ignore[assignment]
    answer._template.cache_clear()
    try:
        yield
    finally:
        answer._source = original
        answer._template.cache_clear()


@contextmanager
def constrained(name: str, llm: LLM | None, evidence: list[EvidenceSentence]) -> Iterator[None]:
    """For a variant with "grammar" in its name, phrases that stand in the evidence."""
    if "grammar" not in name or llm is None:
        yield
        return
    given = llm.reply

    def reply(messages: Sequence[Message], max_tokens: int) -> Reply:
        if max_tokens != answer.MAX_PHRASE_TOKENS:  # a verdict is no phrase
            return given(messages, max_tokens)
        client = llm.client()
        asked = client.stream_chat(
            models._chat(messages), max_tokens=max_tokens, extra_body={"grammar": grammar(evidence)}
        )
        return Reply("".join(piece.delta or "" for piece in asked), None)

    llm.reply = reply  # type: ignore[method-assign]
    try:
        yield
    finally:
        llm.reply = given  # type: ignore[method-assign]


def grammar(evidence: list[EvidenceSentence]) -> str:
    """GBNF of every run of words in one evidence sentence."""
    starts, rules = [], []
    for number, one in enumerate(evidence):
        words = one.text.split()
        for at, word in enumerate(words):
            core = word.strip(short._EDGES) or word
            lead, tail = word.split(core, 1)
            rest = f" ({_quoted(tail + ' ')} w{number}-{at + 1})?" if at + 1 < len(words) else ""
            before = f"{_quoted(lead)}? " if lead else ""
            rules.append(f"w{number}-{at} ::= {before}{_quoted(core)}{rest}")
            starts.append(f"w{number}-{at}")
    return "\n".join([f"root ::= {' | '.join(starts)}", *rules])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ask(
    archive: Archive, question: Question, query: str, found: list[EvidenceSentence]
) -> dict[str, Any]:
    """One question: the phrase, then the sentence that words it, as `ask` has them written."""
    started = time.perf_counter()
    row: dict[str, Any] = {}
    said, drafts = "", []
    try:
        if short.wanted(query) == "phrase":
            reply = answer.phrase(archive._llm, query, found)
            phrase, home = short.from_phrase(query, reply.text, found)
            said = reply.text if home else ""
            text = phrase.text if phrase else reply.text
            row = {
                "phrase": reply.text,
                "EM": metrics.exact_match(text, question.answers) if question.phrases else None,
                "F1": metrics.f1(text, question.answers) if question.phrases else None,
                "in evidence": float(home is not None),
            }
        drafts = list(answer.write(archive._llm, query, found, said=said))
    except LLMError as error:
        return row | {"error": str(error)}
    row["seconds"] = time.perf_counter() - started
    row["worded"] = float(bool(drafts))
    denies = partial(answer.denies, archive._llm)
    verdicts = [verify.check(archive._support, draft, found, query, denies) for draft in drafts[:1]]
    shown = " ".join(verdict.sentence.text for verdict in verdicts if verdict.sentence)
    gold = metrics.contains(shown, question.answers) if question.phrases else None
    return row | {
        "draft": [draft.text for draft in drafts],
        "reason": [verdict.reason for verdict in verdicts],
        "kept": float(bool(shown)),
        "gold kept": None if gold is None else float(gold),
    }


def figure(rows: list[dict[str, Any]], column: str) -> str:
    """The mean of a column over the rows that have it; of seconds, the median."""
    values = [row[column] for row in rows if row.get(column) is not None]
    if not values:
        return "-"
    return f"{median(values):.1f}" if column == "seconds" else f"{mean(values):.3f}"


if __name__ == "__main__":
    main()
