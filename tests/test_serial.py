"""Answers through JSON and back."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from rag import (
    Answer,
    Archive,
    Article,
    ArticleNotFoundError,
    Check,
    Citation,
    Dispute,
    Looked,
    Meant,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)
from rag.serial import answer_from_dict, citation_from_dict, sentence_from_dict

FIRE = Article(
    "fire", "Fire on Pier 4", "The fire began at 3 a.m. Nobody was hurt.", "Gazette",
    "https://gazette.example/fire", date(2024, 3, 1), revision=2,
)  # fmt: skip
WIRE = dataclasses.replace(FIRE, id="wire", source="Courier", revision=3)
BEGAN = Citation(FIRE, 0, 24)
FULL = Answer(
    "When did it begin, and why?",
    "answered",
    (Sentence("It began at 3 a.m.", (BEGAN, Citation(FIRE, 25, 41)), 0.9321),),
    (RankedPassage(7, FIRE, 0, 41, 1.2345, (WIRE,)),),
    Trace(
        "When did the fire begin?", "abc", {"answer": "p1"}, {"llm": "fake"}, {"search": 12.34},
        ("The model was slow.",), (Check("It rained.", "dropped", 0.1, "rain is not there"),),
        {"similarity": 0.5},
    ),
    short=Short("3 a.m.", BEGAN),
    probability=0.8765,
    missing="why it began.",
    looked=Looked(
        "When?", ("lit",), 2, date(2024, 1, 2), date(2024, 3, 1),
        (Meant("in March", date(2024, 3, 1), date(2024, 3, 31)),),
    ),
    remarks=("“in March” was taken as 1 March 2024 to 31 March 2024.",),
    disputes=(Dispute(BEGAN, BEGAN, ("4 a.m.", "3 a.m."), corrects=True),),
)  # fmt: skip


def finder(*articles: Article):
    known = {(article.id, article.revision): article for article in articles}

    def find(article_id: str, revision: int) -> Article:
        if (article_id, revision) not in known:
            raise ArticleNotFoundError(f"no {article_id}")
        return known[article_id, revision]

    return find


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value.to_dict()))


def _dataclasses(value: object) -> list[Any]:
    if isinstance(value, tuple):
        return [found for item in value for found in _dataclasses(item)]
    if not dataclasses.is_dataclass(value) or isinstance(value, Article):
        return []
    parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    return [value, *_dataclasses(tuple(parts))]


def test_no_field_is_forgotten() -> None:
    """Each field of the answer below has another value than its default, also in a new field."""
    found = _dataclasses(FULL)
    kinds = {Answer, Sentence, Citation, RankedPassage, Trace, Check, Short, Looked, Meant, Dispute}
    assert {type(value) for value in found} == kinds
    for value in found:
        for field in dataclasses.fields(value):
            if field.default_factory is not dataclasses.MISSING:
                assert getattr(value, field.name) != field.default_factory(), field
            assert getattr(value, field.name) != field.default, field
    assert answer_from_dict(through_json(FULL), finder(FIRE, WIRE)) == FULL


TEXTS = st.text(max_size=20)
SHARES = st.floats(0, 1).map(lambda value: round(value, 4))
DAYS = st.none() | st.dates()
ARTICLES = st.builds(
    Article,
    id=st.sampled_from(["a", "b", "c"]),
    title=TEXTS,
    text=st.text(min_size=1, max_size=40),
    source=st.none() | TEXTS,
    url=st.none() | TEXTS,
    published=DAYS,
    revision=st.integers(1, 3),
)


@st.composite
def _answers(draw: st.DrawFn) -> tuple[Answer, list[Article]]:
    articles = draw(
        st.lists(ARTICLES, min_size=1, unique_by=lambda article: (article.id, article.revision))
    )

    def place() -> tuple[Article, int, int]:
        article = draw(st.sampled_from(articles))
        start = draw(st.integers(0, len(article.text) - 1))
        return article, start, draw(st.integers(start + 1, len(article.text)))

    def several(make):
        return tuple(make() for _ in range(draw(st.integers(0, 3))))

    def sentence() -> Sentence:
        return Sentence(draw(TEXTS), several(lambda: Citation(*place())), draw(SHARES))

    def passage() -> RankedPassage:
        copies = draw(st.lists(st.sampled_from(articles)))
        return RankedPassage(draw(st.integers(0)), *place(), draw(SHARES), tuple(copies))

    numbers = st.dictionaries(TEXTS, st.floats(0, 99).map(lambda value: round(value, 2)))
    names = st.dictionaries(TEXTS, TEXTS)
    outcome = st.sampled_from(["kept", "rewritten", "quoted", "dropped"])
    checks = st.lists(st.builds(Check, TEXTS, outcome, SHARES, TEXTS)).map(tuple)
    notes = st.lists(TEXTS).map(tuple)
    looked = st.builds(Looked, TEXTS, notes, st.integers(0), DAYS, DAYS)
    answer = Answer(
        draw(TEXTS),
        draw(st.sampled_from(["answered", "abstained"])),
        several(sentence),
        several(passage),
        draw(st.builds(Trace, TEXTS, TEXTS, names, names, numbers, notes, checks, numbers)),
        Short(draw(TEXTS), Citation(*place())) if draw(st.booleans()) else None,
        draw(st.none() | SHARES),
        draw(TEXTS),
        draw(st.none() | looked),
    )
    return answer, articles


@given(_answers())
def test_any_answer_comes_back_equal(made: tuple[Answer, list[Article]]) -> None:
    answer, articles = made
    assert answer_from_dict(through_json(answer), finder(*articles)) == answer


def test_answers_about_the_corpus_come_back(corpus_archive: Archive) -> None:
    lines = (ROOT / "eval" / "sets" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    statuses = set()
    for line in lines[::12]:
        answer = corpus_archive.ask(json.loads(line)["question"], wording=False)
        back = answer_from_dict(through_json(answer), corpus_archive.article)
        assert back.to_dict() == answer.to_dict()
        assert back.citations == answer.citations
        assert [p.copies for p in back.passages] == [p.copies for p in answer.passages]
        statuses.add(back.status)
    assert "answered" in statuses


@pytest.mark.parametrize("find", [finder(), finder(dataclasses.replace(FIRE, text="Other text."))])
def test_a_citation_whose_text_is_gone_is_no_citation(find) -> None:
    sentence = FULL.sentences[0]
    for values, read in [
        (through_json(BEGAN), citation_from_dict),
        (through_json(sentence), sentence_from_dict),
        (through_json(FULL), answer_from_dict),
        (through_json(dataclasses.replace(FULL, sentences=())), answer_from_dict),
    ]:
        with pytest.raises(ArticleNotFoundError):
            read(values, find)


def test_passages_and_copies_that_are_gone_are_left_out() -> None:
    other = Article("storm", "Storm", "Wind.")
    passages = (RankedPassage(1, other, 0, 5, 2.0), RankedPassage(2, FIRE, 0, 24, 1.0, (WIRE,)))
    refusal = Answer("Who?", "abstained", (), passages, Trace())
    values = through_json(refusal)
    (left,) = answer_from_dict(values, finder(FIRE)).passages
    assert left == RankedPassage(2, FIRE, 0, 24, 1.0)
    changed = finder(FIRE, WIRE, dataclasses.replace(other, text="Winds turned."))
    assert answer_from_dict(values, changed).passages == passages[1:]


@pytest.mark.parametrize(
    "change",
    [{"short": 1}, {"sentences": [{}]}, {"passages": 5}, {"trace": {"checks": [], "new": 1}},
     {"looked": {"first": "x", "last": None}}],
)  # fmt: skip
def test_other_values_are_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        answer_from_dict(through_json(FULL) | change, finder(FIRE, WIRE))
