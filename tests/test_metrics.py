"""Metrics against arithmetic that is worked out by hand."""

import math
from importlib.util import find_spec

import pytest

from eval import metrics
from eval.metrics import Abstentions, Figure
from rag import Article, NewsragError, RankedPassage


def article(name: str, text: str = "x" * 100) -> Article:
    return Article(id=name, title=name, text=text)


def passage(
    name: str, *copies: str, text: str = "x" * 100, start: int = 0, end: int = 100
) -> RankedPassage:
    copied = tuple(article(copy) for copy in copies)
    return RankedPassage(1, article(name, text), start, end, 1.0, copied)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Tony Awards!", "tony awards"),
        ("“Squid Game”", "squid game"),
        ("M&M’s", "mms"),
        ("an 8-inch  gun", "8inch gun"),
        ("2019–2020", "20192020"),
        ("$3.4 million", "34 million"),
        ("Theatre", "theatre"),
        ("The", ""),
        ("Zürich", "zürich"),
    ],
)
def test_normalise(text, expected):
    assert metrics.normalise(text) == expected


def test_exact_match_takes_any_answer():
    assert metrics.exact_match("the Squid Game", ["Friends", "“Squid Game”"]) == 1.0
    assert metrics.exact_match("Squid Game season", ["Squid Game"]) == 0.0
    assert metrics.exact_match("Squid Game", []) == 0.0


def test_f1_is_the_best_over_the_answers():
    # "more than 100 tests" has 4 words, "100 tests" has 2, both shared:
    # precision 2/4, recall 2/2, F1 = 2 * .5 * 1 / 1.5 = 2/3.
    assert metrics.f1("more than 100 tests", ["none", "100 tests"]) == pytest.approx(2 / 3)


def test_f1_counts_a_repeated_word_as_often_as_both_have_it():
    # "b" is shared once: precision 1/3, recall 1/2, F1 = 2 * 1 / (3 + 2) = 0.4.
    assert metrics.f1("b b b", ["b c"]) == pytest.approx(0.4)
    assert metrics.f1("", ["b"]) == 0.0
    assert metrics.f1("b", []) == 0.0


def test_contains_wants_whole_words():
    assert metrics.contains("He said “100 tests” were held.", ["100 tests"])
    assert not metrics.contains("It counted 1100 tests.", ["100 tests"])
    assert not metrics.contains("Anything.", ["The", "!"])
    assert not metrics.contains("Anything.", [])


def test_answer_scores_of_an_answer_to_an_answerable_question():
    scores = metrics.answer_scores("It was Ford.", ["Ford"], answerable=True)
    # 3 words against 1, 1 shared: F1 = 2 * 1 / (3 + 1) = 0.5.
    assert scores == {
        "EM": 0.0,
        "F1": 0.5,
        "answer contained": 1.0,
        "EM, all questions": 0.0,
        "F1, all questions": 0.5,
        "EM, all with answers": 0.0,
        "F1, all with answers": 0.5,
    }


def test_an_abstention_scores_0_where_there_is_an_answer():
    # Normalisation leaves nothing of "A": no match with the empty text of an abstention.
    scores = metrics.answer_scores(None, ["A"], answerable=True)
    assert set(scores.values()) == {0.0}


@pytest.mark.parametrize(("text", "expected"), [(None, 1.0), ("Ford", 0.0)])
def test_answer_scores_of_an_unanswerable_question(text, expected):
    scores = metrics.answer_scores(text, [], answerable=False)
    assert scores["EM"] is scores["F1"] is scores["answer contained"] is None
    assert scores["EM, all questions"] == scores["F1, all questions"] == expected
    assert scores["EM, all with answers"] is scores["F1, all with answers"] is None


def test_an_unanswerable_question_with_a_known_answer_counts_among_all_with_answers():
    scores = metrics.answer_scores("Ford", ["Ford"], answerable=False)
    assert scores["EM"] is None
    assert scores["EM, all questions"] == 0.0
    assert scores["EM, all with answers"] == 1.0


def test_spans_overlap_when_they_share_a_character():
    assert metrics.overlaps(("a", 0, 10), ("a", 9, 12))
    assert not metrics.overlaps(("a", 0, 10), ("a", 10, 12))
    assert not metrics.overlaps(("a", 0, 10), ("b", 0, 10))


def test_citation_precision_and_recall():
    gold = [("a", 10, 20), ("a", 50, 60), ("b", 0, 5)]
    citations = [("a", 0, 15), ("a", 15, 30), ("c", 0, 5), ("a", 20, 50)]
    # The first two citations touch a gold span: 2/4. Of the gold only ("a", 10, 20) is cited: 1/3.
    scores = metrics.citation_scores(citations, gold)
    assert scores == {"citation precision": 0.5, "citation recall": pytest.approx(1 / 3)}


def test_citations_that_cannot_be_scored():
    assert metrics.citation_scores([("a", 0, 1)], []) == {
        "citation precision": None,
        "citation recall": None,
    }
    assert metrics.citation_scores([], [("a", 0, 1)]) == {
        "citation precision": None,
        "citation recall": 0.0,
    }


def test_an_article_ranks_by_its_best_passage_and_copies_after_it():
    passages = [passage("a", "b", "c"), passage("a"), passage("d", "b"), passage("e")]
    assert metrics.rank_articles(passages) == ["a", "b", "c", "d", "e"]


def test_article_scores():
    # Gold at ranks 2 and 6 of a to f: hit@1 0, hit@5 and hit@10 1, MRR 1/2.
    # DCG = 1/log2(3) + 1/log2(7), ideal DCG = 1/log2(2) + 1/log2(3).
    scores = metrics.article_scores(list("abcdef"), {"b", "f"})
    gain = 1 / math.log2(3) + 1 / math.log2(7)
    assert scores == {
        "article hit@1": 0.0,
        "article hit@5": 1.0,
        "article hit@10": 1.0,
        "article MRR": 0.5,
        "article nDCG@10": pytest.approx(gain / (1 + 1 / math.log2(3))),
    }


def test_the_order_of_more_than_ten_articles_is_kept():
    # Gold at rank 11: beyond the cut-offs, MRR 1/11. Ids whose order as text differs.
    scores = metrics.article_scores([str(n) for n in range(1, 13)], {"11"})
    assert scores["article hit@10"] == scores["article nDCG@10"] == 0.0
    assert scores["article MRR"] == pytest.approx(1 / 11)


def test_article_scores_without_gold_or_without_finds():
    assert set(metrics.article_scores(["a"], set()).values()) == {None}
    assert set(metrics.article_scores([], {"a"}).values()) == {0.0}


def test_passage_rank_by_answer_or_by_gold_span():
    text = "North Korea tested missiles. Kim drove a vehicle."
    passages = [
        passage("a", text=text, start=0, end=28),
        passage("a", text=text, start=29, end=49),
    ]
    assert metrics.passage_rank(passages, ["The vehicle"], []) == 2
    assert metrics.passage_rank(passages, [], [("a", 33, 38)]) == 2
    assert metrics.passage_rank(passages, [], [("a", 27, 40)]) == 1
    assert metrics.passage_rank(passages, ["tank"], [("b", 0, 9)]) is None


def test_passage_scores():
    assert list(metrics.passage_scores(1).values()) == [1.0, 1.0, 1.0]
    assert list(metrics.passage_scores(5).values()) == [0.0, 1.0, 1.0]
    assert list(metrics.passage_scores(11).values()) == [0.0, 0.0, 0.0]
    assert list(metrics.passage_scores(None).values()) == [0.0, 0.0, 0.0]
    assert list(metrics.passage_scores(2)) == ["passage hit@1", "passage hit@5", "passage hit@10"]


def test_the_mean_leaves_missing_values_out_and_counts_them():
    # (1 + 0 + 0.5) / 3 = 0.5; with None as zero it would be 0.3.
    assert metrics.mean([1.0, None, 0.0, 0.5, None]) == Figure(0.5, 3, 2)
    assert metrics.mean([None]) == Figure(None, 0, 1)
    assert metrics.mean([]) == Figure(None, 0, 0)


def test_abstention_scores():
    # Abstained 6 times, 4 of them rightly: precision 4/6. 4 of 10 unanswerable: recall 4/10.
    # F1 = 2 * 4 / (6 + 10) = 0.5; 6 + 10 - 4 = 12 questions are in one or the other.
    scores = metrics.abstention_scores(Abstentions(30, 2, 6, 4))
    assert scores == {
        "abstention precision": Figure(pytest.approx(2 / 3), 6, 0),
        "abstention recall": Figure(0.4, 10, 0),
        "abstention F1": Figure(0.5, 12, 0),
    }


def test_abstention_scores_that_do_not_exist():
    never = metrics.abstention_scores(Abstentions(5, 0, 3, 0))
    assert never["abstention precision"] == Figure(None, 0, 0)
    assert never["abstention recall"].value == never["abstention F1"].value == 0.0
    all_answerable = metrics.abstention_scores(Abstentions(5, 2, 0, 0))
    assert {figure.value for figure in all_answerable.values()} == {None}


def test_percentile():
    # Five values: places 0 to 4; 50 % is place 2, 95 % is place 3.8: 40 + 0.8 * (100 - 40) = 88.
    values = [100.0, 10.0, 40.0, 20.0, 30.0]
    assert metrics.percentile(values, 50) == 30.0
    assert metrics.percentile(values, 95) == pytest.approx(88.0)
    assert metrics.percentile(values, 100) == 100.0
    assert metrics.percentile([7.0], 95) == 7.0
    with pytest.raises(ValueError, match="at least one"):
        metrics.percentile([], 50)
    assert metrics.latency(values) == metrics.Latency(30.0, pytest.approx(88.0), 5)


def test_a_missing_extra_names_its_install_command(monkeypatch):
    monkeypatch.setattr(
        metrics, "find_spec", lambda name: None if name == "ir_measures" else find_spec(name)
    )
    with pytest.raises(NewsragError, match=r"pip install -c constraints\.txt -e '\.\[eval\]'"):
        metrics.article_scores(["a"], {"a"})
