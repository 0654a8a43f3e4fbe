"""The progress bar of an ingestion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rag.fetch import is_url
from rag.reports import IngestReport
from rag.sources import count_records
from rag.types import Article

if TYPE_CHECKING:
    from rag.archive import Archive


def ingest_with_progress(
    archive: Archive, inputs: Sequence[str | Path | Article], console: Console, ray: str = ""
) -> tuple[IngestReport, bool]:
    """Ingest with a bar on `console`; returns the report, and whether Ctrl-C ended it."""
    last = IngestReport()
    total = _count(inputs)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("articles, {task.fields[rates]}"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task("Ingesting", total=total, rates="loading the model")

        def update(report: IngestReport) -> None:
            nonlocal last
            last = report
            done = report.added + report.changed + report.unchanged + len(report.failures)
            seconds = max(report.seconds, 1e-9)
            rates = f"{done / seconds:,.0f} articles/s, {report.passages / seconds:,.0f} passages/s"
            # How many pages a feed lists is not known before it is read.
            bar.update(task, completed=done, total=max(total, done), rates=rates)

        def waiting(sentence: str) -> None:
            bar.console.print(sentence, markup=False)

        try:
            return archive.ingest(*inputs, progress=update, waiting=waiting, ray=ray), False
        except KeyboardInterrupt:
            return last, True


def _count(inputs: Sequence[str | Path | Article]) -> int:
    names = [item for item in inputs if not isinstance(item, Article)]
    paths = [Path(name) for name in names if isinstance(name, Path) or not is_url(name)]
    return count_records(paths) + len(inputs) - len(paths)
