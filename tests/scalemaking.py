"""A made archive of any size: real sentences recombined, and vectors mixed from real ones.

The opening passages of real articles go in as they are, with the real model's vectors. Every other
article is made of runs of sentences of three real ones; a passage's vector is the mean of the
vectors of the articles that its sentences are from, with noise, so that words and vectors still
speak of the same thing. Article number n is the same in every run.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from zlib import crc32

import numpy as np

from rag.models import SentenceTransformerEmbedder, Vectors
from rag.passages import split_passages, split_sentences
from rag.settings import EMBEDDED_EMBEDDING_MODEL
from rag.sources import Record
from rag.types import Article

FIRST_DAY = date(2015, 1, 1)
DAYS = 3650
OUTLETS = [f"Outlet {number}" for number in range(20)]

_SENTENCES = (30, 90)
_RUN = 7
_NOISE = 0.6
"""The length of the noise beside a vector of length 1: a cosine of about .86 to the original."""
_PART = 256


class Pool:
    """Real openings with their vectors, and real sentences that know which opening is theirs.

    `name` is that of the model: to the archive, this is its embedder.
    """

    name = EMBEDDED_EMBEDDING_MODEL

    def __init__(self, articles: Path, cache: Path, size: int, characters: int) -> None:
        self.titles: list[str] = []
        self.openings: list[str] = []
        self.sentences: list[list[str]] = []
        self._articles_of: dict[str, int] = {}
        self._real: dict[str, int] = {}
        for title, text in _read(articles, size):
            number = len(self.titles)
            lines = [" ".join(text[s.start : s.end].split()) for s in split_sentences(text)]
            kept = [line for line in lines if 40 <= len(line) <= 400 and len(line.split()) > 5]
            joined = "\n".join(kept)
            first = next(iter(split_passages(joined, characters)), None)
            if len(kept) < _RUN or first is None:
                continue
            opening = joined[first.start : first.end]
            if f"{title}\n{opening}" in self._real:
                continue
            self._real[f"{title}\n{opening}"] = number
            self.titles.append(title)
            self.openings.append(opening)
            self.sentences.append(kept)
            for line in kept:
                self._articles_of.setdefault(line, number)
        self.vectors = _embedded(list(self._real), cache)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """What the archive asks of its embedder; shape (len(texts), dimensions), unit rows."""
        rows = [self._row(text) for text in texts]
        return np.stack(rows).astype(np.float32)

    def _row(self, text: str) -> Vectors:
        if text in self._real:
            row: Vectors = self.vectors[self._real[text]]
            return row
        seed = np.random.default_rng(crc32(text.encode()))
        lines = text.split("\n")[1:]
        known = [self._articles_of[line] for line in lines if line in self._articles_of]
        mean = self.vectors[known or [int(seed.integers(len(self.vectors)))]].mean(axis=0)
        noise = seed.standard_normal(len(mean))
        mixed = mean / np.linalg.norm(mean) + _NOISE * noise / np.linalg.norm(noise)
        return mixed / np.linalg.norm(mixed)

    def records(self, first: int) -> Iterator[Record]:
        """Article number `first` and all after it, without end."""
        number = first
        while True:
            yield self._record(number)
            number += 1

    def _record(self, number: int) -> Record:
        random = Random(number)
        if number < len(self.titles):
            title, text = self.titles[number], self.openings[number]
        else:
            several = random.sample(range(len(self.titles)), 3)
            title = self.titles[several[0]]
            lines: list[str] = []
            while len(lines) < random.randint(*_SENTENCES):
                sentences = self.sentences[random.choice(several)]
                start = random.randrange(len(sentences))
                lines += sentences[start : start + _RUN]
            text = "\n".join(lines)
        day = FIRST_DAY + timedelta(random.randrange(DAYS))
        article = Article(f"made-{number}", title, text, random.choice(OUTLETS), None, day)
        return Record(f"made:{number}", article)


def _read(articles: Path, size: int) -> Iterator[tuple[str, str]]:
    with gzip.open(articles, "rt", encoding="utf-8") as file:
        for _, line in zip(range(size), file, strict=False):
            values = json.loads(line)
            yield values["title"], values["text"]


def _embedded(texts: Sequence[str], cache: Path) -> Vectors:
    """The real vectors, computed once; an interrupted run continues."""
    done: list[Vectors] = [np.load(file) for file in sorted(cache.glob("vectors-*.npy"))]
    model = SentenceTransformerEmbedder(EMBEDDED_EMBEDDING_MODEL)
    for first in range(sum(map(len, done)), len(texts), _PART):
        done.append(model.encode(texts[first : first + _PART]))
        np.save(cache / f"vectors-{first:07}.npy", done[-1])
        print(f"{first + len(done[-1]):,} of {len(texts):,} real passages embedded", flush=True)
    return np.concatenate(done)
