"""The command line: thin, over `rag.Archive`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from rag.commands_ingest import app as ingesting
from rag.commands_maintenance import app as maintenance
from rag.commands_timeline import app as telling
from rag.errors import NewsragError, SettingsError
from rag.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, day
from rag.printing import AnswerPrinter, console, errors, plain

if TYPE_CHECKING:
    from rag.archive import Archive


class _Group(TyperGroup):
    """Turns every newsrag error into one sentence and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NewsragError as error:
            errors().print(plain(f"error: {error}"), style="red")
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Ask a news archive; every sentence of an answer carries the passage that supports it.",
)

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
        ("copies", f"{held.copies:,} articles tell {held.copied:,} stories in the same words"),
        ("period", f"{period}, {held.undated:,} undated"),
        ("outlets", ", ".join(f"{s} ({n:,})" for s, n in list(held.sources.items())[:10])),
        ("embedding model", held.embedding_model),
        ("vectors", held.store),
        ("size", f"{held.size_bytes / 1e6:,.1f} MB"),
    ):
        table.add_row(name, plain(value))
    console().print(table)


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
    screen = console()
    screen.print(plain(found.title), style="bold")
    line = [found.source, found.published.isoformat() if found.published else None, found.url]
    screen.print(plain(" · ".join(part for part in line if part)), style="dim")
    screen.print()
    screen.print(plain(found.text))


@app.command()
def delete(
    article: Annotated[str, typer.Argument(help="The id of an article.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
) -> None:
    """Remove an article from the archive."""
    with _open(archive) as opened:
        opened.delete(article)
    console().print(plain(f"Deleted {article}."))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_of: Annotated[
        str | None, typer.Option(help="The day to answer as of: later articles do not exist.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only articles from this day on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only articles up to this day.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only articles of this outlet; may be repeated.")
    ] = None,
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question with cited passages, or say that the archive does not know."""
    from rag.types import Answer, Sentence

    days = (day("--as-of", as_of), day("--since", since), day("--until", until))
    with _open(archive, model=model, model_name=model_name) as opened:
        printer = AnswerPrinter(console())
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
    host: Annotated[
        str, typer.Option(help="The address to listen on; without --auth only this machine's own.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = (
        7860
    ),
    auth: Annotated[
        Path | None, typer.Option(help="A file of users, who log in: see newsrag user.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate, PEM: serve https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key, PEM.")] = None,
    host_name: Annotated[
        list[str] | None, typer.Option(help="A name that browsers reach the chat by; repeatable.")
    ] = None,
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
    no_browser: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
) -> None:
    """Open the chat in the browser."""
    from ui.server import is_loopback, serve

    if (tls_cert is None) != (tls_key is None):
        raise SettingsError("--tls-cert and --tls-key belong together: give both or none")

    def started(url: str) -> None:
        console().print(plain(f"The chat is at {url} (Ctrl-C ends it)"))
        if not (tls_cert or is_loopback(host)):
            errors().print("Passwords cross the network unencrypted: see --tls-cert and --tls-key.")

    with _open(archive, model=model, model_name=model_name) as opened:
        serve(
            opened,
            host,
            port,
            open_browser=not no_browser,
            wording=not no_llm,
            started=started,
            auth=auth,
            tls=(tls_cert, tls_key) if tls_cert and tls_key else None,
            host_names=host_name or (),
        )


@app.command()
def user(
    name: Annotated[str, typer.Argument(help="Who logs in.")],
    auth: Annotated[Path, typer.Option(help="The file of users; it is made when missing.")],
) -> None:
    """Add a user of the chat, or change their password. Deleting their line removes them."""
    from ui.auth import write_user

    password = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again")
    added = write_user(auth, name, password)
    console().print(plain(f"{'Added' if added else 'Changed'} {name} in {auth}."))


@app.command()
def feedback(
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: a question set for newsrag eval.")
    ] = False,
) -> None:
    """Show what users of the chat said about its answers."""
    with _open(archive) as opened:
        rows = opened.feedback()
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    from rich.table import Table

    table = Table("thumb", "question", "note", box=None)
    for row in rows:
        table.add_row(*(plain(str(row.get(key, ""))) for key in ("thumb", "question", "note")))
    console().print(table)


SetArgument = Annotated[
    Path, typer.Argument(metavar="SET", help="A question set, or a set of claims with evidence.")
]
LimitOption = Annotated[int | None, typer.Option(help="Take a sample of this many questions.")]
SeedOption = Annotated[int, typer.Option(help="Which sample.")]
OutOption = Annotated[Path, typer.Option(help="Where results are written.")]


@app.command(name="eval")
def evaluate(
    question_set: SetArgument,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    no_dates: Annotated[bool, typer.Option(help="Ask without the questions' dates.")] = False,
    retrieval_only: Annotated[bool, typer.Option(help="Only search; do not answer.")] = False,
    against: Annotated[
        bool, typer.Option("--compare", help="Also ask llama-index's plain CitationQueryEngine.")
    ] = False,
    ingest_set: Annotated[
        bool, typer.Option("--ingest", help="First ingest the articles that the set brings along.")
    ] = False,
    out: OutOption = Path("eval-results"),
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
) -> None:
    """Measure retrieval, answers, citations, abstention and latency on a question set.

    On a set of claims with evidence, the support check is measured. Running it again continues an
    interrupted run.
    """
    from eval import report, run, support
    from eval.compare import compare

    if against and (no_llm or retrieval_only):
        raise SettingsError("--compare needs the language model: leave out the other option")
    screen = console()
    with _open(archive, create=ingest_set, model=model, model_name=model_name) as opened:
        if support.is_support_set(question_set):
            claims = support.evaluate_support(opened, question_set, limit=limit, seed=seed)
            support.print_support(claims, screen)
            _written(screen, support.write_support(claims, out))
            return
        if ingest_set:
            _ingest_set(opened, question_set)
        if against:
            both = compare(
                opened, question_set, out=out, limit=limit, seed=seed, dates=not no_dates
            )
            report.print_comparison(both, screen)
            _written(screen, report.write_comparison_json(both, out))
            _written(screen, report.write_comparison_html(both, out))
            return
        result = run.evaluate(
            opened,
            question_set,
            limit=limit,
            seed=seed,
            wording=not no_llm,
            dates=not no_dates,
            retrieval_only=retrieval_only,
            out=out,
        )
    report.print_table(result, screen)
    _written(screen, report.write_json(result, out))
    _written(screen, report.write_html(result, out))


@app.command()
def calibrate(
    question_set: Annotated[Path, typer.Argument(metavar="SET", help="A question set.")],
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    limit: LimitOption = None,
    seed: SeedOption = 0,
    out: OutOption = Path("eval-results"),
    no_llm: NoLlmOption = False,
    model: ModelOption = None,
    model_name: ModelNameOption = None,
) -> None:
    """Refit when to answer and when to refuse, on questions of your own.

    The questions are asked without refusals, so that each shows whether its answer is right.
    """
    from dataclasses import replace

    from eval.calibrate import calibrate as fit
    from eval.calibrate import print_calibration
    from rag import fit_calibration
    from rag.archive import Archive
    from rag.settings import load_settings

    settings = load_settings(None, model=model, model_name=model_name)
    with Archive.open(archive, replace(settings, accepted_error=1.0), create=False) as opened:
        report = fit(
            opened,
            question_set,
            fit=fit_calibration,
            accepted_error=settings.accepted_error,
            limit=limit,
            seed=seed,
            wording=not no_llm,
            out=out,
        )
    print_calibration(report, console())


def _ingest_set(opened: Archive, question_set: Path) -> None:
    from eval.datasets import articles_of
    from rag.progress import ingest_with_progress

    _, interrupted = ingest_with_progress(opened, articles_of(question_set), errors())
    if interrupted:
        raise typer.Exit(130)


def _written(screen: Console, path: Path) -> None:
    screen.print(plain(f"Written: {path}"))


def _open(folder: Path, create: bool = False, **flags: str | None) -> Archive:
    from rag.archive import Archive
    from rag.settings import load_settings

    return Archive.open(folder, load_settings(None, **flags), create=create)


app.add_typer(ingesting)
app.add_typer(maintenance)
app.add_typer(telling)

if __name__ == "__main__":
    app()
