"""Question sets with their gold, resolved against the articles of an archive.

Three formats, told apart by their content: our own JSON Lines, RealTimeQA JSON Lines, and SQuAD
JSON (NewsQA as MRQA publishes it). Any of them may be gzipped.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from rag import Article, SourceError

GoldSpan = tuple[str, int, int]
"""Article id, start and end: a half-open range of characters of the stored text."""

_QUESTIONS_FILE = "questions.jsonl"
_LONGEST_TITLE = 80


@dataclass(frozen=True, slots=True)
class Question:
    """One question. Gold that the archive does not hold is left out of the two gold fields.

    `answerable` says whether the archive should know; RealTimeQA derives it from a weak label.
    An unanswerable question may have `answers` all the same: true ones that the archive lacks.
    """

    id: str
    question: str
    answers: tuple[str, ...]
    gold_articles: tuple[str, ...]
    gold_spans: tuple[GoldSpan, ...]
    as_of: date | None
    history: tuple[tuple[str, str], ...]
    kind: str
    answerable: bool


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """All questions of a file. `digest` is a hash of its bytes.

    `incomplete` counts the questions with gold articles or quotes that the archive does not hold.
    """

    name: str
    format: str
    digest: str
    questions: tuple[Question, ...]
    incomplete: int


@dataclass(frozen=True, slots=True)
class _Reference:
    """Gold as a file states it: the articles that match, and the quote or offset, if any."""

    articles: tuple[Article, ...]
    spans: tuple[GoldSpan, ...]
    complete: bool


def load_questions(path: Path, articles: Iterable[Article]) -> QuestionSet:
    """Read a question set; `articles` are those of the archive that will be asked.

    `path` is a file, or a RealTimeQA folder. Gold articles are found by canonical URL, by title, or
    by exact text. A repeated id gets a suffix. Raises `SourceError` with file and line.
    """
    file = path / _QUESTIONS_FILE if path.is_dir() else path
    data = _read(file)
    text = _decode(data, file)
    whole = _squad_root(text)
    index = _Index(articles)
    if whole is not None:
        kind, pairs = "squad", _squad_questions(whole, str(file), index)
    else:
        kind, pairs = _line_questions(text, str(file), index)
    questions, complete = zip(*pairs, strict=True) if pairs else ((), ())
    if not questions:
        raise SourceError(str(file), "holds no questions")
    return QuestionSet(
        name=_name(file, kind),
        format=kind,
        digest=hashlib.sha256(data).hexdigest()[:12],
        questions=_with_unique_ids(questions),
        incomplete=complete.count(False),
    )


def newsqa_articles(path: Path) -> list[Article]:
    """Return the articles of a question set in SQuAD format: each context once, text unchanged.

    They have no URL and no date; the id is a hash of the text. Raises `SourceError`.
    """
    root = _squad_root(_decode(_read(path), path))
    if root is None:
        raise SourceError(str(path), "is not JSON in SQuAD format")
    found: dict[str, Article] = {}
    for place, title, paragraph in _squad_paragraphs(root, str(path)):
        text = _text(paragraph, "context", place)
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        heading = " ".join((title or text[:_LONGEST_TITLE]).split())
        found.setdefault(key, Article(id=key, title=heading, text=text))
    return list(found.values())


# Files.


def _read(file: Path) -> bytes:
    try:
        data = file.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(str(file), f"cannot be read: {error}") from error


def _decode(data: bytes, file: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError(f"{file}:{line}", "is not UTF-8") from error


def _name(file: Path, kind: str) -> str:
    stem = file.name.split(".")[0]
    if kind == "newsrag":
        return stem
    folder = file.resolve().parent.name
    return f"realtimeqa-{folder}" if kind == "realtimeqa" else f"{folder}-{stem}"


def _squad_root(text: str) -> Mapping[str, object] | None:
    try:
        root = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return root if isinstance(root, dict) and "data" in root else None


def _lines(text: str, file: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SourceError(place, f"is not JSON: {error}") from error
        yield place, _object(record, place)


def _with_unique_ids(questions: Iterable[Question]) -> tuple[Question, ...]:
    seen: Counter[str] = Counter()
    unique = []
    for question in questions:
        seen[question.id] += 1
        copy = seen[question.id]
        unique.append(question if copy == 1 else replace(question, id=f"{question.id}~{copy}"))
    return tuple(unique)


# Gold.


class _Index:
    """The articles of the archive by what a question set may know: URL, title or bare text."""

    def __init__(self, articles: Iterable[Article]) -> None:
        self._by_url: dict[str, Article] = {}
        self.by_title: defaultdict[str, list[Article]] = defaultdict(list)
        self.by_text: defaultdict[str, list[Article]] = defaultdict(list)
        for article in articles:
            if article.url:
                self._by_url[article.url] = article
                self._by_url.setdefault(_canonical(article.url), article)
            self.by_title[article.title].append(article)
            self.by_text[article.text.strip()].append(article)

    def url(self, url: str) -> list[Article]:
        """Find the article with this address, as written or in its canonical form."""
        article = self._by_url.get(url) or self._by_url.get(_canonical(url))
        return [article] if article else []


def _canonical(url: str) -> str:
    """Return the form that the archive derives article ids from."""
    from courlan import clean_url

    # courlan drops query parts without "=", which in "story.php?20230814" name the article.
    if all("=" in part for part in urlsplit(url).query.split("&") if part):
        return clean_url(url) or url
    return url


def _find_quote(articles: Iterable[Article], quote: str) -> tuple[GoldSpan, ...]:
    """Find the first place of the quote in each article; white space may differ."""
    pattern = re.compile(r"\s+".join(map(re.escape, quote.split())))
    matches = ((article.id, pattern.search(article.text)) for article in articles)
    return tuple((name, *match.span()) for name, match in matches if match)


def _merge(references: Iterable[_Reference]) -> _Reference:
    parts = list(references)
    return _Reference(
        articles=tuple(article for part in parts for article in part.articles),
        spans=tuple(dict.fromkeys(span for part in parts for span in part.spans)),
        complete=all(part.complete for part in parts),
    )


def _ids(reference: _Reference) -> tuple[str, ...]:
    return tuple(dict.fromkeys(article.id for article in reference.articles))


# The formats.


def _line_questions(text: str, file: str, index: _Index) -> tuple[str, list[tuple[Question, bool]]]:
    kind, pairs = "", list[tuple[Question, bool]]()
    for place, record in _lines(text, file):
        kind = kind or _line_format(record, place)
        reader = _own_question if kind == "newsrag" else _realtimeqa_question
        pairs.append(reader(record, place, index))
    return kind, pairs


def _line_format(record: Mapping[str, object], place: str) -> str:
    if {"question", "answers", "gold"} <= record.keys():
        return "newsrag"
    if {"question", "answer", "positives", "asked"} <= record.keys():
        return "realtimeqa"
    known = "newsrag JSON Lines, RealTimeQA JSON Lines or SQuAD JSON"
    raise SourceError(place, f"is in no known format of questions: {known}")


def _own_question(record: Mapping[str, object], place: str, index: _Index) -> tuple[Question, bool]:
    answers = _texts(record, "answers", place)
    gold = _list(record, "gold", place)
    reference = _merge(_own_reference(_object(item, place), place, index) for item in gold)
    as_of = None if record.get("as_of") is None else _date(record, "as_of", place)
    question = Question(
        id=_text(record, "id", place),
        question=_text(record, "question", place),
        answers=answers,
        gold_articles=_ids(reference),
        gold_spans=reference.spans,
        as_of=as_of,
        history=_history(record, place),
        kind=_text(record, "kind", place),
        answerable=bool(answers or gold),
    )
    return question, reference.complete


def _own_reference(gold: Mapping[str, object], place: str, index: _Index) -> _Reference:
    if gold.get("url") is not None:
        articles = index.url(_text(gold, "url", place))
    else:
        articles = index.by_title[_text(gold, "title", place)]
    if gold.get("quote") is None:
        return _Reference(tuple(articles), (), complete=bool(articles))
    spans = _find_quote(articles, _text(gold, "quote", place))
    return _Reference(tuple(articles), spans, complete=bool(spans))


def _realtimeqa_question(
    record: Mapping[str, object], place: str, index: _Index
) -> tuple[Question, bool]:
    positives = _texts(record, "positives", place)
    found = [index.url(url) for url in positives]
    reference = _merge(_Reference(tuple(part), (), complete=bool(part)) for part in found)
    question = Question(
        id=_text(record, "id", place),
        question=_text(record, "question", place),
        answers=_texts(record, "answer", place),
        gold_articles=_ids(reference),
        gold_spans=(),
        as_of=_date(record, "asked", place),
        history=(),
        kind="quiz",
        answerable=bool(positives),
    )
    return question, reference.complete


def _squad_questions(
    root: Mapping[str, object], file: str, index: _Index
) -> list[tuple[Question, bool]]:
    pairs = []
    for place, _, paragraph in _squad_paragraphs(root, file):
        context = _text(paragraph, "context", place)
        articles = tuple(index.by_text[context.strip()])
        for number, item in enumerate(_list(paragraph, "qas", place), 1):
            record_place = f"{place}, question {number}"
            record = _object(item, record_place)
            pairs.append(_squad_question(record, record_place, context, articles))
    return pairs


def _squad_paragraphs(
    root: Mapping[str, object], file: str
) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Yield place, title and paragraph."""
    for number, item in enumerate(_list(root, "data", file), 1):
        place = f"{file}: article {number}"
        article = _object(item, place)
        title = _text(article, "title", place) if article.get("title") else ""
        for part, paragraph in enumerate(_list(article, "paragraphs", place), 1):
            yield f"{place}, paragraph {part}", title, _object(paragraph, place)


def _squad_question(
    record: Mapping[str, object], place: str, context: str, articles: tuple[Article, ...]
) -> tuple[Question, bool]:
    given = [_object(item, place) for item in _list(record, "answers", place)]
    answers = tuple(dict.fromkeys(_text(item, "text", place) for item in given))
    spans: dict[GoldSpan, None] = {}
    for item in given:
        start, text = item.get("answer_start"), _text(item, "text", place)
        if not isinstance(start, int) or context[start : start + len(text)] != text:
            raise SourceError(place, '"answer_start" does not point at the answer in the context')
        for article in articles:
            # The stored text may lack the white space around the context.
            first = start + _indent(article.text) - _indent(context)
            spans[article.id, first, first + len(text)] = None
    answerable = bool(answers) and not record.get("is_impossible")
    question = Question(
        id=_text(record, "id", place),
        question=_text(record, "question", place),
        answers=answers,
        gold_articles=tuple(article.id for article in articles) if answerable else (),
        gold_spans=tuple(spans) if answerable else (),
        as_of=None,
        history=(),
        kind="span",
        answerable=answerable,
    )
    return question, bool(articles) or not answerable


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


# Values of records.


def _object(value: object, place: str) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    raise SourceError(place, "must be an object with named values")


def _text(record: Mapping[str, object], name: str, place: str) -> str:
    value = record.get(name)
    if isinstance(value, str) and value.strip():
        return value
    raise SourceError(place, f'"{name}" must be text, and not empty')


def _list(record: Mapping[str, object], name: str, place: str) -> list[object]:
    value = record.get(name)
    if isinstance(value, list):
        return value
    raise SourceError(place, f'"{name}" must be a list')


def _texts(record: Mapping[str, object], name: str, place: str) -> tuple[str, ...]:
    values = _list(record, name, place)
    return tuple(_text({name: value}, name, place) for value in values)


def _date(record: Mapping[str, object], name: str, place: str) -> date:
    try:
        return date.fromisoformat(_text(record, name, place).replace("/", "-"))
    except ValueError as error:
        raise SourceError(place, f'"{name}" must be a date such as 2023-08-14') from error


def _history(record: Mapping[str, object], place: str) -> tuple[tuple[str, str], ...]:
    turns = []
    for turn in _list(record, "history", place) if record.get("history") else []:
        match turn:
            case [str(question), str(answer)]:
                turns.append((question, answer))
            case _:
                raise SourceError(place, '"history" must be a list of [question, answer] pairs')
    return tuple(turns)
