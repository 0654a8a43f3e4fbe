"""The command line's printer, on answers made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from rag import Answer, Article, Citation, Looked, RankedPassage, Sentence, Short, Trace
from rag.printing import AnswerPrinter

ARTICLE = Article("a1", "Fire on Pier 4", "The fire began at 3 a.m. Nobody was hurt.", "Gazette")
BEGAN, UNHURT = Citation(ARTICLE, 0, 24), Citation(ARTICLE, 25, 41)
ANSWER = Answer(
    "When and why?",
    "answered",
    (Sentence("It began at 3 a.m.", (BEGAN,), 1.0),),
    (),
    Trace(),
    short=Short("3 a.m.", UNHURT),
    probability=0.866,
    missing="why it began.",
)
SOURCES = [
    "[1] Fire on Pier 4, Gazette (a1)",
    "    The fire began at 3 a.m.",
    "[2] Fire on Pier 4, Gazette (a1)",
    "    Nobody was hurt.",
]


def printed(answer: Answer, *, streamed: bool = False) -> list[str]:
    console = Console(soft_wrap=True, highlight=False, no_color=True)
    with console.capture() as capture:
        printer = AnswerPrinter(console)
        for sentence in answer.sentences if streamed else ():
            printer.sentence(sentence)
        printer.finish(answer)
    return capture.get().splitlines()


def test_the_phrase_stands_before_sentences_that_come_at_once() -> None:
    assert printed(ANSWER) == [
        "3 a.m. [2]",
        "It began at 3 a.m. [1]",
        "Not in the archive: why it began.",
        "",
        *SOURCES,
        "",
        "Probability that the archive answers this: 87 %",
    ]


def test_the_phrase_sums_up_sentences_that_were_streamed() -> None:
    assert printed(ANSWER, streamed=True)[:4] == [
        "It began at 3 a.m. [1]",
        "In short: 3 a.m. [2]",
        "Not in the archive: why it began.",
        "",
    ]


def test_an_answer_without_extras_prints_nothing_of_them() -> None:
    plain = replace(ANSWER, short=None, probability=None, missing="")
    for streamed in (False, True):
        assert printed(plain, streamed=streamed) == ["It began at 3 a.m. [1]", "", *SOURCES[:2]]


def test_a_refusal_is_printed_whole_and_then_its_probability() -> None:
    refusal = Answer(
        "Who lit it?",
        "abstained",
        (),
        (RankedPassage(1, ARTICLE, 25, 41, 0.5),),
        Trace(),
        probability=0.04,
        looked=Looked("Who lit it?", ("lit",), 1),
    )
    assert printed(refusal) == [
        *str(refusal).splitlines(),
        "",
        "Probability that the archive answers this: 4 %",
    ]


@pytest.mark.parametrize("evil", ["\x1b[31mred", "a\x07b", "[bold]x[/bold]"])
def test_what_comes_from_outside_is_printed_as_plain_text(evil: str) -> None:
    bad = replace(ANSWER, short=Short(evil, BEGAN), missing=evil)
    refused = replace(bad, status="abstained", looked=Looked(evil, (evil,)))
    for answer in (bad, refused):
        output = "\n".join(printed(answer))
        assert not set(output) & {"\x1b", "\x07"}
        assert evil.replace("\x1b", "\ufffd").replace("\x07", "\ufffd") in output
