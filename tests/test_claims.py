"""Plain checks of a claim: pairs that must pass, and pairs that must not, with their reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.claims import KINDS, failure, features, findings, is_quote
from rag.quantities import quantities
from rag.sources import Record, load
from rag.tokens import name_words
from rag.weights.data_support import news_sentences
from rag.weights.plant_support import plant, true_variants, unattributed

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ("The state paid over 1000 workers.", "The state paid over 1,000 workers in 2023."),
        ("The state paid more than one thousand.", "The state paid over 1,000 workers in 2023."),
        ("It cost 1,500,000 dollars.", "The repair cost $1.5 million."),
        ("Turnout was 52 percent.", "Turnout reached 52% at noon."),
        ("The 3rd boat sails at 9 p.m.", "The third boat sails at 9pm."),
        ("The drill starts on 21 August.", "The drill starts Aug. 21 near the coast."),
        ("The drill is in August.", "The drill starts Aug. 21 near the coast."),
        (
            "Ferries run every 45 minutes on Saturdays.",
            "Ferries run every 30 minutes on weekdays and every 45 minutes on Saturdays.",
        ),
        ("Bell was elected in 2020.", "Hale was elected in 2016 and Bell was elected in 2020."),
        ("Osgood opposed the plan.", "Mayor Ruth Osgood opposed the plan on Monday."),
        ("The American economy grew.", "The economy of the U.S. grew in the spring."),
        ("The WHO approved it.", "The World Health Organization approved it."),
        ("Kim visited Iran.", "Kim visited Russia and Iran."),
        ("Hale said the road is safe.", "Hale, a nurse at Elmwood, said the road is safe."),
        ("The vote goes ahead.", "It is not clear who will win, but the vote goes ahead."),
        ("Hale denied taking the money.", "In court, Hale denied taking the money."),
        ("Police said three people died.", "Three people died in the fire, police said."),
        ("The launch may have been a test.", "Experts think the launch was a test."),
        ("The bridge may close in May.", "The bridge may close in May or in June."),
        ("The council will approve it.", "The council will approve it on Monday."),
        ("The plan would be approved.", "The council will approve the plan."),
        ("The council approved one.", "The council approved one and will approve another."),
    ],
)
def test_a_true_claim_passes(claim: str, text: str) -> None:
    assert list(findings(claim, text)) == []
    assert failure(claim, text) == ""


@pytest.mark.parametrize(
    ("claim", "text", "kind", "reason"),
    [
        (
            "The state paid over 1,000 workers.", "The state paid over 100 workers.",
            "number", "the number 1,000 is not in the cited text",
        ),
        ("The council paid $15.2 million.", "The council paid $14.2 million.", "number", "$15.2"),
        ("It cost $5 million.", "It cost $5 billion.", "number", "$5 million is not"),
        ("The state paid under 1,000.", "The state paid over 1,000.", "number", "the bound of"),
        ("More than 40 were hurt.", "The blast hurt 40 people.", "number", "the bound of 40"),
        ("The ride takes 45 hours.", "The ride takes 45 minutes.", "number", "not 45 hours"),
        ("The store opens at 9 p.m.", "The store opens at 9 a.m.", "number", "9 p.m."),
        ("He left weeks later.", "He left hours later.", "negation", "hours"),
        (
            "Ferries run every 45 minutes on weekdays.",
            "Ferries run every 30 minutes on weekdays and every 45 minutes on Saturdays.",
            "number", "gives 30 minutes for this",
        ),
        (
            "Bell was elected in 2016.",
            "Hale was elected in 2016 and Bell was elected in 2020.",
            "number", "gives 2020 for this",
        ),
        ("They met on Monday.", "They met on Tuesday.", "date", "the date Monday"),
        ("They met on May 3.", "They met on May 4.", "date", "the date May 3"),
        ("They met in 2021.", "They met in 2019.", "date", "the date 2021"),
        ("Walter Bell was paid.", "Ruth Osgood was paid.", "name", "Walter Bell is not"),
        ("Putin told Kim to stop.", "Kim told Putin to stop.", "name", "has Kim there, not Putin"),
        ("Osgood said the plan was late.", "Osgood denied that the plan was late.",
         "negation", "a negation of the cited text is missing"),
        ("The council did not repair it.", "The council did repair it.", "negation", "not in the"),
        ("No firm will close.", "The firm will close.", "negation", "a negation is not"),
        ("Prices fell in May.", "Prices rose in May.", "negation", "rose"),
        ("Hale was found guilty.", "Hale was acquitted on Friday.", "negation", "acquitted"),
        ("It opened before the vote.", "It opened after the vote.", "negation", "after"),
        ("The launch was a test.", "Many experts think the launch was a test.",
         "attribution", "the cited text attributes this to somebody"),
        ("The fire killed three people.", "The fire killed three people, police said.",
         "attribution", "attributes"),
        ("The bank will fail.", "According to the report, the bank will fail.",
         "attribution", "attributes"),
        ("The bridge will close in May.", "The bridge may close in May.",
         "attribution", "the cited text calls this possible, not certain"),
        ("The firm will sell the yard.", "The firm plans to sell the yard.",
         "attribution", "possible"),
        ("The council approved the plan.", "The council will approve the plan on Monday.",
         "attribution", "the cited text says that this will happen, not that it has"),
        ("The bill was passed.", "The bill will be passed on Friday.",
         "attribution", "will happen"),
    ],
)  # fmt: skip
def test_a_false_claim_has_its_reason(claim: str, text: str, kind: str, reason: str) -> None:
    found = list(findings(claim, text))
    assert kind in {finding.kind for finding in found}
    assert any(reason in finding.reason for finding in found)


def test_a_known_name_may_be_repeated_but_takes_no_other_names_place() -> None:
    question = "Which country did Kim visit, and did he go to Iran?"
    assert failure("Kim visited Russia.", "He visited Russia in May.", question) == ""
    assert failure("Kim visited Russia.", "He visited Russia in May.") != ""
    reason = failure("Kim visited Iran.", "Kim visited Russia.", question)
    assert reason == "the cited text has Russia there, not Iran"


def test_a_year_may_come_from_the_articles_date() -> None:
    text = "The council voted to repair the bridge."
    assert failure("In 2024, the council voted to repair the bridge.", text, "", {2024}) == ""
    assert failure("In 2023, the council voted to repair the bridge.", text, "", {2024}) != ""


def test_a_sentence_of_the_text_is_a_quote_and_a_part_of_one_is_not() -> None:
    text = "Many experts think the launch was a test. It failed."
    assert is_quote("It failed", text)
    assert is_quote("Many experts think  the launch was a test.", text)
    assert not is_quote("the launch was a test.", text)


def test_features_are_the_covered_share_and_one_flag_per_kind() -> None:
    # Of the claim's words (council, paid, 5 dollars) the text has two; the number is not in it.
    found = features("The council paid 5 dollars.", "The council paid 4 dollars.")
    assert found[0] == pytest.approx(2 / 3)
    flags = dict(zip(KINDS, found[1:], strict=True))
    assert flags == {"number": 1, "date": 0, "name": 0, "negation": 0, "attribution": 0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("more than 1.5 million people", [("number", 1_500_000, "", ">")]),
        ("$14.2 million", [("number", 14_200_000, "$", "")]),
        ("two hundred and five houses", [("number", 205, "", "")]),
        ("a dozen 45-minute rides", [("number", 12, "", ""), ("number", 45, "minutes", "")]),
        ("at 9:30 a.m. or 21:30", [("clock", 570, "", ""), ("clock", 1290, "", "")]),
        ("Aug. 14, 2023", [("day", 814, "", ""), ("year", 2023, "", "")]),
        ("14 August 2023", [("day", 814, "", ""), ("year", 2023, "", "")]),
        ("It may rain in May", [("month", 5, "", "")]),
        ("10 or more", [("number", 10, "", ">")]),
        ("no one came", []),
    ],
)
def test_quantities(text: str, expected: list[tuple[str, float, str, str]]) -> None:
    assert [(q.kind, q.value, q.unit, q.bound) for q in quantities(text)] == expected


def test_a_country_and_its_people_are_one_name() -> None:
    for one, other in (("Iranian", "Iran"), ("U.S.", "American"), ("Chinese", "China")):
        assert name_words(one) == name_words(other)
    assert name_words("Iran") != name_words("Iraq")


def _corpus_sentences() -> list[str]:
    records = [r for r in load([ROOT / "corpus"]) if isinstance(r, Record)]
    return [s for record in records for s in news_sentences(record.article.text)]


def test_planted_errors_in_the_corpus_are_caught() -> None:
    caught: dict[str, list[bool]] = {}
    for sentence in _corpus_sentences():
        for seed in (1, 2):
            for kind, changed in plant(sentence, seed):
                caught.setdefault(kind, []).append(failure(changed, sentence) != "")
        if bare := unattributed(sentence):
            caught.setdefault("attribution", []).append(failure(bare, sentence) != "")
    assert set(caught) == {"number", "date", "name", "negation", "attribution"}
    for kind, hits in caught.items():
        assert len(hits) > 50
        assert sum(hits) / len(hits) >= (0.9 if kind == "attribution" else 0.95), kind


def test_true_sentences_of_the_corpus_pass() -> None:
    passed = [
        failure(variant, sentence) == ""
        for sentence in _corpus_sentences()
        for variant in true_variants(sentence)
    ]
    assert len(passed) > 50
    assert sum(passed) / len(passed) >= 0.95
