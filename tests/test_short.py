from __future__ import annotations

from collections.abc import Sequence

import pytest
from conftest import article

from rag import Citation, Sentence, short
from rag.evidence import EvidenceSentence
from rag.reader import Phrase, Reading
from rag.retrieve import Window

TEXT = 'Mayor Ada Lindqvist opened the "Harbor Bridge" on 4 May 2023. It cost 12 million crowns.'
ARTICLE = article(1, TEXT)
OPEN = "Which?"


class ScriptedReader:
    """Finds the phrase that it was told to find."""

    name = "scripted"

    def __init__(self, *phrases: str) -> None:
        self.phrases = phrases

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[Reading]:
        ((_, text),) = passages
        places = [(text.find(phrase), len(phrase)) for phrase in self.phrases]
        return [Reading(1.0, tuple(Phrase(at, at + size, 3.0) for at, size in places if at >= 0))]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who opened the bridge?", "phrase"),
        ("How many crowns did it cost?", "phrase"),
        ("The bridge was opened by which mayor?", "phrase"),
        ("Did the mayor open the bridge?", "yes or no"),
        ("Is it a bridge or a tunnel?", None),
        ("Why was the bridge closed?", None),
        ("How does the bridge open?", None),
        ("What happened at the bridge?", None),
        ("What did the mayor say about the bridge?", None),
        ("Tell me about the bridge", None),
    ],
)
def test_what_kind_of_short_answer_is_wanted(question: str, expected: str | None) -> None:
    assert short.wanted(question) == expected


def window(phrase: str, relevance: float, score: float = 2.0) -> Window:
    start = TEXT.index(phrase)
    return Window(ARTICLE, 0, len(TEXT), relevance, ((start, start + len(phrase), score),))


def test_windows_that_agree_outvote_the_best_one() -> None:
    windows = [window("Ada Lindqvist", 2.0), window("Harbor Bridge", 1.5)]
    assert short.from_windows(OPEN, windows).text == "Ada Lindqvist"
    # sigmoid(2) * sigmoid(2) = 0.776 against 2 * sigmoid(2) * sigmoid(1.5) = 1.440
    found = short.from_windows(OPEN, [*windows, window("Harbor Bridge", 1.5)])
    assert found is not None
    assert found.text == "Harbor Bridge"
    assert found.citation.quote == "Harbor Bridge"


def test_a_phrase_that_no_window_believes_in_is_none() -> None:
    assert short.from_windows(OPEN, [window("Ada Lindqvist", 2.0, score=-3.0)]) is None
    assert short.from_windows(OPEN, []) is None


def test_the_phrase_of_a_sentence_is_cited_where_it_stands() -> None:
    sentence = Sentence("ada lindqvist opened it.", (Citation(ARTICLE, 0, len(TEXT)),), 0.9)
    found = short.from_sentence(ScriptedReader("ada lindqvist"), "Who?", "phrase", sentence)
    assert found is not None
    assert found.text == "Ada Lindqvist" == found.citation.quote


def test_a_phrase_that_the_cited_text_lacks_is_passed_over() -> None:
    sentence = Sentence("Bob or 12 million did.", (Citation(ARTICLE, 0, len(TEXT)),), 0.9)
    found = short.from_sentence(ScriptedReader("Bob", "12 million"), "What?", "phrase", sentence)
    assert found is not None
    assert found.text == "12 million"
    assert short.from_sentence(ScriptedReader("Bob"), "Who?", "phrase", sentence) is None


def test_yes_or_no_is_what_the_sentence_begins_with() -> None:
    citation = Citation(ARTICLE, 0, 10)
    yes = short.from_sentence(
        ScriptedReader(), "Did she?", "yes or no", Sentence("Yes, she did.", (citation,), 0.9)
    )
    assert yes is not None
    assert (yes.text, yes.citation) == ("yes", citation)
    neither = Sentence("She opened it.", (citation,), 0.9)
    assert short.from_sentence(ScriptedReader(), "Did she?", "yes or no", neither) is None


@pytest.mark.parametrize(
    ("question", "phrase", "expected"),
    [
        ("How many crowns did it cost?", "12 million", True),
        ("How many crowns did it cost?", "Ada Lindqvist", False),
        ("How many crowns did it cost?", "2023", False),
        ("How much did the city pay for it?", "$12 million", True),
        ("How much did the city pay for it?", "10,000 containers", False),
        ("How much did the bank raise its rate?", "0.75 percentage points", True),
        ("When was it opened?", "4 May 2023", True),
        ("When was it opened?", "Harbor Bridge", False),
        ("Who opened the bridge?", "Ada Lindqvist", True),
        ("Who opened the bridge?", "the mayor", False),
        ("Who opened the Harbor Bridge?", "Harbor Bridge", False),
        ("Which material was used?", "steel", True),
    ],
)
def test_a_phrase_must_be_of_the_kind_that_was_asked_for(
    question: str, phrase: str, expected: bool
) -> None:
    assert short.fits(question, phrase) is expected


SENTENCES = [
    EvidenceSentence(ARTICLE, start, end, 0.5, 0.5, 0.5) for start, end in [(63, 88), (0, 62)]
]


@pytest.mark.parametrize(
    ("question", "said", "expected"),
    [
        ("Who opened the bridge?", "Ada Lindqvist", "Ada Lindqvist"),
        ("Who opened the bridge?", "  ada   lindqvist. ", "Ada Lindqvist"),
        ("What was opened?", '"Harbor Bridge"', "Harbor Bridge"),
        ("Who opened the bridge?", "Otto Berg", None),
        ("Who opened the bridge?", "", None),
        ("Who opened the bridge?", "the", None),
        ("When was it opened?", "Ada Lindqvist", None),
        ("Who was there?", TEXT, None),
    ],
)
def test_a_models_phrase_is_taken_where_it_stands(
    question: str, said: str, expected: str | None
) -> None:
    found, home = short.from_phrase(question, said, SENTENCES)
    assert (found.text if found else None) == expected
    assert (home is None) == (expected is None)
    if found and home:
        assert ARTICLE.text[found.citation.start : found.citation.end] == expected
        assert home.start <= found.citation.start < found.citation.end <= home.end
