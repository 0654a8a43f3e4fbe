"""Figures that differ: told where they are about the same thing, and only there."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from conftest import article

from rag import Answer, Article, Sentence, Trace
from rag.conflicts import disputes
from rag.printing import AnswerPrinter, console
from rag.retrieve import Found, Window
from rag.rows import PassageRow
from rag.serial import answer_from_dict
from rag.store import Candidate
from rag.types import Citation, Dispute, RankedPassage

HOMES = "How many homes were evacuated in the Millbrook flood?"
EARLIER = "The river flooded Millbrook, and 312 homes were evacuated."
LATER = "People were moved out of 212 homes, not 312."


def told(number: int, text: str, figure: str, *, title: str = "Flood in Millbrook") -> Found:
    """A passage of one sentence, whose phrase the reader takes for the answer."""
    of = article(number, text, title=title, published=date(2024, 1, number))
    of = replace(of, source=f"Outlet {number}")
    start = text.rindex(figure)
    window = Window(of, 0, len(text), 4.0, ((start, start + len(figure), 5.0),))
    row = PassageRow(number, number, of.id, 1, 0, len(text), 0, None)
    passage = RankedPassage(number, of, 0, len(text), 1.0)
    return Found(passage, Candidate(row, 1.0, 1.0, 1.0), (window,))


def shown(one: Found) -> Sentence:
    passage = one.passage
    citation = Citation(passage.article, passage.start, passage.end)
    return Sentence(citation.quote, (citation,), 1.0)


@pytest.mark.parametrize("phrase", ["212", "312"])
@pytest.mark.parametrize("first", [0, 1])
def test_a_correction_is_told_whichever_was_quoted(phrase: str, first: int) -> None:
    found = [
        told(1, EARLIER, "312"),
        told(3, LATER, phrase, title="Correction: homes evacuated in Millbrook flood"),
    ]
    (dispute,) = disputes(HOMES, found, [shown(found[first])])
    assert dispute.corrects
    assert dispute.figures == ("212", "312")
    assert dispute.text == (
        "A later article corrects an earlier one: “212” (Outlet 3, 3 January 2024), "
        "before that “312” (Outlet 1, 1 January 2024)."
    )


def test_sources_that_disagree_are_both_dated_the_later_first() -> None:
    found = [
        told(4, "Police said about 400 homes were evacuated in Millbrook.", "400"),
        told(2, "The mayor said 250 homes were evacuated in Millbrook.", "250 homes"),
    ]
    (dispute,) = disputes(HOMES, found, [shown(found[1])])
    assert (dispute.figures, dispute.corrects) == (("400", "250"), False)
    assert dispute.text.startswith("Articles differ: “400” (Outlet 4, 4 January 2024)")


@pytest.mark.parametrize(
    ("other", "figure"),
    [
        ("Some 315 homes were evacuated in Millbrook.", "315"),  # rounded
        ("More than 300 homes were evacuated in Millbrook.", "300"),  # within its bound
        ("In Millbrook, 90 people were evacuated.", "90"),  # another thing
        ("The flood in Millbrook cost $40 million.", "$40 million"),
        ("Elsewhere 90 homes lost power.", "90"),  # another matter
        ("Of the 312 homes evacuated in Millbrook, 90 homes are lost.", "90"),  # it knows of both
        ("Nobody counted the homes evacuated in Millbrook.", "Nobody"),
    ],
)
def test_what_may_be_no_dispute_is_none(other: str, figure: str) -> None:
    found = [told(1, EARLIER, "312"), told(2, other, figure, title="Millbrook")]
    assert disputes(HOMES, found, [shown(found[0])]) == ()


def test_only_a_shown_figure_of_a_question_for_one_is_disputed() -> None:
    found = [
        told(1, EARLIER, "312"),
        told(3, LATER, "212", title="Correction: homes evacuated in Millbrook flood"),
    ]
    assert disputes("Who was evacuated in the Millbrook flood?", found, [shown(found[0])]) == ()
    assert disputes(HOMES, found, []) == ()


def test_an_answer_shows_both_and_keeps_them(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        told(1, EARLIER, "312"),
        told(3, LATER, "212", title="Correction: homes evacuated in Millbrook flood"),
    ]
    differ = disputes(HOMES, found, [shown(found[0])])
    answer = Answer(HOMES, "answered", (shown(found[0]),), (), Trace(), disputes=differ)
    assert [c.quote for c in answer.citations] == [EARLIER, LATER]
    assert f"{differ[0].text} [2] [1]" in str(answer)
    AnswerPrinter(console()).finish(answer)
    assert f"{differ[0].text} [2] [1]" in capsys.readouterr().out
    held: dict[str, Article] = {one.passage.article.id: one.passage.article for one in found}
    again = answer_from_dict(answer.to_dict(), lambda article_id, revision: held[article_id])
    assert again.disputes == answer.disputes
    assert isinstance(again.disputes[0], Dispute)
