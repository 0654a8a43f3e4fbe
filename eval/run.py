"""Ask every question of a set, one JSON line each as it goes, and sum up.

A run that was interrupted goes on where it stopped: rows are kept in a file named after the set and
a key that covers everything the rows depend on but the code itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from rich import progress as bars
from rich.console import Console

from eval import metrics
from eval.datasets import Question, QuestionSet, load_questions
from eval.metrics import Abstentions, Figure, Latency, Scores
from rag import Answer, Article, NewsragError, RankedPassage, SourceError

PASSAGES = 50
"""How many passages are retrieved: enough for ten different articles."""

_ROW_FORMAT = 1
_TOTAL = "total"


class HasDigest(Protocol):
    """Settings with a short hash of their values."""

    @property
    def digest(self) -> str:
        """The hash."""


class Asked(Protocol):
    """What the evaluation needs of an archive."""

    @property
    def settings(self) -> HasDigest:
        """The settings that the archive answers with."""

    def ask(
        self,
        question: str,
        history: Sequence[tuple[str, str]] = (),
        as_of: date | None = None,
        *,
        wording: bool = True,
    ) -> Answer:
        """Answer or abstain."""

    def search(
        self, question: str, k: int = 10, as_of: date | None = None
    ) -> Sequence[RankedPassage]:
        """Return the best `k` passages, best first."""

    def articles(self) -> Sequence[Article]:
        """Return all current articles."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to ask and how; see `evaluate`."""

    limit: int | None = None
    seed: int = 0
    wording: bool = True
    dates: bool = True
    retrieval_only: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One asked question. `timings` are milliseconds per stage; "total" is wall time.

    `status` is "found" when only retrieval was asked for. A rank is counted from 1, and None where
    nothing right was found or no gold is known. `error` is set when the question failed.
    """

    id: str
    question: str
    kind: str
    answerable: bool
    answers: tuple[str, ...]
    status: Literal["answered", "abstained", "found", "failed"]
    answer: str = ""
    citations: tuple[Mapping[str, Any], ...] = ()
    article_rank: int | None = None
    passage_rank: int | None = None
    scores: Scores = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation, whole or interrupted. `figures` are grouped; `latency` is per stage.

    `planned` questions were to be asked, `resumed` of the `rows` stem from an earlier run, and for
    `incomplete` questions of the set the archive lacks some of the gold.
    """

    name: str
    format: str
    set_digest: str
    settings_digest: str
    options: Options
    started: datetime
    rows_file: Path
    rows: tuple[Row, ...]
    planned: int
    resumed: int
    incomplete: int
    interrupted: bool
    models: Mapping[str, str]
    abstentions: Abstentions
    figures: Mapping[str, Mapping[str, Figure]]
    latency: Mapping[str, Latency]

    @property
    def failed(self) -> tuple[Row, ...]:
        """The questions that ended in an error; no figure includes them."""
        return tuple(row for row in self.rows if row.error is not None)

    @property
    def noted(self) -> int:
        """How many answers carry a note, for instance of a model that did not answer."""
        return sum(bool(row.notes) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows, as JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values |= {
            "started": self.started.isoformat(timespec="seconds"),
            "rows_file": self.rows_file.name,
            "rows": len(self.rows),
            "failed": [{"id": row.id, "error": row.error} for row in self.failed],
            "noted": self.noted,
            "options": dataclasses.asdict(self.options),
            "models": dict(self.models),
            "abstentions": dataclasses.asdict(self.abstentions),
            "latency": {k: dataclasses.asdict(v) for k, v in self.latency.items()},
            "figures": {
                group: {name: dataclasses.asdict(figure) for name, figure in figures.items()}
                for group, figures in self.figures.items()
            },
        }
        return values


def evaluate(  # noqa: PLR0913 - the options of the command, by name
    archive: Asked,
    set_path: Path | str,
    *,
    out: Path,
    limit: int | None = None,
    seed: int = 0,
    wording: bool = True,
    dates: bool = True,
    retrieval_only: bool = False,
    progress: bool = True,
) -> Result:
    """Ask the questions of a set, keep a row of each under `out`, and sum up.

    `limit` asks a sample of that many, the same for the same `seed`. `wording` false keeps the LLM
    out; `dates` false asks without the questions' dates; `retrieval_only` only searches.
    Ctrl-C stops and sums up what is done; the same call goes on from there. A question that raises
    a `NewsragError` is counted as failed, and asked again by the next run. Raises `SourceError` for
    a set that cannot be read, and `NewsragError` when the extra "eval" is not installed.
    """
    metrics.require_extra()
    options = Options(limit, seed, wording, dates, retrieval_only)
    articles = archive.articles()
    loaded = load_questions(Path(set_path), articles)
    questions = _sample(loaded.questions, options)
    key = _key(archive.settings.digest, loaded.digest, options, articles)
    file = Path(out) / f"{loaded.name}-{key}.jsonl"
    started = datetime.now(UTC)
    rows, stream = _reopen(file, {question.id for question in questions})
    resumed = len(rows)
    todo = [question for question in questions if question.id not in rows]
    interrupted = False
    with stream, _progress_bar(progress) as bar:
        task = bar.add_task("asking", completed=resumed, total=len(questions))
        try:
            for question in todo:
                rows[question.id] = _ask(archive, question, options)
                _write(stream, rows[question.id])
                bar.advance(task)
        except KeyboardInterrupt:
            interrupted = True
    ordered = [rows[question.id] for question in questions if question.id in rows]
    return _sum_up(
        loaded,
        ordered,
        settings_digest=archive.settings.digest,
        options=options,
        started=started,
        rows_file=file,
        planned=len(questions),
        resumed=resumed,
        interrupted=interrupted,
    )


def _sample(questions: Sequence[Question], options: Options) -> list[Question]:
    if options.limit is None or options.limit >= len(questions):
        return list(questions)
    if options.limit < 1:
        raise NewsragError(f"the limit must be at least 1, not {options.limit}")
    chosen = random.Random(options.seed).sample(range(len(questions)), options.limit)
    return [questions[number] for number in sorted(chosen)]


def _key(settings: str, digest: str, options: Options, articles: Iterable[Article]) -> str:
    """Hash what the rows depend on, so that another configuration never takes them for its own."""
    held = sorted((article.id, article.revision) for article in articles)
    values = [_ROW_FORMAT, settings, digest, dataclasses.asdict(options), held]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]


# Rows on disk.


def _reopen(file: Path, wanted: set[str]) -> tuple[dict[str, Row], TextIO]:
    """Return the rows of an earlier run, and the file, open for more of them."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = _resume(file, wanted) if file.exists() else {}
        return rows, file.open("a", encoding="utf-8")
    except OSError as error:
        raise NewsragError(f"{file} cannot be used for the rows: {error}") from error


def _resume(file: Path, wanted: set[str]) -> dict[str, Row]:
    """Take the rows of an earlier run, and rewrite the file without failed and torn ones."""
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    torn = lines.pop()  # Nothing, where the last line is whole.
    rows = [_parse(line, f"{file}:{number}") for number, line in enumerate(lines, 1)]
    kept = {row.id: row for row in rows if row.error is None and row.id in wanted}
    if torn or len(kept) < len(rows):
        fresh = file.with_suffix(".tmp")
        with fresh.open("w", encoding="utf-8") as stream:
            for row in kept.values():
                _write(stream, row)
        fresh.replace(file)
    return kept


def _parse(line: str, place: str) -> Row:
    try:
        values = json.loads(line)
        listed = {name: tuple(values[name]) for name in ("answers", "citations", "notes")}
        return Row(**values | listed)
    except (ValueError, TypeError, KeyError) as error:
        raise SourceError(place, "is not a row of an evaluation; delete the file") from error


def _write(stream: TextIO, row: Row) -> None:
    stream.write(json.dumps(dataclasses.asdict(row), ensure_ascii=True) + "\n")
    stream.flush()


def _progress_bar(shown: bool) -> bars.Progress:
    counts = (bars.MofNCompleteColumn(), bars.TimeElapsedColumn(), bars.TimeRemainingColumn())
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), *counts)
    return bars.Progress(*columns, console=Console(stderr=True), disable=not shown)


# One question.


def _ask(archive: Asked, question: Question, options: Options) -> Row:
    row = Row(
        id=question.id,
        question=question.question,
        kind=question.kind,
        answerable=question.answerable,
        answers=question.answers,
        status="found",
    )
    try:
        as_of = question.as_of if options.dates else None
        query = _query(archive, question, as_of)
        start = time.perf_counter()
        passages = archive.search(query, k=PASSAGES, as_of=as_of)
        row = _with_retrieval(row, question, passages, _milliseconds(start))
        if options.retrieval_only:
            return row
        start = time.perf_counter()
        answer = archive.ask(
            question.question, history=question.history, as_of=as_of, wording=options.wording
        )
        return _with_answer(row, question, answer, _milliseconds(start))
    except NewsragError as error:
        return dataclasses.replace(row, status="failed", scores={}, error=str(error))


def _query(archive: Asked, question: Question, as_of: date | None) -> str:
    """Return what the archive itself searches for: a follow-up does not stand alone."""
    if not question.history:
        return question.question
    quoted = archive.ask(question.question, question.history, as_of, wording=False)
    return quoted.trace.query or question.question


def _milliseconds(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _with_retrieval(
    row: Row, question: Question, passages: Sequence[RankedPassage], total: float
) -> Row:
    ranked = metrics.rank_articles(passages)
    gold = set(question.gold_articles)
    # Without its article in the archive, a passage that holds the answer would be chance.
    answers = question.answers if gold else ()
    rank = metrics.passage_rank(passages, answers, question.gold_spans)
    hits = metrics.passage_scores(rank)
    return dataclasses.replace(
        row,
        article_rank=next((n for n, name in enumerate(ranked, 1) if name in gold), None),
        passage_rank=rank,
        scores=metrics.article_scores(ranked, gold) | (hits if gold else dict.fromkeys(hits)),
        timings={_TOTAL: total},
    )


def _with_answer(row: Row, question: Question, answer: Answer, total: float) -> Row:
    answered = answer.status == "answered"
    spans = {(c.article.id, c.start, c.end) for c in answer.citations}
    cited = question.answerable and answered
    scores = metrics.answer_scores(
        answer.text if answered else None, question.answers, question.answerable
    )
    scores |= metrics.citation_scores(spans, question.gold_spans if cited else ())
    return dataclasses.replace(
        row,
        status=answer.status,
        answer=answer.text,
        citations=tuple(citation.to_dict() for citation in answer.citations),
        scores=row.scores | scores,
        timings=dict(answer.trace.timings) | {_TOTAL: total},
        models=dict(answer.trace.models),
        notes=answer.trace.notes,
    )


# All questions.


def _sum_up(loaded: QuestionSet, rows: Sequence[Row], **known: Any) -> Result:
    scored = [row for row in rows if row.error is None]
    counts = _abstentions(scored)
    differ = any(row.answers and not row.answerable for row in scored)
    answers = metrics.ANSWERS if differ else metrics.ANSWERS[:-2]
    figures = {
        group: {name: metrics.mean(row.scores.get(name) for row in scored) for name in names}
        for group, names in (
            ("retrieval", metrics.RETRIEVAL),
            ("answers", answers),
            ("citations", metrics.CITATIONS),
        )
    }
    figures["abstention"] = metrics.abstention_scores(counts)
    names = dict.fromkeys(stage for row in scored for stage in row.timings)
    stages = {name: [r.timings[name] for r in scored if name in r.timings] for name in names}
    return Result(
        name=loaded.name,
        format=loaded.format,
        set_digest=loaded.digest,
        rows=tuple(rows),
        incomplete=loaded.incomplete,
        models={name: model for row in scored for name, model in row.models.items()},
        abstentions=counts,
        figures=figures,
        latency={stage: metrics.latency(values) for stage, values in stages.items()},
        **known,
    )


def _abstentions(rows: Iterable[Row]) -> Abstentions:
    ends = [(row.status, row.answerable) for row in rows]
    return Abstentions(
        answered_answerable=ends.count(("answered", True)),
        abstained_answerable=ends.count(("abstained", True)),
        answered_unanswerable=ends.count(("answered", False)),
        abstained_unanswerable=ends.count(("abstained", False)),
    )
