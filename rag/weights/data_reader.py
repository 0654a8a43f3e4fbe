"""What the reader is fitted on: questions with passages, some of which hold the answer.

Sources, each by the path of its folder: RealTimeQA of one year, NewsQA, SQuAD 2.0, TrecQA, CLAPnq,
and cloze questions made from the articles of RealTimeQA. None of their text is kept.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rag.passages import split_passages, split_sentences
from rag.reader import WINDOW_CHARACTERS
from rag.types import Span
from rag.words import Filters, IndexEntry, WordIndex, stems

NEGATIVES = 3
FITTING_FROM = date(2023, 6, 1)
"""RealTimeQA questions asked before this day are kept for the fusion and the calibration."""

_CLOZE_HITS = 12
_CLOZE_RANK = 5
_CLOZE_SHARE = 0.35
_CLOZE_WORDS = range(8, 33)
_ENTITY = re.compile(
    r"(?<=\s)(?:[A-Z][\w’'-]+(?:\s(?:of\s)?[A-Z][\w’'-]+)+|\d[\d,.]*\d)(?=[\s,.;)])"
)
_ANSWER_HITS = 30
_ANSWER_POSITIVES = 3
_ANSWER_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Reading:
    """A passage with the spans (characters) that answer; relevant ones may have none."""

    title: str
    text: str
    relevant: bool
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One question with passages to tell apart; without a relevant one it is unanswerable."""

    source: str
    question: str
    passages: tuple[Reading, ...]


def held_back(name: str) -> bool:
    """Whether a document, or a question without one, is kept out of the fitting: one in five."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5 == 0


def squad_groups(file: Path, source: str, chance: random.Random) -> Iterator[Group]:
    """SQuAD's format: the paragraph (or part of a long one) against others of its article."""
    for article in json.loads(gzip.decompress(file.read_bytes()))["data"]:
        title = article["title"] if source == "squad2" else ""
        if held_back(article["title"] or article["paragraphs"][0]["context"][:200]):
            continue
        parts = [
            (number, span, paragraph["context"])
            for number, paragraph in enumerate(article["paragraphs"])
            for span in split_passages(paragraph["context"], WINDOW_CHARACTERS)
        ]
        words = [frozenset(stems(text[s.start : s.end])) for _, s, text in parts]
        for number, paragraph in enumerate(article["paragraphs"]):
            for question in paragraph["qas"]:
                group = _squad_group(title, parts, words, number, question, chance)
                if group is not None:
                    yield replace(group, source=source)


def _squad_group(
    title: str,
    parts: Sequence[tuple[int, Span, str]],
    words: Sequence[frozenset[str]],
    number: int,
    question: Mapping[str, Any],
    chance: random.Random,
) -> Group | None:
    answers = {(a["answer_start"], a["answer_start"] + len(a["text"])) for a in question["answers"]}
    own: list[tuple[float, Reading]] = []
    others: list[tuple[float, Reading]] = []
    for (place, span, text), held in zip(parts, words, strict=True):
        inside = tuple(
            (a - span.start, b - span.start)
            for a, b in sorted(answers)
            if place == number and span.start <= a and b <= span.end
        )
        reading = Reading(title, text[span.start : span.end], bool(inside), inside)
        overlap = len(held & set(stems(question["question"]))) + chance.random()
        (own if place == number and (inside or not answers) else others).append((overlap, reading))
    if not own:
        return None
    best = max(own, key=lambda pair: pair[0])[1]
    hard = [reading for _, reading in sorted(others, key=lambda pair: -pair[0])]
    return Group("", question["question"], (best, *hard[:NEGATIVES]))


def trecqa_groups(file: Path, chance: random.Random) -> Iterator[Group]:
    """TrecQA: a sentence that answers against sentences that do not."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for question in dict.fromkeys(row["qtext"] for row in rows):
        mine = [row for row in rows if row["qtext"] == question]
        right = [Reading("", row["atext"], True) for row in mine if row["label"] == "1"]
        wrong = [Reading("", row["atext"], False) for row in mine if row["label"] == "0"]
        for positive in right if len(wrong) >= NEGATIVES else ():
            negatives = chance.sample(wrong, NEGATIVES)
            yield Group("trecqa", question.replace(" ?", "?"), (positive, *negatives))


def clapnq_groups(folder: Path, chance: random.Random) -> Iterator[Group]:
    """CLAPnq: the window with most of the gold sentences against those that share the most words.

    An unanswerable question has its own passage among the others.
    """
    records = []
    for name in ("answerable", "unanswerable"):
        with gzip.open(folder / f"clapnq_dev_{name}.jsonl.gz", "rt", encoding="utf-8") as stream:
            records += [json.loads(line) for line in stream]
    windows = [
        (number, Reading(passage["title"], passage["text"][span.start : span.end], False))
        for number, record in enumerate(records)
        for passage in record["passages"]
        for span in split_passages(passage["text"], WINDOW_CHARACTERS)
    ]
    words = [frozenset(stems(f"{w.title} {w.text}")) for _, w in windows]
    for number, record in enumerate(records):
        if held_back(record["id"]):
            continue
        asked = frozenset(stems(record["input"]))
        gold = record["output"][0]["selected_sentences"]
        order = sorted(range(len(windows)), key=lambda n: -len(words[n] & asked) - chance.random())
        own = [windows[n][1] for n in order if windows[n][0] == number]
        others = [windows[n][1] for n in order if windows[n][0] != number]
        if gold:
            best = max(own, key=lambda w: sum(len(s) for s in gold if s in w.text))
            first = replace(best, relevant=True)
        else:
            first = own[0]
            others = [*own[1:2], *others]
        yield Group("clapnq", record["input"], (first, *others[:NEGATIVES]))


@dataclass(frozen=True, slots=True)
class _News:
    """A passage of an article, with what a search needs to know."""

    article: str
    title: str
    text: str
    day: date


class Newsroom:
    """The articles of one year of RealTimeQA as a word index of passages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._passages: list[_News] = []
        with gzip.open(folder / "articles.jsonl.gz", "rt", encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                day = _day(record["published"])
                for span in split_passages(record["text"], WINDOW_CHARACTERS):
                    text = record["text"][span.start : span.end]
                    self._passages.append(_News(record["url"], record["title"], text, day))
        self._index = WordIndex(Path(tempfile.mkdtemp()))
        self._index.add(
            IndexEntry(n, "", p.text, p.day.toordinal(), "") for n, p in enumerate(self._passages)
        )
        self._index.commit()

    def question_groups(self) -> Iterator[Group]:
        """The news quiz: passages of positive articles that hold the answer, against the rest.

        That a passage holds the answer's words is a weak label, so it must share words with the
        question as well.
        """
        with (self._folder / "questions.jsonl").open(encoding="utf-8") as stream:
            records = [json.loads(line) for line in stream]
        for record in records:
            asked = _day(record["asked"])
            if asked < FITTING_FROM:
                continue
            pattern = _pattern(record["answer"])
            words = set(stems(record["question"]))
            window = Filters(until=asked + timedelta(days=1))
            right, wrong = [], []
            for number, _ in self._index.search(record["question"], _ANSWER_HITS, window):
                passage = self._passages[number]
                spans = tuple(match.span() for match in pattern.finditer(passage.text))
                reading = Reading(passage.title, passage.text, bool(spans), spans)
                shared = len(words & set(stems(f"{passage.title} {passage.text}")))
                if not spans:
                    wrong.append(reading)
                elif passage.article in record["positives"] and shared >= _ANSWER_SHARE * len(
                    words
                ):
                    right.append(reading)
            if len(wrong) >= NEGATIVES:
                for n, reading in enumerate(right[:_ANSWER_POSITIVES]):
                    negatives = wrong[n * NEGATIVES : (n + 1) * NEGATIVES]
                    yield Group("realtimeqa", record["question"], (reading, *negatives))
                if not right and not record["positives"]:
                    yield Group("realtimeqa", record["question"], tuple(wrong[: NEGATIVES + 1]))

    def cloze_groups(self, count: int, chance: random.Random) -> Iterator[Group]:
        """A sentence with its name or number taken out, against other passages on the same story.

        Dhingra et al. 2018, with the passages of another article or another part of this one.
        """
        made = 0
        for number in chance.sample(range(len(self._passages)), len(self._passages)):
            if made == count:
                return
            group = self._cloze_group(number, chance)
            if group is not None:
                made += 1
                yield group

    def _cloze_group(self, number: int, chance: random.Random) -> Group | None:
        text = self._passages[number].text
        span = chance.choice(split_sentences(text))
        sentence = text[span.start : span.end]
        entities = list(_ENTITY.finditer(sentence))
        if not entities or len(sentence.split()) not in _CLOZE_WORDS:
            return None
        entity = chance.choice(entities)
        question = _question(sentence, entity)
        words = set(stems(question))
        pattern = _pattern([entity.group()])
        if not words or pattern.search(question):
            return None
        right, wrong = [], []
        for rank, (hit, _) in enumerate(self._index.search(question, _CLOZE_HITS, Filters())):
            passage = self._passages[hit]
            if hit == number or sentence in passage.text:
                continue
            spans = tuple(match.span() for match in pattern.finditer(passage.text))
            reading = Reading(passage.title, passage.text, bool(spans), spans)
            share = len(words & set(stems(passage.text))) / len(words)
            if not spans:
                wrong.append(reading)
            elif rank < _CLOZE_RANK and share >= _CLOZE_SHARE:
                right.append(reading)
        if not right or len(wrong) < NEGATIVES:
            return None
        return Group("cloze", question, (right[0], *wrong[:NEGATIVES]))


def _pattern(answers: Sequence[str]) -> re.Pattern[str]:
    whole = "|".join(re.escape(answer) for answer in answers)
    return re.compile(rf"(?<!\w)(?:{whole})(?!\w)", re.IGNORECASE)


def _question(sentence: str, entity: re.Match[str]) -> str:
    """The sentence with a question word for the name or number; a question mark at its end."""
    before, after = sentence[: entity.start()].split(), sentence[entity.end() :]
    if entity.group()[0].isdigit():
        word = "how many"
    elif before and before[-1].lower() in {"in", "at", "near", "from"}:
        word = "where"
    else:
        word = "who" if after.lstrip().startswith(("said", "told", "has", "had", "was")) else "what"
    kept = " ".join([*before, word, after.strip().rstrip(".")])
    return f"{kept}?"


def _day(text: str) -> date:
    """A day as RealTimeQA writes it: 2023/01/05."""
    return date.fromisoformat(text[:10].replace("/", "-"))
