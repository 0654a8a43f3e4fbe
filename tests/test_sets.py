"""Our own question sets against the sample corpus that they ask about."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT

from eval.datasets import load_questions
from rag import Article
from rag.ingest import records
from rag.reports import Failure

SETS = sorted((ROOT / "eval" / "sets").glob("*.jsonl"))
PHRASES = {"name", "number", "place", "date"}
"""Kinds of `trust.jsonl` whose answers stand in the text, word for word."""


@pytest.fixture(scope="module")
def articles(tmp_path_factory: pytest.TempPathFactory) -> list[Article]:
    found = list(records([ROOT / "corpus"], tmp_path_factory.mktemp("feeds")))
    assert not [record for record in found if isinstance(record, Failure)]
    return [record.article for record in found]


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_the_gold_of_our_sets_is_in_the_corpus(path, articles: list[Article]) -> None:
    loaded = load_questions(path, articles)
    assert loaded.incomplete == 0
    ids = [question.id for question in loaded.questions]
    assert ids == sorted(set(ids))
    for question in loaded.questions:
        empty = question.kind == "unanswerable"
        assert empty == (not question.answers) == (not question.gold_spans), question.id
        assert question.answerable != empty, question.id


def test_no_question_stands_in_two_sets() -> None:
    asked = []
    for path in SETS:
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        asked.append({(line["question"], line["as_of"]) for line in lines})
    assert sum(map(len, asked)) == len(set.union(*asked))


def test_phrases_stand_in_the_gold_and_yes_or_no_is_all_the_rest(articles: list[Article]) -> None:
    texts = {article.id: article.text for article in articles}
    questions = load_questions(ROOT / "eval" / "sets" / "trust.jsonl", articles).questions
    for question in questions:
        quotes = [texts[key][start:end] for key, start, end in question.gold_spans]
        if question.kind in PHRASES:
            assert any(answer in quote for answer in question.answers for quote in quotes)
        elif question.kind == "yesno":
            assert question.answers in {("yes",), ("no",)}
    assert {question.kind for question in questions} == PHRASES | {
        "yesno",
        "partial",
        "unanswerable",
    }
