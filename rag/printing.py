"""Answers on the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from rag.reports import IngestReport
from rag.types import Answer, Citation, Sentence, byline


class AnswerPrinter:
    """Prints sentences as they come, and at the end what is known only then.

    The short answer, too, is known at the end: it stands first where no sentence came before it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._numbers: dict[Citation, int] = {}

    def sentence(self, sentence: Sentence) -> None:
        """One sentence of the answer, as it comes."""
        self._cited(plain(sentence.text), sentence.citations)

    def finish(self, answer: Answer) -> None:
        """What is left of the answer, or the refusal."""
        if answer.status == "abstained":
            refusal = plain(str(answer))
            refusal.highlight_regex(r"\A.+", "bold")
            self._console.print(refusal)
        else:
            self._answered(answer)
        if answer.probability is not None:
            chance = f"Probability that the archive answers this: {100 * answer.probability:.0f} %"
            self._console.print(f"\n{chance}", style="dim")
        for note in answer.trace.notes:
            errors().print(plain(f"note: {note}"), style="yellow")

    def _answered(self, answer: Answer) -> None:
        waiting = () if self._numbers else answer.sentences
        self._numbers = {citation: n for n, citation in enumerate(answer.citations, 1)}
        if answer.short:
            label = "" if waiting else "In short: "
            phrase = Text.assemble(label, (plain(answer.short.text).plain, "bold"))
            self._cited(phrase, (answer.short.citation,))
        for sentence in waiting:
            self.sentence(sentence)
        for dispute in answer.disputes:
            self._cited(plain(dispute.text), (dispute.later, dispute.earlier))
        if answer.missing:
            self._console.print(plain(f"Not in the archive: {answer.missing}"), style="italic")
        for remark in answer.remarks:
            self._console.print(plain(remark), style="italic")
        self._console.print()
        for citation, number in self._numbers.items():
            heading = plain(f"[{number}] {byline(citation.article)} ({citation.article.id})")
            heading.stylize("cyan")
            self._console.print(heading)
            self._console.print(plain(f"    {' '.join(citation.quote.split())}"))

    def _cited(self, line: Text, citations: Iterable[Citation]) -> None:
        for citation in citations:
            number = self._numbers.setdefault(citation, len(self._numbers) + 1)
            line.append(f" [{number}]", style="cyan")
        self._console.print(line)


def plain(text: str) -> Text:
    """Text from outside, without what a terminal would obey: control and direction characters."""
    return Text(
        "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)
    )


def console() -> Console:
    """Standard output."""
    return Console(soft_wrap=True, highlight=False)


def errors() -> Console:
    """Standard error."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def summary(report: IngestReport) -> str:
    """What an ingestion did, on one line."""
    rate = report.passages / report.seconds if report.seconds else 0.0
    return (
        f"{report.added:,} added, {report.changed:,} changed, {report.unchanged:,} unchanged, "
        f"{len(report.failures):,} failed; {report.passages:,} passages in "
        f"{report.seconds:,.1f} s ({rate:,.0f} a second)"
    )
