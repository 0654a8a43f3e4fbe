"""The command line: thin, over `rag.Archive`."""

from __future__ import annotations

import json
import unicodedata
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from rag.errors import NewsragError, SettingsError

if TYPE_CHECKING:
    from rag.archive import Archive
    from rag.types import Answer, Citation, IngestReport, Sentence


class _Group(TyperGroup):
    """Turns every newsrag error into one sentence and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NewsragError as error:
            _errors().print(_plain(f"error: {error}"), style="red")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ask a news archive; every sentence of an answer carries the passage that supports it.",
)

ArchiveOption = Annotated[Path, typer.Option("--archive", help="The archive's folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
NoLlmOption = Annotated[
    bool, typer.Option("--no-llm", help="Quote the evidence; call no language model.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help='"local", a GGUF file, or the URL of an OpenAI-style endpoint.'),
]
ModelNameOption = Annotated[
    str | None, typer.Option("--model-name", help="The model to ask for at the endpoint.")
]
DEFAULT_ARCHIVE = Path("archive")


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders of articles.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
) -> None:
    """Put articles into the archive: .txt, .md, .html, .json, .jsonl, .jsonl.gz, .csv.

    Running it again continues where it stopped; unchanged articles cost nothing.
    """
    from rag.progress import ingest_with_progress

    with _open(archive, create=True) as opened:
        report, interrupted = ingest_with_progress(opened, paths, _errors())
    for failure in report.failures:
        _errors().print(_plain(str(failure)), style="yellow")
    _console().print(_plain(_summary(report)))
    if interrupted:
        _errors().print("Interrupted. The same command continues from here.")
        raise typer.Exit(130)
    if report.failures:
        raise typer.Exit(1)


@app.command()
def status(archive: ArchiveOption = DEFAULT_ARCHIVE, as_json: JsonOption = False) -> None:
    """Say what the archive holds."""
    with _open(archive) as opened:
        held = opened.status()
    if as_json:
        values = {name: getattr(held, name) for name in held.__dataclass_fields__}
        typer.echo(json.dumps(values, default=str, ensure_ascii=False))
        return
    from rich.table import Table

    period = f"{held.first} to {held.last}" if held.first else "no dates"
    table = Table(show_header=False, box=None)
    for name, value in (
        ("archive", held.path),
        ("articles", f"{held.articles:,}"),
        ("passages", f"{held.passages:,}"),
        ("waiting for indexing", f"{held.pending:,}"),
        ("period", f"{period}, {held.undated:,} undated"),
        ("outlets", ", ".join(f"{s} ({n:,})" for s, n in list(held.sources.items())[:10])),
        ("embedding model", held.embedding_model),
        ("size", f"{held.size_bytes / 1e6:,.1f} MB"),
    ):
        table.add_row(name, _plain(value))
    _console().print(table)


@app.command()
def show(
    article: Annotated[str, typer.Argument(help="The id of an article.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
) -> None:
    """Print an article as it is stored."""
    with _open(archive) as opened:
        found = opened.article(article)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    console = _console()
    console.print(_plain(found.title), style="bold")
    line = [found.source, found.published.isoformat() if found.published else None, found.url]
    console.print(_plain(" · ".join(part for part in line if part)), style="dim")
    console.print()
    console.print(_plain(found.text))


@app.command()
def delete(
    article: Annotated[str, typer.Argument(help="The id of an article.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
) -> None:
    """Remove an article from the archive."""
    with _open(archive) as opened:
        opened.delete(article)
    _console().print(_plain(f"Deleted {article}."))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_of: Annotated[
        str | None, typer.Option(help="The day to answer as of: later articles do not exist.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only articles from this day on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only articles up to this day.")] = None,
    source: Annotated[str | None, typer.Option(help="Only articles of this outlet.")] = None,
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question with cited passages, or say that the archive does not know."""
    from rag.types import Answer, Sentence

    days = (_day("--as-of", as_of), _day("--since", since), _day("--until", until))
    with _open(archive, model=model, model_name=model_name) as opened:
        printer = _AnswerPrinter(_console())
        for event in opened.stream(question, (), *days, source, wording=not no_llm):
            if isinstance(event, Sentence) and not as_json:
                printer.sentence(event)
            elif isinstance(event, Answer) and as_json:
                typer.echo(json.dumps(event.to_dict(), ensure_ascii=False))
            elif isinstance(event, Answer):
                printer.finish(event)


@app.command()
def chat(
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 7860,
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
    no_browser: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
) -> None:
    """Open the chat in the browser."""
    from ui.app import serve

    with _open(archive, model=model, model_name=model_name) as opened:
        serve(
            opened,
            port=port,
            open_browser=not no_browser,
            wording=not no_llm,
            started=lambda url: _console().print(_plain(f"The chat is at {url} (Ctrl-C ends it)")),
        )


@app.command(name="eval")
def evaluate(
    question_set: Annotated[Path, typer.Argument(metavar="SET", help="A question set.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    limit: Annotated[int | None, typer.Option(help="Ask a sample of this many questions.")] = None,
    seed: Annotated[int, typer.Option(help="Which sample.")] = 0,
    no_dates: Annotated[bool, typer.Option(help="Ask without the questions' dates.")] = False,
    retrieval_only: Annotated[bool, typer.Option(help="Only search; do not answer.")] = False,
    ingest_set: Annotated[
        bool, typer.Option("--ingest", help="First ingest the articles that the set brings along.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where results are written.")] = Path("eval-results"),
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
) -> None:
    """Measure retrieval, answers, citations, abstention and latency on a question set.

    Running it again continues an interrupted run.
    """
    from eval.datasets import newsqa_articles
    from eval.report import print_table, write_html, write_json
    from eval.run import evaluate as run

    with _open(archive, create=ingest_set, model=model, model_name=model_name) as opened:
        if ingest_set:
            from rag.progress import ingest_with_progress

            _, interrupted = ingest_with_progress(opened, newsqa_articles(question_set), _errors())
            if interrupted:
                raise typer.Exit(130)
        result = run(
            opened,
            question_set,
            limit=limit,
            seed=seed,
            wording=not no_llm,
            dates=not no_dates,
            retrieval_only=retrieval_only,
            out=out,
        )
    console = _console()
    print_table(result, console)
    for path in (write_json(result, out), write_html(result, out)):
        console.print(_plain(f"Written: {path}"))


class _AnswerPrinter:
    """Prints sentences as they come, and the sources at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._numbers: dict[Citation, int] = {}

    def sentence(self, sentence: Sentence) -> None:
        line = _plain(sentence.text)
        for citation in sentence.citations:
            number = self._numbers.setdefault(citation, len(self._numbers) + 1)
            line.append(f" [{number}]", style="cyan")
        self._console.print(line)

    def finish(self, answer: Answer) -> None:
        from rag.types import byline

        if answer.status == "answered" and not self._numbers:
            for sentence in answer.sentences:
                self.sentence(sentence)
        self._console.print()
        if answer.status == "abstained":
            self._console.print("The archive does not say.", style="bold")
            if answer.passages:
                self._console.print("The closest passages, none of which answers:")
            for line in list(dict.fromkeys(byline(p.article) for p in answer.passages))[:5]:
                self._console.print(_plain(f"  - {line}"))
        for citation, number in self._numbers.items():
            heading = _plain(f"[{number}] {byline(citation.article)} ({citation.article.id})")
            heading.stylize("cyan")
            self._console.print(heading)
            self._console.print(_plain(f"    {' '.join(citation.quote.split())}"))
        for note in answer.trace.notes:
            _errors().print(_plain(f"note: {note}"), style="yellow")


def _open(folder: Path, create: bool = False, **flags: str | None) -> Archive:
    from rag.archive import Archive
    from rag.settings import load_settings

    return Archive.open(folder, load_settings(None, **flags), create=create)


def _day(option: str, value: str | None) -> date | None:
    if value is None:
        return None
    from rag.sources import parse_date

    day = parse_date(value)
    if day is None:
        raise SettingsError(f"{option} {value} is not a full date; write it as YYYY-MM-DD")
    return day


def _summary(report: IngestReport) -> str:
    rate = report.passages / report.seconds if report.seconds else 0.0
    return (
        f"{report.added:,} added, {report.changed:,} changed, {report.unchanged:,} unchanged, "
        f"{len(report.failures):,} failed; {report.passages:,} passages in "
        f"{report.seconds:,.1f} s ({rate:,.0f} a second)"
    )


def _plain(text: str) -> Text:
    """Text from outside, without what a terminal would obey: control and direction characters."""
    return Text(
        "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)
    )


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)


def _errors() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    app()
