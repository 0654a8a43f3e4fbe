"""Fit the shipped calibration: `python -m rag.weights.fit_calibration ROWS...`.

ROWS are the row files that `newsrag eval` leaves behind, made with `accepted_error = 1.0` in
`newsrag.toml`, so that nothing was refused for its probability.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from rag.abstain import fit_calibration, save_calibration

Labelled = tuple[Mapping[str, float], bool]

_FOUND = 0.5
"""The least word overlap (F1) of the short answer with the gold one that shows it was there."""


def main(rows: Annotated[list[Path], typer.Argument(help="Row files of evaluations.")]) -> None:
    """Fit on all rows and write `calibration.json` beside this script."""
    sets = [_labelled(file) for file in rows]
    for file, labelled in zip(rows, sets, strict=True):
        answerable = sum(outcome for _, outcome in labelled)
        typer.echo(f"{file.name}: {len(labelled)} questions, {answerable} answerable")
    calibration = fit_calibration([row for labelled in sets for row in labelled])
    written = save_calibration(calibration, Path(__file__).parent)
    for name, weight in calibration.weights.items():
        typer.echo(f"  {name}: {weight:.3f}")
    typer.echo(f"Written: {written}")


def _labelled(file: Path) -> list[Labelled]:
    """The signals of each question, and whether the archive answers it.

    It does where the set says so, and where the answer is the gold one all the same: RealTimeQA's
    label is whether the string of the answer stands in the articles that were retrieved for it.
    """
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [(r["signals"], bool(r["answerable"]) or _found(r)) for r in records if r["signals"]]


def _found(record: Mapping[str, Any]) -> bool:
    return (record["scores"].get("F1 short, all with answers") or 0.0) >= _FOUND


if __name__ == "__main__":
    typer.run(main)
