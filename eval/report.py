"""A result on the console, as JSON, and as one HTML file that needs nothing else.

Questions, answers and quotes are untrusted: the console gets them not at all, the page escaped.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.metrics import CUTOFFS, Figure, require_extra
from eval.run import Result, Row
from rag import NewsragError

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from rich.console import Console
    from rich.table import Table

_MISSING = "-"
_LONGEST_CURVE = 20
_BLUE, _ORANGE, _GREY = "#2b6cb0", "#c05621", "#8795a6"
_NOT_PART_OF_SVG = re.compile(r"\A.*?(?=<svg)|<metadata>.*?</metadata>", re.DOTALL)


def print_table(result: Result, console: Console) -> None:
    """Print every figure with the number of questions behind it."""
    from rich.text import Text

    console.print(_figure_table(result))
    console.print(_abstention_table(result))
    console.print(_latency_table(result))
    for remark in remarks(result):
        console.print(Text(remark))


def write_json(result: Result, folder: Path) -> Path:
    """Write the figures, options, models and counts, and return the file. Raises `NewsragError`."""
    return _write(result, folder, ".json", json.dumps(result.to_dict(), indent=2) + "\n")


def write_html(result: Result, folder: Path) -> Path:
    """Write the page with figures, plots and every question, and return the file.

    Raises `NewsragError` when the extra "eval" is not installed or the file cannot be written.
    """
    require_extra()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": _number, "milliseconds": _milliseconds, "hits": _hits}
    template = environment.get_template("report.html.j2")
    page = template.render(result=result, remarks=remarks(result), plots=list(_plots(result)))
    return _write(result, folder, ".html", page)


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
    if result.incomplete:
        texts.append(
            f"For {result.incomplete} questions of the set the archive lacks some of the gold; "
            f'what cannot be scored is "{_MISSING}" and counts under "not scored".'
        )
    return texts


def _write(result: Result, folder: Path, suffix: str, text: str) -> Path:
    path = Path(folder) / result.rows_file.with_suffix(suffix).name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What came from a broken encoding must not cost the report.
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise NewsragError(f"{path} cannot be written: {error}") from error
    return path


def _number(figure: Figure) -> str:
    return _MISSING if figure.value is None else f"{figure.value:.3f}"


def _milliseconds(value: float) -> str:
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


def _table(*numbers: str, title: str, first: str = "") -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    table.add_column(first)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _figure_table(result: Result) -> Table:
    heading = f"{result.name}, settings {result.settings_digest}"
    table = _table("value", "n", "not scored", title=heading)
    for group, figures in result.figures.items():
        table.add_row(group, style="bold")
        for name, figure in figures.items():
            missing = str(figure.missing) if figure.missing else ""
            table.add_row(f"  {name}", _number(figure), str(figure.n), missing)
        table.add_section()
    return table


def _abstention_table(result: Result) -> Table:
    counts = result.abstentions
    table = _table("answered", "abstained", title="Questions")
    table.add_row("answerable", str(counts.answered_answerable), str(counts.abstained_answerable))
    table.add_row(
        "unanswerable", str(counts.answered_unanswerable), str(counts.abstained_unanswerable)
    )
    return table


def _latency_table(result: Result) -> Table:
    from rich.text import Text

    table = _table("p50", "p95", "n", title="Latency in milliseconds", first="stage")
    for stage, times in result.latency.items():
        p50, p95 = _milliseconds(times.p50), _milliseconds(times.p95)
        table.add_row(Text(stage), p50, p95, str(times.n))
    return table


# The plots.


def _plots(result: Result) -> Iterator[tuple[str, Markup]]:
    """Yield a caption and an inline SVG for each plot that has something to show."""
    scored = [row for row in result.rows if row.error is None]
    articles = [row for row in scored if row.scores.get("article MRR") is not None]
    passages = [row for row in scored if row.scores.get("passage hit@1") is not None]
    if articles or passages:
        yield "Retrieval: hit@k", _svg(lambda axes: _draw_hits(axes, articles, passages))
    if result.latency:
        yield "Latency: p50 and p95", _svg(lambda axes: _draw_latency(axes, result))
    if any(row.status in {"answered", "abstained"} for row in scored):
        yield "Answered and abstained", _svg(lambda axes: _draw_abstentions(axes, result))
    values = [value for row in scored if (value := row.scores.get("F1")) is not None]
    if values:
        yield "F1 of answerable questions", _svg(lambda axes: _draw_histogram(axes, values))


def _svg(draw: Callable[[Axes], None]) -> Markup:
    import matplotlib as mpl
    from markupsafe import Markup
    from matplotlib.figure import Figure as Canvas

    style = mpl.rc_context(
        {
            "svg.hashsalt": "newsrag",
            "svg.fonttype": "none",
            "text.parse_math": False,
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    with style:
        canvas = Canvas(figsize=(4.8, 2.9), layout="constrained")
        draw(canvas.subplots())
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    # Matplotlib escapes the text that it draws.
    return Markup(_NOT_PART_OF_SVG.sub("", buffer.getvalue()))


def _draw_hits(axes: Axes, articles: Sequence[Row], passages: Sequence[Row]) -> None:
    cutoffs = range(1, _LONGEST_CURVE + 1)
    for name, color, ranks in (
        ("article", _BLUE, [row.article_rank for row in articles]),
        ("passage", _ORANGE, [row.passage_rank for row in passages]),
    ):
        if ranks:
            shares = [sum(r is not None and r <= k for r in ranks) / len(ranks) for k in cutoffs]
            axes.plot(cutoffs, shares, color=color, label=f"{name} (n = {len(ranks)})")
            axes.plot(CUTOFFS, [shares[k - 1] for k in CUTOFFS], "o", color=color, markersize=4)
    axes.set(xlabel="k", ylabel="share of questions", ylim=(0, 1.03), xticks=(1, 5, 10, 15, 20))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower right", frameon=False)


def _draw_latency(axes: Axes, result: Result) -> None:
    stages = list(result.latency.items())[::-1]
    places = range(len(stages))
    axes.barh(places, [times.p95 for _, times in stages], color=_GREY, height=0.5, label="p95")
    axes.barh(places, [times.p50 for _, times in stages], color=_BLUE, height=0.5, label="p50")
    axes.set_yticks(places, [stage for stage, _ in stages])
    axes.set(xlabel="milliseconds", ylim=(-0.5, len(stages) + 0.1))
    axes.legend(loc="upper right", ncols=2, frameon=False)


def _draw_abstentions(axes: Axes, result: Result) -> None:
    counts = result.abstentions
    answered = (counts.answered_unanswerable, counts.answered_answerable)
    abstained = (counts.abstained_unanswerable, counts.abstained_answerable)
    for values, left, name, color in (
        (answered, (0, 0), "answered", _BLUE),
        (abstained, answered, "abstained", _ORANGE),
    ):
        bars = axes.barh((0, 1), values, left=left, color=color, height=0.5, label=name)
        labels = [str(value) if value else "" for value in values]
        axes.bar_label(bars, labels, label_type="center", color="white")
    axes.set_yticks((0, 1), ("unanswerable", "answerable"))
    axes.set(xlabel="questions", ylim=(-0.5, 2.1))
    axes.legend(loc="upper right", ncols=2, frameon=False)


def _draw_histogram(axes: Axes, values: Sequence[float]) -> None:
    axes.hist(values, bins=20, range=(0, 1), color=_BLUE, edgecolor="white")
    axes.set(xlabel="F1", ylabel="questions", xlim=(0, 1))
    axes.locator_params(axis="y", integer=True)
