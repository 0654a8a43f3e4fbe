from __future__ import annotations

import pytest
from conftest import article

from rag.answer import Draft
from rag.retrieve import EvidenceSentence
from rag.verify import answerable, check, quotes

TEXT = (
    "The council voted 6-1 to repair the bridge for $14.2 million. "
    "Mayor Ruth Osgood denied that the plan was late. "
    "The state paid over 1,000 workers in 2023."
)
ARTICLE = article(1, TEXT, title="Council backs bridge")
QUESTION = "What did the council decide?"


def evidence(*texts: str, similarity: float = 0.6) -> list[EvidenceSentence]:
    return [
        EvidenceSentence(ARTICLE, TEXT.index(t), TEXT.index(t) + len(t), similarity, 0.5, 0.6)
        for t in texts
    ]


ALL = evidence(*TEXT.replace(". ", ".\n").split("\n"))


@pytest.mark.parametrize(
    ("text", "number", "cited"),
    [
        ("The council voted to repair the bridge for $14.2 million.", 1, 0),
        ("Osgood denied that the plan was late.", 2, 1),
        ("The state paid over 1000 workers.", 3, 2),
        ("In 2024, the council voted 6-1 to repair the bridge.", 1, 0),  # the article's year
        ("The council voted 6-1 to repair the bridge.", 3, 0),  # the wrong number is mended
    ],
)
def test_a_supported_sentence_cites_its_span(text: str, number: int, cited: int) -> None:
    sentence = check(Draft(text, (number,)), ALL, QUESTION).sentence
    assert sentence is not None
    assert [citation.quote for citation in sentence.citations] == [ALL[cited].text]
    assert 0.75 <= sentence.support <= 1.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The council voted to repair the bridge for $15.2 million.", "the number 15.2"),
        ("Osgood said that the plan was late.", "a negation differs"),
        ("The council voted not to repair the bridge.", "a negation differs"),
        ("The state paid over 100 workers.", "the number 100 "),
        ("The state paid Walter Bell and over 1,000 workers.", "the name Bell"),
        ("The weather was fine and everybody danced all night.", "its words are not"),
    ],
)
def test_an_unsupported_sentence_is_never_shown(text: str, reason: str) -> None:
    for numbers in ((), (1,), (2,), (3,), (9,)):
        verdict = check(Draft(text, numbers), ALL, QUESTION)
        assert verdict.sentence is None
    own = 3 if "paid" in text else 2 if "Osgood" in text else 1
    assert reason in check(Draft(text, (own,)), ALL, QUESTION).reason


def test_the_question_alone_supports_nothing() -> None:
    draft = Draft("The mayor resigned in June.", (1,))
    assert check(draft, ALL, "Why did the mayor resign in June?").sentence is None


def test_no_evidence_supports_nothing() -> None:
    assert check(Draft("Anything.", (1,)), [], "?").sentence is None


def test_a_model_that_only_points_is_quoted() -> None:
    sentence = check(Draft("", (2,)), ALL, QUESTION).sentence
    assert sentence is not None
    assert sentence.text == sentence.citations[0].quote == ALL[1].text
    assert check(Draft("", (9,)), ALL, QUESTION).sentence is None


def test_far_evidence_does_not_answer() -> None:
    first = TEXT.split(". ", maxsplit=1)[0]
    assert answerable(evidence(first, similarity=0.6))
    assert not answerable(evidence(first, similarity=0.2))
    assert not answerable([])


def test_quotes_cite_themselves() -> None:
    for sentence in quotes(ALL):
        assert sentence.text == sentence.citations[0].quote
