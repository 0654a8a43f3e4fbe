"""The support check on sets of claims with evidence: balanced accuracy and AUROC.

Five formats, told apart by their content: our own JSON Lines ({"claim", "evidence", "supported"}),
WiCE, AttributionBench, SummEdits and QAGS. Any of them may be gzipped.
"""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.text import Text

from eval import curves
from eval.asking import Supports
from eval.figures import SUPPORTED, Figure, Values, each, of_columns
from eval.metrics import require_extra
from eval.records import (
    Record,
    as_record,
    decode,
    files_of,
    lines,
    list_of,
    read,
    records_of,
    text_of,
    whole,
)
from eval.report import bounds, number, table, write_text
from rag import NewsragError, SourceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, its evidence as one text, and whether the annotators found it supported."""

    claim: str
    evidence: str
    supported: bool


@dataclass(frozen=True, slots=True)
class SupportScores:
    """The check on the claims of one file, `supported` of which are."""

    name: str
    supported: int
    balanced_accuracy: Figure
    auroc: Figure


@dataclass(frozen=True, slots=True)
class SupportResult:
    """The check on every file that was read. `unknown` files are in another format, and not read.

    The means are over the files that have the figure, each counting the same.
    """

    name: str
    digest: str
    sets: tuple[SupportScores, ...]
    unknown: tuple[str, ...]

    @property
    def mean_balanced_accuracy(self) -> float | None:
        """The mean over files."""
        return _mean([scores.balanced_accuracy for scores in self.sets])

    @property
    def mean_auroc(self) -> float | None:
        """The mean over files."""
        return _mean([scores.auroc for scores in self.sets])

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return dataclasses.asdict(self) | {
            "mean_balanced_accuracy": self.mean_balanced_accuracy,
            "mean_auroc": self.mean_auroc,
        }


class Checking(Supports, Protocol):
    """An archive whose support check is measured."""

    @property
    def digest(self) -> str:
        """A short hash of what the check depends on, among others."""


def _mean(figures: Sequence[Figure]) -> float | None:
    known = [figure.value for figure in figures if figure.value is not None]
    return sum(known) / len(known) if known else None


# The sets.


def is_support_set(path: Path) -> bool:
    """Whether a path holds claims with evidence, and not questions. Raises `SourceError`."""
    return any(_reader(file) is not None for file in files_of(path))


def load_claims(file: Path) -> list[Claim]:
    """Read one file of claims. Raises `SourceError` with file and line.

    "Partially supported" (WiCE) counts as not supported; in QAGS the majority of the annotators
    decides, and an equal vote is left out.
    """
    reader = _reader(file)
    if reader is None:
        known = "newsrag, WiCE, AttributionBench, SummEdits or QAGS"
        raise SourceError(str(file), f"is in no known format of claims with evidence: {known}")
    records = _records(file)
    return [claim for place, record in records for claim in reader(record, place)]


_Reader = Callable[[Record, str], Iterator[Claim]]


def _records(file: Path) -> Iterator[tuple[str, Record]]:
    text = decode(read(file), file)
    values = whole(text)
    if isinstance(values, list):
        for number, value in enumerate(values, 1):
            yield f"{file}#{number}", as_record(value, f"{file}#{number}")
    else:
        yield from lines(text, str(file))


def _reader(file: Path) -> _Reader | None:
    """Return how to read a file by its first record, None for another format."""
    try:
        _, record = next(_records(file), ("", {}))
    except SourceError:
        return None
    return next((read for keys, read in _READERS.items() if set(keys) <= record.keys()), None)


def _own(record: Record, place: str) -> Iterator[Claim]:
    supported = record.get("supported")
    if not isinstance(supported, bool):
        raise SourceError(place, '"supported" must be true or false')
    many = isinstance(record.get("evidence"), list)
    evidence = _joined(record, "evidence", place) if many else text_of(record, "evidence", place)
    yield Claim(text_of(record, "claim", place), evidence, supported)


def _wice(record: Record, place: str) -> Iterator[Claim]:
    labels = {"supported": True, "partially_supported": False, "not_supported": False}
    evidence = _joined(record, "evidence", place)
    yield Claim(text_of(record, "claim", place), evidence, _label(record, "label", labels, place))


def _attributionbench(record: Record, place: str) -> Iterator[Claim]:
    labels = {"attributable": True, "not attributable": False}
    supported = _label(record, "attribution_label", labels, place)
    evidence = _joined(record, "references", place)
    yield Claim(text_of(record, "claim", place), evidence, supported)


def _summedits(record: Record, place: str) -> Iterator[Claim]:
    supported = _label(record, "label", {1: True, 0: False}, place)
    yield Claim(text_of(record, "summary", place), text_of(record, "doc", place), supported)


def _qags(record: Record, place: str) -> Iterator[Claim]:
    article = text_of(record, "article", place)
    for item in records_of(record, "summary_sentences", place):
        votes = [
            _label(vote, "response", {"yes": 1, "no": -1}, place)
            for vote in records_of(item, "responses", place)
        ]
        if sum(votes):
            yield Claim(text_of(item, "sentence", place), article, sum(votes) > 0)


def _joined(record: Record, name: str, place: str) -> str:
    """Return a list of texts as one; some may be blank, but not all."""
    texts = [value for value in list_of(record, name, place) if isinstance(value, str)]
    return text_of({name: " ".join(text for text in texts if text.strip())}, name, place)


def _label(record: Record, name: str, labels: Mapping[Any, T], place: str) -> T:
    value = record.get(name)
    if isinstance(value, str | int) and value in labels:
        return labels[value]
    raise SourceError(place, f'"{name}" must be one of {", ".join(map(str, labels))}')


_READERS: dict[tuple[str, ...], _Reader] = {
    ("claim", "evidence", "supported"): _own,
    ("claim", "evidence", "label", "meta"): _wice,
    ("claim", "references", "attribution_label"): _attributionbench,
    ("doc", "summary", "label"): _summedits,
    ("article", "summary_sentences"): _qags,
}


# The check.


def evaluate_support(
    archive: Checking,
    path: Path | str,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> SupportResult:
    """Check the claims of a file, or of every file below a folder in a known format.

    `limit` takes a sample of that many claims of each file, the same for the same `seed`. A claim
    counts as supported from a probability of `SUPPORTED` on. Raises `SourceError` for a file that
    cannot be read or holds no claims, `NewsragError` without the extra "eval".
    """
    require_extra()
    if limit is not None and limit < 1:
        raise NewsragError(f"the limit must be at least 1, not {limit}")
    root = Path(path)
    files = files_of(root)
    known = [file for file in files if not root.is_dir() or _reader(file) is not None]
    if not known:
        raise SourceError(str(root), "holds no file of claims with evidence")
    sets = []
    for file in known:
        name = str(file.relative_to(root)) if root.is_dir() else file.name
        sets.append(_measure(archive, name, _sample(load_claims(file), limit, seed), progress))
    unknown = tuple(str(file.relative_to(root)) for file in files if file not in known)
    return SupportResult(root.resolve().name.split(".")[0], archive.digest, tuple(sets), unknown)


def _sample(claims: Sequence[Claim], limit: int | None, seed: int) -> list[Claim]:
    if limit is None or limit >= len(claims):
        return list(claims)
    return random.Random(seed).sample(claims, limit)


def _measure(
    archive: Checking, name: str, claims: Sequence[Claim], progress: bool
) -> SupportScores:
    shown = track(claims, description=name, console=Console(stderr=True), disable=not progress)
    probabilities = np.array([archive.supports(c.claim, c.evidence) for c in shown], np.float64)
    supported = np.array([claim.supported for claim in claims], np.float64)
    return SupportScores(
        name=name,
        supported=int(supported.sum()),
        balanced_accuracy=of_columns(each(balanced_accuracy), probabilities, supported),
        auroc=of_columns(each(curves.auroc), probabilities, supported),
    )


def balanced_accuracy(probabilities: Values, supported: Values) -> float:
    """Return the mean of the shares found right among the supported and the others.

    NaN without both classes.
    """
    right = (probabilities >= SUPPORTED) == (supported > 0)
    if not 0 < supported.sum() < len(supported):
        return float("nan")
    return float(right[supported > 0].mean() + right[supported == 0].mean()) / 2


# The report.


def print_support(result: SupportResult, console: Console) -> None:
    """Print a line per file and the mean over files."""
    shown = table(
        *("balanced accuracy", "95 %", "AUROC", "95 %", "n", "supported"),
        title=f"Support check, settings {result.digest}",
    )
    for scores in result.sets:
        figures = (scores.balanced_accuracy, scores.auroc)
        cells = [cell for figure in figures for cell in (number(figure), bounds(figure))]
        counts = (str(scores.auroc.n), str(scores.supported))
        shown.add_row(Text(scores.name), *cells, *counts)
    accuracy, area = (
        number(Figure(value, len(result.sets), 0))
        for value in (result.mean_balanced_accuracy, result.mean_auroc)
    )
    shown.add_row("mean over files", accuracy, "", area, "", "", "", style="bold")
    console.print(shown)
    if result.unknown:
        console.print(Text(f"In another format, and not read: {', '.join(result.unknown)}"))


def write_support(result: SupportResult, folder: Path) -> Path:
    """Write the result as JSON, named after what was read. Raises `NewsragError`."""
    text = json.dumps(result.to_dict(), indent=2) + "\n"
    return write_text(Path(folder) / f"support-{result.name}-{result.digest}.json", text)
