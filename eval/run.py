"""Ask every question of a set, one JSON line each as it goes, and sum up.

A run that was interrupted goes on where it stopped: rows are kept in a file named after the set and
a key that covers everything the rows depend on but the code itself.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import progress as bars
from rich.console import Console

from eval import metrics
from eval import rows as files
from eval.asking import Asked, Options, ask
from eval.datasets import Question, QuestionSet, load_questions
from eval.figures import Figure, Latency, figure, grouped, latency, measured
from eval.rows import Row
from rag import NewsragError


@dataclass(frozen=True, slots=True)
class Abstentions:
    """How many questions ended how; the four counts add up to the questions that were asked."""

    answered_answerable: int
    abstained_answerable: int
    answered_unanswerable: int
    abstained_unanswerable: int


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation, whole or interrupted. `figures` are grouped; `latency` is per stage.

    `planned` questions were to be asked, `resumed` of the `rows` stem from an earlier run, and for
    `incomplete` questions of the set the archive lacks some of the gold; `open` lines were not
    asked, because nobody has filled in their answers.
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
    open: int
    interrupted: bool
    models: Mapping[str, str]
    abstentions: Abstentions
    figures: Mapping[str, Mapping[str, Figure]]
    latency: Mapping[str, Latency]

    @property
    def scored(self) -> tuple[Row, ...]:
        """The questions without an error, which are those in the figures."""
        return tuple(row for row in self.rows if row.error is None)

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
            "figures": figures_to_dict(self.figures),
        }
        return values


def figures_to_dict(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, Any]:
    """Return grouped figures as JSON values."""
    return {
        group: {name: dataclasses.asdict(value) for name, value in named.items()}
        for group, named in figures.items()
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """The questions to ask, of which set, and what their rows depend on."""

    loaded: QuestionSet
    questions: tuple[Question, ...]
    options: Options
    settings_digest: str
    articles_digest: str

    def rows_file(self, folder: Path, system: str = "") -> Path:
        """Return the file for the rows of a system, "" being newsrag.

        Its name hashes what the rows depend on, so that no other configuration takes them for its
        own.
        """
        options = dataclasses.asdict(self.options)
        values = [files.ROW_FORMAT, system, self.settings_digest, self.loaded.digest, options]
        key = hashlib.sha256(json.dumps([*values, self.articles_digest]).encode()).hexdigest()[:12]
        return folder / "-".join(
            part for part in (self.loaded.name, system, f"{key}.jsonl") if part
        )


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
    planned = plan(archive, Path(set_path), Options(limit, seed, wording, dates, retrieval_only))
    file = planned.rows_file(Path(out))
    return ask_all(
        planned, file, lambda question: ask(archive, question, planned.options), progress
    )


def plan(archive: Asked, set_path: Path, options: Options) -> Plan:
    """Read the set and choose the questions; raises as `evaluate` does."""
    metrics.require_extra()
    articles = archive.articles()
    loaded = load_questions(set_path, articles)
    held = sorted((article.id, article.revision) for article in articles)
    digest = hashlib.sha256(json.dumps(held).encode()).hexdigest()
    return Plan(loaded, _sample(loaded.questions, options), options, archive.digest, digest)


def _sample(questions: Sequence[Question], options: Options) -> tuple[Question, ...]:
    if options.limit is None or options.limit >= len(questions):
        return tuple(questions)
    if options.limit < 1:
        raise NewsragError(f"the limit must be at least 1, not {options.limit}")
    chosen = random.Random(options.seed).sample(range(len(questions)), options.limit)
    return tuple(questions[number] for number in sorted(chosen))


def ask_all(
    planned: Plan, file: Path, ask_one: Callable[[Question], Row], progress: bool = True
) -> Result:
    """Ask what the file has no row of yet, add a row for each question, and sum up.

    A `NewsragError` of `ask_one` makes a failed row; Ctrl-C ends the asking.
    """
    started = datetime.now(UTC)
    rows, stream = files.reopen(file, {question.id for question in planned.questions})
    resumed = len(rows)
    todo = [question for question in planned.questions if question.id not in rows]
    interrupted = False
    with stream, _progress_bar(progress) as bar:
        task = bar.add_task("asking", completed=resumed, total=len(planned.questions))
        try:
            for question in todo:
                try:
                    rows[question.id] = ask_one(question)
                except NewsragError as error:
                    rows[question.id] = files.failed(question, error)
                files.write(stream, rows[question.id])
                bar.advance(task)
        except KeyboardInterrupt:
            interrupted = True
    ordered = [rows[question.id] for question in planned.questions if question.id in rows]
    return _sum_up(
        planned,
        ordered,
        started=started,
        rows_file=file,
        resumed=resumed,
        interrupted=interrupted,
    )


def _progress_bar(shown: bool) -> bars.Progress:
    counts = (bars.MofNCompleteColumn(), bars.TimeElapsedColumn(), bars.TimeRemainingColumn())
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), *counts)
    return bars.Progress(*columns, console=Console(stderr=True), disable=not shown)


# All questions.


def _sum_up(planned: Plan, rows: Sequence[Row], **known: Any) -> Result:
    loaded = planned.loaded
    scored = [row for row in rows if row.error is None]
    names = dict.fromkeys(stage for row in scored for stage in row.timings)
    stages = {name: [r.timings[name] for r in scored if name in r.timings] for name in names}
    return Result(
        name=loaded.name,
        format=loaded.format,
        set_digest=loaded.digest,
        settings_digest=planned.settings_digest,
        options=planned.options,
        planned=len(planned.questions),
        rows=tuple(rows),
        incomplete=loaded.incomplete,
        open=loaded.open,
        models={name: model for row in scored for name, model in row.models.items()},
        abstentions=_abstentions(scored),
        figures=grouped(measured(scored), lambda measure: figure(measure, scored)),
        latency={stage: latency(values) for stage, values in stages.items()},
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
