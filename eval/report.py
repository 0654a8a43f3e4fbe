"""A result, or two side by side, on the console, as JSON, and as one HTML file without resources.

Questions, answers and quotes are untrusted: the console gets them not at all, the page escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.compare import Comparison
from eval.figures import Figure
from eval.metrics import require_extra
from eval.plots import plots
from eval.rows import Row
from eval.run import Result
from rag import NewsragError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_MISSING = "-"


def print_table(result: Result, console: Console) -> None:
    """Print every figure with its interval and the number of questions behind it."""
    console.print(_figure_table(result))
    console.print(_abstention_table(result))
    console.print(_latency_table(result))
    _print_remarks(remarks(result), console)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the figures of both, and their difference with its interval."""
    console.print(_comparison_table(comparison))
    _print_remarks(comparison_remarks(comparison), console)


def write_json(result: Result, folder: Path) -> Path:
    """Write the figures, options, models and counts, and return the file. Raises `NewsragError`."""
    return _write(result.rows_file, folder, ".json", _json(result.to_dict()))


def write_comparison_json(comparison: Comparison, folder: Path) -> Path:
    """Write what `write_json` writes for both, and the differences. Raises `NewsragError`."""
    return _write(comparison.theirs.rows_file, folder, ".json", _json(comparison.to_dict()))


def write_html(result: Result, folder: Path) -> Path:
    """Write the page with figures, plots and every question, and return the file.

    Raises `NewsragError` when the extra "eval" is not installed or the file cannot be written.
    """
    shown = {"result": result, "remarks": remarks(result), "plots": list(plots(result))}
    return _write(result.rows_file, folder, ".html", _page("report.html.j2", shown))


def write_comparison_html(comparison: Comparison, folder: Path) -> Path:
    """Write the page with the figures of both and every question; raises as `write_html` does."""
    shown = {"comparison": comparison, "remarks": comparison_remarks(comparison)}
    return _write(comparison.theirs.rows_file, folder, ".html", _page("compare.html.j2", shown))


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


def _page(template: str, shown: Mapping[str, Any]) -> str:
    require_extra()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": number,
        "interval": bounds,
        "milliseconds": _milliseconds,
        "hits": _hits,
    }
    return environment.get_template(template).render(shown)


def _print_remarks(texts: Iterable[str], console: Console) -> None:
    from rich.text import Text

    for text in texts:
        console.print(Text(text))


def comparison_remarks(comparison: Comparison) -> list[str]:
    """Say what a reader has to know of both runs, and of the comparison."""
    sides = (("newsrag", comparison.ours), (comparison.system, comparison.theirs))
    return [
        *(f"{name}: {text}" for name, result in sides for text in remarks(result)),
        f"{comparison.system} gets a follow-up in the form that stands alone, knows no dates, and "
        f'gives no probability, short answer or ranking: those figures are "{_MISSING}".',
    ]


def remarks(result: Result) -> list[str]:
    """Say in sentences what a reader has to know before trusting the figures."""
    done, planned = len(result.rows), result.planned
    texts = [f"{done} of {planned} questions asked; rows: {result.rows_file.name}"]
    if result.interrupted:
        texts.append("Interrupted: the same command goes on from here.")
    if result.resumed:
        texts.append(
            f"{result.resumed} rows are from an earlier run; delete that file to ask again."
        )
    if result.failed:
        reasons = dict.fromkeys(row.error for row in result.failed)
        texts.append(f"{len(result.failed)} failed and are in no figure: {next(iter(reasons))}")
    if result.noted:
        texts.append(f"{result.noted} answers carry a note; see the page.")
    if result.open:
        texts.append(f"{result.open} lines have no answers yet (null) and were not asked.")
    if result.incomplete:
        texts.append(
            f"For {result.incomplete} questions of the set the archive lacks some of the gold; "
            f'what cannot be scored is "{_MISSING}" and counts under "not scored".'
        )
    return texts


def _write(rows_file: Path, folder: Path, suffix: str, text: str) -> Path:
    return write_text(Path(folder) / rows_file.with_suffix(suffix).name, text)


def write_text(path: Path, text: str) -> Path:
    """Write a file and the folders above it, and return it. Raises `NewsragError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What came from a broken encoding must not cost the report.
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise NewsragError(f"{path} cannot be written: {error}") from error
    return path


def number(figure: Figure, sign: bool = False) -> str:
    """Format the value, or a dash where there is none."""
    if figure.value is None:
        return _MISSING
    return f"{figure.value:+.3f}" if sign else f"{figure.value:.3f}"


def bounds(figure: Figure, sign: bool = False) -> str:
    """Format the 95 % interval, for instance ".711 to .770"."""
    if figure.low is None or figure.high is None:
        return ""
    texts = [f"{bound:+.3f}" if sign else f"{bound:.3f}" for bound in (figure.low, figure.high)]
    return " to ".join(texts)


def _milliseconds(figure: Figure) -> str:
    """Format milliseconds with their interval, for instance "14.2 (13.9 to 15.0)"."""
    texts = [_ms(v) for v in (figure.value, figure.low, figure.high) if v is not None]
    return texts[0] if len(texts) == 1 else f"{texts[0]} ({texts[1]} to {texts[2]})"


def _ms(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _hits(row: Row) -> str:
    """Where the first right article and passage stand, for instance "article 1, passage 3"."""
    places = (
        ("article", row.scores.get("article MRR"), row.article_rank),
        ("passage", row.scores.get("passage hit@1"), row.passage_rank),
    )
    known = [(name, rank) for name, score, rank in places if score is not None]
    return ", ".join(f"{name} {rank or 'not found'}" for name, rank in known) or _MISSING


# The console.


def table(*numbers: str, title: str, first: str = "") -> Table:
    """Return an empty table: one column of names, and columns of numbers."""
    from rich.table import Table
    from rich.text import Text

    empty = Table(title=Text(title), title_justify="left")
    empty.add_column(first)
    for name in numbers:
        empty.add_column(name, justify="right")
    return empty


def _figure_table(result: Result) -> Table:
    heading = f"{result.name}, settings {result.settings_digest}"
    shown = table("value", "95 %", "n", "not scored", title=heading)
    for group, figures in result.figures.items():
        shown.add_row(group, style="bold")
        for name, figure in figures.items():
            missing = str(figure.missing) if figure.missing else ""
            cells = (number(figure), bounds(figure), str(figure.n), missing)
            shown.add_row(f"  {name}", *cells)
        shown.add_section()
    return shown


def _comparison_table(comparison: Comparison) -> Table:
    ours, theirs = comparison.ours, comparison.theirs
    heading = f"{ours.name}, settings {ours.settings_digest}"
    shown = table("newsrag", comparison.system, "difference", "95 %", title=heading)
    for group, figures in comparison.differences.items():
        shown.add_row(group, style="bold")
        for name, change in figures.items():
            sides = [_side(result, group, name) for result in (ours, theirs)]
            shown.add_row(f"  {name}", *sides, number(change, True), bounds(change, True))
        shown.add_section()
    for stage in dict.fromkeys((*ours.latency, *theirs.latency)):
        shown.add_row(f"  ms, {stage}, p50", *(_stage(result, stage) for result in (ours, theirs)))
    return shown


def _side(result: Result, group: str, name: str) -> str:
    """Format a figure of one side, which may lack it."""
    figure = result.figures.get(group, {}).get(name)
    return _MISSING if figure is None else number(figure)


def _stage(result: Result, stage: str) -> str:
    times = result.latency.get(stage)
    return _MISSING if times is None or times.p50.value is None else _ms(times.p50.value)


def _abstention_table(result: Result) -> Table:
    counts = result.abstentions
    shown = table("answered", "abstained", title="Questions")
    shown.add_row("answerable", str(counts.answered_answerable), str(counts.abstained_answerable))
    shown.add_row(
        "unanswerable", str(counts.answered_unanswerable), str(counts.abstained_unanswerable)
    )
    return shown


def _latency_table(result: Result) -> Table:
    from rich.text import Text

    shown = table("p50", "p95", "n", title="Latency in milliseconds", first="stage")
    for stage, times in result.latency.items():
        p50, p95 = _milliseconds(times.p50), _milliseconds(times.p95)
        shown.add_row(Text(stage), p50, p95, str(times.p50.n))
    return shown
