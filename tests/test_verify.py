from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from conftest import article
from numpy.typing import NDArray

from rag.answer import Draft
from rag.evidence import EvidenceSentence
from rag.support import SupportModel
from rag.verify import MIN_SUPPORT, Support, Verdict, check, quotes, supports

TEXT = (
    "The council voted 6-1 to repair the bridge for $14.2 million. "
    "Mayor Ruth Osgood denied that the plan was late. "
    "The state paid over 1,000 workers in 2023."
)
ARTICLE = article(1, TEXT, title="Council backs bridge")
QUESTION = "What did the council decide?"


class Believer:
    """Stands in at the support seam: believes what shares a word with `words`; keeps the pairs."""

    def __init__(self, words: str = "", chance: float = 0.9) -> None:
        self.words = set(words.split())
        self.chance = chance
        self.asked: list[Sequence[tuple[str, str]]] = []

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.asked.append(pairs)
        believed = [not self.words or bool(self.words & set(text.split())) for text, _ in pairs]
        return np.array([self.chance if b else 0.1 for b in believed], np.float32)


@pytest.fixture(scope="module")
def model() -> SupportModel:
    return SupportModel()


def evidence(*texts: str, similarity: float = 0.6) -> list[EvidenceSentence]:
    return [
        EvidenceSentence(ARTICLE, TEXT.index(t), TEXT.index(t) + len(t), similarity, 0.5, 0.6)
        for t in texts
    ]


def checked(model: Support, draft: Draft, lines: Sequence[EvidenceSentence], query: str) -> Verdict:
    """The check where the language model objects to nothing."""
    return check(model, draft, lines, query, lambda text, claim: False)


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
def test_a_supported_sentence_cites_its_span(
    model: SupportModel, text: str, number: int, cited: int
) -> None:
    verdict = checked(model, Draft(text, (number,)), ALL, QUESTION)
    sentence = verdict.sentence
    assert sentence is not None
    assert [citation.quote for citation in sentence.citations] == [ALL[cited].text]
    assert MIN_SUPPORT <= sentence.support == verdict.support <= 1.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The council said", "breaks off"),
        ("The council voted to repair the", "breaks off"),
        ("According to the council,", "breaks off"),
        ("The council voted to repair the bridge for $15.2 million.", "the number $15.2 million"),
        ("Osgood said that the plan was late.", "a negation of the cited text is missing"),
        ("The council voted not to repair the bridge.", "a negation is not"),
        ("The state paid over 100 workers.", "the number 100 "),
        ("The state paid Walter Bell and over 1,000 workers.", "the name Walter Bell"),
        ("The weather was fine and everybody danced all night.", "its words are not"),
    ],
)
def test_a_plain_finding_outweighs_any_model(text: str, reason: str) -> None:
    for numbers in ((), (1,), (2,), (3,), (9,)):
        assert checked(Believer(chance=1.0), Draft(text, numbers), ALL, QUESTION).sentence is None
    own = 3 if "paid" in text else 2 if "Osgood" in text else 1
    verdict = checked(Believer(chance=1.0), Draft(text, (own,)), ALL, QUESTION)
    assert reason in verdict.reason


def test_a_model_outweighs_plain_checks_that_pass() -> None:
    draft = Draft("The council voted to repair the bridge.", (1,))
    verdict = checked(Believer(chance=MIN_SUPPORT - 0.01), draft, ALL, QUESTION)
    assert verdict.sentence is None
    assert verdict.reason == "the cited text does not support it"
    assert checked(Believer(chance=MIN_SUPPORT + 0.01), draft, ALL, QUESTION).sentence is not None


def test_the_model_is_asked_once_and_reads_the_title() -> None:
    model = Believer()
    checked(model, Draft("The council voted to repair the bridge.", (2, 3)), ALL, QUESTION)
    (pairs,) = model.asked
    assert [text for text, _ in pairs] == [
        f"Council backs bridge, 2024. {ALL[1].text} {ALL[2].text}",
        *(f"Council backs bridge, 2024. {e.text}" for e in ALL),
    ]


def test_a_draft_without_support_names_what_it_came_nearest_to() -> None:
    draft = Draft("Osgood said that the plan was late.", (3,))
    verdict = checked(Believer("Osgood"), draft, ALL, QUESTION)
    assert verdict.sentence is None
    assert verdict.near == ALL[1]
    assert verdict.support == pytest.approx(0.9)


def test_a_sentence_of_the_evidence_is_supported_whatever_the_model_says() -> None:
    verdict = checked(Believer(chance=0.0), Draft(ALL[1].text, (2,)), ALL, QUESTION)
    assert verdict.sentence is not None
    assert verdict.sentence.support == 1.0


def test_the_question_alone_supports_nothing() -> None:
    draft = Draft("The mayor resigned in June.", (1,))
    asked = "Why did the mayor resign in June?"
    assert checked(Believer(chance=1.0), draft, ALL, asked).sentence is None


def test_no_evidence_supports_nothing() -> None:
    verdict = checked(Believer(), Draft("Anything.", (1,)), [], "?")
    assert verdict.sentence is None
    assert verdict.near is None


def test_a_model_that_only_points_is_quoted() -> None:
    sentence = checked(Believer(), Draft("", (2,)), ALL, QUESTION).sentence
    assert sentence is not None
    assert sentence.text == sentence.citations[0].quote == ALL[1].text
    assert checked(Believer(), Draft("", (9,)), ALL, QUESTION).sentence is None


def test_supports_is_a_probability_or_nothing(model: SupportModel) -> None:
    assert supports(Believer(), "The plan is late.", "The plan is late, and it rains.") > 0.5
    assert supports(Believer(), "The plan cost $5.", "The plan cost $6.") == 0.0
    assert supports(Believer(chance=0.0), "The plan is late.", "The plan is late.") == 1.0
    assert supports(model, "Divers found a ship.", "The mayor opened a school.") < 0.5


def test_quotes_cite_themselves() -> None:
    for sentence in quotes(ALL):
        assert sentence.text == sentence.citations[0].quote


DEPOT = article(2, "Norwick bought 40 buses. Aldham sold its trams in May.", title="Calder's buses")
DEPOT_LINES = [
    EvidenceSentence(DEPOT, 0, 24, 0.6, 0.5, 0.6),
    EvidenceSentence(DEPOT, 25, 54, 0, 0, 0),
]


@pytest.mark.parametrize(
    ("text", "query", "reason"),
    [
        # A name of the title, or of the question, put in place of the one that is told of.
        ("Calder sold its trams in May.", "Who sold trams?", "Aldham there, not Calder"),
        ("Calder sold its trams in May.", "What did Calder sell?", "Aldham there, not Calder"),
        # The question said over again, with one word of the evidence.
        (
            "A study this week found that buses tend to wake their older neighbours at night.",
            "Which animal was found by a study this week to tend to wake its older neighbours at"
            " night?",
            "its words are not in the cited text",
        ),
    ],
)
def test_what_only_the_question_or_a_title_says_is_not_supported(
    text: str, query: str, reason: str
) -> None:
    verdict = checked(Believer(), Draft(text, ()), DEPOT_LINES[::-1], query)
    assert verdict.sentence is None
    assert reason in verdict.reason


def test_a_name_of_the_title_stands_where_the_text_names_no_other() -> None:
    lines = [
        EvidenceSentence(article(3, "It bought 40 buses.", title="Calder's buses"), 0, 19, 1, 1, 1)
    ]
    verdict = checked(Believer(), Draft("Calder bought 40 buses.", ()), lines, "Who bought buses?")
    assert verdict.sentence is not None


def test_what_passes_is_not_shown_where_the_language_model_denies_it() -> None:
    asked = []

    def denies(text: str, claim: str) -> bool:
        asked.append((text, claim))
        return True

    draft = Draft("The council voted to repair the bridge.", (1,))
    verdict = check(Believer(), draft, ALL, QUESTION, denies)
    assert verdict.sentence is None
    assert verdict.reason == "the language model does not find it in the cited text"
    assert verdict.near == ALL[0]  # to be worded again from there, or quoted
    assert asked == [(f"Council backs bridge, 2024. {ALL[0].text}", draft.text)]


def test_the_language_model_is_not_asked_about_a_quotation_nor_what_fails_before() -> None:
    def denies(text: str, claim: str) -> bool:
        raise AssertionError(claim)

    assert check(Believer(), Draft(ALL[1].text, (2,)), ALL, QUESTION, denies).sentence is not None
    failing = Draft("The council voted to repair the bridge for $15 million.", (1,))
    assert check(Believer(), failing, ALL, QUESTION, denies).sentence is None
