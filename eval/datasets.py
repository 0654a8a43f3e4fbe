"""Question sets with their gold, resolved against the articles of an archive.

Five formats, told apart by their content: our own JSON Lines, RealTimeQA, CLAPnq and MT-RAG JSON
Lines, and SQuAD JSON (SQuAD 2.0, and NewsQA as MRQA publishes it). Any of them may be gzipped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from eval.adapters import clapnq_articles, clapnq_question, mtrag_articles, mtrag_question
from eval.formats import (
    Resolved,
    own_question,
    realtimeqa_question,
    squad_articles,
    squad_questions,
)
from eval.gold import GoldSpan, Index, Question
from eval.records import Record, decode, files_of, lines, read, whole
from rag import Article, SourceError

__all__ = ["GoldSpan", "Question", "QuestionSet", "articles_of", "load_questions"]

_QUESTIONS_FILE = "questions.jsonl"


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """All questions of a set. `digest` is a hash of the bytes of its files.

    `incomplete` counts the questions with gold articles or quotes that the archive does not hold.
    `open` counts the lines whose answers are null: nobody has filled them in, they are not asked.
    """

    name: str
    format: str
    digest: str
    questions: tuple[Question, ...]
    incomplete: int
    open: int = 0


@dataclass(frozen=True, slots=True)
class _LineFormat:
    """How to know a format of JSON Lines by its names, and how to read it."""

    name: str
    keys: frozenset[str]
    question: Callable[[Record, str, Index], Resolved]
    articles: Callable[[Record, str], Iterator[Article]] | None = None


_LINE_FORMATS = (
    _LineFormat("newsrag", frozenset({"question", "answers", "gold"}), own_question),
    _LineFormat(
        "realtimeqa", frozenset({"question", "answer", "positives", "asked"}), realtimeqa_question
    ),
    _LineFormat(
        "clapnq", frozenset({"input", "passages", "output"}), clapnq_question, clapnq_articles
    ),
    _LineFormat(
        "mtrag", frozenset({"input", "contexts", "answerability"}), mtrag_question, mtrag_articles
    ),
)


def load_questions(path: Path, articles: Iterable[Article]) -> QuestionSet:
    """Read a question set; `articles` are those of the archive that will be asked.

    `path` is a file, a RealTimeQA folder, or a folder of files in one format. Gold articles are
    found by canonical URL, by title, or by exact text. A repeated id gets a suffix. Raises
    `SourceError` with file and line.
    """
    files = _files(path)
    index = Index(articles)
    digest = hashlib.sha256()
    kinds: set[str] = set()
    pairs: list[Resolved] = []
    unanswered = 0
    for file in files:
        data = read(file)
        digest.update(data)
        text = decode(data, file)
        root = _squad_root(text)
        if root is not None:
            kind, found, left = "squad", squad_questions(root, str(file), index), 0
        else:
            kind, found, left = _line_questions(text, file, index)
        unanswered += left
        kinds |= {kind} if found else set()
        pairs += found
    if not pairs:
        what = "questions whose answers are known" if unanswered else "questions"
        raise SourceError(str(path), f"holds no {what}")
    if len(kinds) > 1:
        raise SourceError(str(path), f"mixes formats: {' and '.join(sorted(kinds))}")
    (kind,) = kinds
    return QuestionSet(
        name=_name(path, files[0], kind),
        format=kind,
        digest=digest.hexdigest()[:12],
        questions=_with_unique_ids(question for question, _ in pairs),
        incomplete=sum(not complete for _, complete in pairs),
        open=unanswered,
    )


def articles_of(path: Path) -> list[Article]:
    """Return the articles that a set brings along (SQuAD, NewsQA, CLAPnq, MT-RAG), each text once.

    They have no URL and no date; the id is a hash of the text, which is unchanged. The paragraphs
    of a SQuAD article are joined. Raises `SourceError`.
    """
    found: dict[str, Article] = {}
    for file in _files(path):
        text = decode(read(file), file)
        root = _squad_root(text)
        articles = _line_articles(text, file) if root is None else squad_articles(root, str(file))
        for article in articles:
            found.setdefault(article.id, article)
    return list(found.values())


def _files(path: Path) -> list[Path]:
    questions = path / _QUESTIONS_FILE
    files = [questions] if questions.is_file() else files_of(path)
    if not files:
        raise SourceError(str(path), "is a folder without a question set: .json or .jsonl")
    return files


def _name(path: Path, file: Path, kind: str) -> str:
    stem = file.name.split(".")[0]
    folder = file.resolve().parent.name
    if kind == "newsrag":
        return stem
    if kind == "realtimeqa":
        return f"realtimeqa-{folder}"
    return folder if path.is_dir() else f"{folder}-{stem}"


def _squad_root(text: str) -> Record | None:
    root = whole(text)
    return root if isinstance(root, dict) and "data" in root else None


def _line_questions(text: str, file: Path, index: Index) -> tuple[str, list[Resolved], int]:
    """Return the format, the questions, and how many lines have null for the answers."""
    found, pairs, unanswered = None, list[Resolved](), 0
    for place, record in lines(text, str(file)):
        found = found or _line_format(record, place)
        if "answers" in record and record["answers"] is None:
            unanswered += 1
        else:
            pairs.append(found.question(record, place, index))
    return found.name if pairs and found else "", pairs, unanswered


def _line_articles(text: str, file: Path) -> Iterator[Article]:
    found = None
    for place, record in lines(text, str(file)):
        found = found or _line_format(record, place)
        if found.articles is None:
            raise SourceError(str(file), f"is in a format without articles: {found.name}")
        yield from found.articles(record, place)


def _line_format(record: Record, place: str) -> _LineFormat:
    for known in _LINE_FORMATS:
        if known.keys <= record.keys():
            return known
    names = "newsrag, RealTimeQA, CLAPnq or MT-RAG JSON Lines, or SQuAD JSON"
    raise SourceError(place, f"is in no known format of questions: {names}")


def _with_unique_ids(questions: Iterable[Question]) -> tuple[Question, ...]:
    seen: Counter[str] = Counter()
    unique = []
    for question in questions:
        seen[question.id] += 1
        copy = seen[question.id]
        unique.append(question if copy == 1 else replace(question, id=f"{question.id}~{copy}"))
    return tuple(unique)
