"""Speed and memory of the pipeline, as ratios to its bare parts run beside it.

    python tests/benchmark.py ARTICLES QUESTIONS [--archive DIR]

ARTICLES are files or a folder that `newsrag ingest` takes; QUESTIONS is a question set. The archive
is made anew unless --archive names one that holds the articles.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.datasets import Question, load_questions
from rag import Archive, Article, verify
from rag.answer import Draft
from rag.evidence import SECTIONS, SENTENCES, EvidenceSentence
from rag.passages import split_sentences
from rag.reader import Reading, forward, tokenize
from rag.retrieve import CANDIDATES

_SAMPLE_QUESTIONS = 200
_SAMPLE_PASSAGES = 4096


class _Bare:
    """The archive's own parts, called without the pipeline around them.

    This reads the pipeline's private parts on purpose: the baseline must be the same index.
    """

    def __init__(self, archive: Archive) -> None:
        self.store = archive._store
        self.embedder: Any = archive._embedder
        self.model = self.embedder.model

    def embed(self, question: str) -> Any:
        return self.model.encode([question], normalize_embeddings=True, show_progress_bar=False)

    def chroma(self, vector: Any) -> Any:
        return self.store.vectors._collection.query(
            query_embeddings=vector, n_results=CANDIDATES, include=["distances"]
        )

    def tantivy(self, question: str) -> Any:
        index = self.store.words._index
        words = "".join(c if c.isalnum() else " " for c in question)
        return index.searcher().search(index.parse_query(words, ["text"]), CANDIDATES)

    def encode(self, texts: list[str]) -> Any:
        return self.model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def main() -> None:
    """Run all benchmarks and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("articles", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--archive", type=Path)
    arguments = parser.parse_args()
    table = Table("measure", "ours", "bare", "ratio", "wanted")
    with tempfile.TemporaryDirectory() as folder:
        made = arguments.archive or Path(folder) / "archive"
        with Archive.open(made) as archive:
            if arguments.archive is None:
                ingestion(archive, arguments.articles, table)
            questions = load_questions(arguments.questions, archive.articles()).questions
            queries(archive, questions[:_SAMPLE_QUESTIONS], table)
            added(archive, questions[:_SAMPLE_QUESTIONS], table)
    start_up(table)
    Console(width=120).print(table)


def ingestion(archive: Archive, articles: Path, table: Table) -> None:
    """Passages per second of `ingest` against bare encoding of a sample of the same passages."""
    bare = _Bare(archive)
    bare.encode(["warm up"])
    report = archive.ingest(articles)
    ours = report.passages / report.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    texts = _passages(archive, _SAMPLE_PASSAGES)
    seconds = _seconds(lambda: bare.encode(texts))
    _row(table, "ingestion, passages/s", ours, len(texts) / seconds, ">= 0.85")
    table.add_row("ingestion, peak memory, MB", f"{peak:,.0f}", "-", "-", "< 3,000")
    table.add_row("ingested passages", f"{report.passages:,}", "-", "-", "-")


def _passages(archive: Archive, count: int) -> list[str]:
    """Evenly spread passages, as they are embedded: with their titles."""
    ledger = archive._store.ledger
    texts = [
        f"{article.title}\n{article.text[passage.start : passage.end]}"
        for article in archive.articles()
        for passage in ledger.passages(article)
    ]
    return texts[:: max(1, len(texts) // count)]


def queries(archive: Archive, questions: tuple[Question, ...], table: Table) -> None:
    """`search` and `ask(wording=False)` against one bare call of each part, in turn."""
    bare = _Bare(archive)
    recorder = _Recorder(archive._reader)
    searches: list[float] = []
    dated: list[float] = []
    sums: list[float] = []
    asks: list[float] = []
    bare_asks: list[float] = []
    for question in questions:
        text, as_of = question.question, question.as_of
        vector = bare.embed(text)
        archive.ask(text, as_of=as_of, wording=False)  # so that every cache is warm
        archive._reader = recorder
        archive.search(text, as_of=as_of)
        sentences = recorder.sentences()
        archive._reader = None
        searches.append(_seconds(partial(archive.search, text)))
        dated.append(_seconds(partial(archive.search, text, as_of=as_of)))
        archive._reader = recorder.reader
        asks.append(_seconds(partial(archive.ask, text, as_of=as_of, wording=False)))
        parts = [
            _seconds(partial(bare.embed, text)),
            _seconds(partial(bare.chroma, vector)),
            _seconds(partial(bare.tantivy, text)),
        ]
        sums.append(sum(parts))
        reading = _seconds(partial(_forward, recorder.reader, recorder.question, recorder.pairs))
        bare_asks.append(sum(parts) + reading + _seconds(partial(bare.encode, sentences)))
    _row(table, "search(), no reader, p50 ms", median(searches) * 1e3, median(sums) * 1e3, "<= 1.3")
    _row(table, "search(as_of=...), no reader, p50 ms", median(dated) * 1e3, median(sums) * 1e3, "")
    _row(table, "ask(wording=False), p50 ms", median(asks) * 1e3, median(bare_asks) * 1e3, "<= 1.3")


class _Recorder:
    """A reader that keeps what it was last asked."""

    name = "recorder"

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.question = ""
        self.pairs: list[tuple[str, str]] = []

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        self.question, self.pairs = question, list(passages)
        readings: list[Reading] = self.reader.read(question, passages)
        return readings

    def sentences(self) -> list[str]:
        """As many sentences as evidence is selected from."""
        texts = [text for _, text in self.pairs[:SECTIONS]]
        return [text[span.start : span.end] for text in texts for span in split_sentences(text)]


def _forward(reader: Any, question: str, pairs: list[tuple[str, str]], batch: int = 16) -> None:
    """The bare forward passes of a cross-encoder over the same pairs, shortest first."""
    import torch

    tokens, model, heads = reader._load()
    ordered = sorted(pairs, key=lambda pair: len(pair[1]))
    with torch.inference_mode():
        for first in range(0, len(ordered), batch):
            part = ordered[first : first + batch]
            forward(model, heads, tokenize(tokens, [question] * len(part), part))


def added(archive: Archive, questions: tuple[Question, ...], table: Table) -> None:
    """What reading, support and abstention add, against the bare forward passes of their pairs."""
    recorder = _Recorder(archive._reader)
    support: Any = archive._support
    ours: list[float] = []
    bare: list[float] = []
    for question in questions:
        text, as_of = question.question, question.as_of
        archive._reader = None
        plain = _seconds(partial(archive.search, text, as_of=as_of))
        archive._reader = recorder
        reading = _seconds(partial(archive.search, text, as_of=as_of)) - plain
        archive._reader = recorder.reader
        sentences = [" ".join(one.split()) for one in recorder.sentences()][:SENTENCES]
        if not sentences:
            continue
        evidence = _evidence(sentences)
        draft = Draft(sentences[0].rstrip(".") + " today.", (1,))
        checking = _seconds(partial(verify.check, support, draft, evidence, text, _silent))
        pairs = [(verify._read([one]), draft.text) for one in evidence]
        ours.append(reading + checking)
        bare.append(
            _seconds(partial(_forward, recorder.reader, recorder.question, recorder.pairs))
            + _seconds(partial(support.logits, pairs))
        )
    _row(table, "reading + support, p50 ms", median(ours) * 1e3, median(bare) * 1e3, "<= 1.2")


def _evidence(sentences: list[str]) -> list[EvidenceSentence]:
    article = Article("benchmark", "", " ".join(sentences))
    starts = [article.text.index(sentence) for sentence in sentences]
    places = zip(starts, sentences, strict=True)
    return [EvidenceSentence(article, at, at + len(one), 0.5, 0.5, 0.5) for at, one in places]


def start_up(table: Table) -> None:
    """`newsrag --help` against a bare Python that imports typer and rich."""

    def run(*arguments: str) -> float:
        command = [sys.executable, *arguments]
        return min(
            _seconds(lambda: subprocess.run(command, capture_output=True, check=True))
            for _ in range(5)
        )

    ours = run("-m", "rag.cli", "--help")
    bare = run("-c", "import typer, rich.console")
    _row(table, "newsrag --help, s", ours, bare, "ours < 0.5")


def _row(table: Table, name: str, ours: float, bare: float, wanted: str) -> None:
    table.add_row(name, f"{ours:,.2f}", f"{bare:,.2f}", f"{ours / bare:.2f}", wanted)


def _silent(text: str, claim: str) -> bool:
    """In place of the language model, which is measured elsewhere: it denies nothing."""
    return False


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
