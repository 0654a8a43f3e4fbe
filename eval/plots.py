"""The plots of a report, as inline SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eval import curves
from eval.figures import confidence, confidence_and_wrong
from eval.metrics import CUTOFFS
from eval.rows import Row
from eval.run import Result

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

_LONGEST_CURVE = 20
_BLUE, _ORANGE, _GREY = "#2b6cb0", "#c05621", "#8795a6"
_NOT_PART_OF_SVG = re.compile(r"\A.*?(?=<svg)|<metadata>.*?</metadata>", re.DOTALL)


def plots(result: Result) -> Iterator[tuple[str, Markup]]:
    """Yield a caption and an inline SVG for each plot that has something to show."""
    scored = result.scored
    articles = [row for row in scored if row.scores.get("article MRR") is not None]
    passages = [row for row in scored if row.scores.get("passage hit@1") is not None]
    if articles or passages:
        yield "Retrieval: hit@k", _svg(lambda axes: _draw_hits(axes, articles, passages))
    if result.latency:
        yield "Latency: p50 and p95", _svg(lambda axes: _draw_latency(axes, result))
    if any(row.asked for row in scored):
        yield "Answered and abstained", _svg(lambda axes: _draw_abstentions(axes, result))
    values = [value for row in scored if (value := row.scores.get("F1 short")) is not None]
    if values:
        yield (
            "F1 of the short answer, answerable questions",
            _svg(lambda axes: _draw_histogram(axes, values)),
        )
    bins = curves.reliability(*_columns(scored, confidence))
    if bins:
        yield (
            "Reliability: does the archive answer?",
            _svg(lambda axes: _draw_reliability(axes, bins)),
        )
    risks = curves.risk_coverage(*_columns(scored, confidence_and_wrong))
    if risks:
        yield "Risk and coverage", _svg(lambda axes: _draw_risk(axes, risks))


def _columns(
    rows: Sequence[Row], contribution: Callable[[Row], tuple[float, ...] | None]
) -> tuple[curves.Values, curves.Values]:
    """Return the probabilities and outcomes of the rows that have both."""
    pairs = [values for row in rows if (values := contribution(row)) is not None]
    one, other, _ = np.array(pairs, dtype=np.float64).reshape(-1, 3).T
    return one, other


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
    axes.barh(
        places, [times.p95.value or 0 for _, times in stages], color=_GREY, height=0.5, label="p95"
    )
    axes.barh(
        places, [times.p50.value or 0 for _, times in stages], color=_BLUE, height=0.5, label="p50"
    )
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


def _draw_reliability(axes: Axes, bins: Sequence[curves.Bin]) -> None:
    axes.plot((0, 1), (0, 1), color=_GREY, linewidth=1, linestyle="--", label="calibrated")
    places, shares = [b.probability for b in bins], [b.share for b in bins]
    n = sum(b.n for b in bins)
    axes.plot(places, shares, "o-", color=_BLUE, markersize=4, label=f"{len(bins)} bins, n = {n}")
    axes.set(xlabel="probability, mean of the bin", ylabel="share answerable")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="upper left", frameon=False)


def _draw_risk(axes: Axes, risks: Sequence[curves.Risk]) -> None:
    n = len(risks)
    places = [point.coverage for point in risks]
    axes.step(places, [point.risk for point in risks], where="post", color=_ORANGE)
    axes.plot(places[-1:], [risks[-1].risk], "o", color=_ORANGE, markersize=4)
    axes.set(xlabel=f"share of the {n} answers, most probable first", ylabel="share wrong")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.03))
    axes.grid(axis="y", alpha=0.3)
