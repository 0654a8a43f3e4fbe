"""Metrics against arithmetic that is worked out by hand."""

import math
from importlib.util import find_spec

import pytest

from eval import metrics
from eval.gold import Question
from rag import Answer, Article, Citation, NewsragError, RankedPassage, Sentence, Short, Trace


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
    assert not metrics.contains("There was no answer.", ["No.", "yes"])


STORY = article("a", "It was a blue Ford. Nobody saw it.")


def question(*answers: str, answerable: bool = True, **gold: object) -> Question:
    values = {"gold_articles": (), "gold_spans": (), "as_of": None, "history": (), "kind": "fact"}
    return Question("q", "Which car?", answers, answerable=answerable, **(values | gold))


def answer(text: str = "", short: str = "") -> Answer:
    """An answer that cites the first sentence of the story; without a text an abstention."""
    citation = Citation(STORY, 0, 19)
    return Answer(
        "Which car?",
        "answered" if text else "abstained",
        (Sentence(text, (citation,), 1.0),) if text else (),
        (),
        Trace(),
        Short(short, citation) if short else None,
    )


def test_answer_scores_are_those_of_the_short_answer():
    scores = metrics.answer_scores(question("Ford"), answer("It was a Ford.", "blue Ford"))
    # Short: 2 words against 1, 1 shared: F1 = 2 * 1 / (2 + 1). Whole, without "a": "it was ford",
    # 3 words against 1: 2 * 1 / (3 + 1) = 0.5.
    assert scores == {
        "EM short": 0.0,
        "F1 short": pytest.approx(2 / 3),
        "has a short answer": 1.0,
        "answer contained": 1.0,
        "F1 whole answer": 0.5,
        "EM short, all questions": 0.0,
        "F1 short, all questions": pytest.approx(2 / 3),
        "EM short, all with answers": 0.0,
        "F1 short, all with answers": pytest.approx(2 / 3),
    }


def test_an_answer_without_a_short_one_scores_0():
    scores = metrics.answer_scores(question("Ford"), answer("Ford"))
    assert scores["EM short"] == scores["F1 short"] == scores["has a short answer"] == 0.0
    assert scores["EM short, all questions"] == 0.0
    assert scores["answer contained"] == scores["F1 whole answer"] == 1.0


def test_an_abstention_scores_0_where_there_is_an_answer():
    # Normalisation leaves nothing of "A": no match with the empty text of an abstention.
    scores = metrics.answer_scores(question("A"), answer())
    # An abstention is no answer that could have a short one; nothing cannot be sought in a text.
    assert scores.pop("has a short answer") is scores.pop("answer contained") is None
    assert set(scores.values()) == {0.0}
    assert metrics.answer_scores(question("Ford"), answer())["answer contained"] == 0.0


@pytest.mark.parametrize(("given", "expected"), [(answer(), 1.0), (answer("Ford", "Ford"), 0.0)])
def test_answer_scores_of_an_unanswerable_question(given, expected):
    scores = metrics.answer_scores(question(answerable=False), given)
    assert scores["EM short"] is scores["F1 short"] is scores["answer contained"] is None
    assert scores["F1 whole answer"] is None
    assert scores["EM short, all questions"] == scores["F1 short, all questions"] == expected
    assert scores["EM short, all with answers"] is None


def test_an_unanswerable_question_with_a_known_answer_counts_among_all_with_answers():
    scores = metrics.answer_scores(question("Ford", answerable=False), answer("Ford", "Ford"))
    assert scores["EM short"] is None
    assert scores["EM short, all questions"] == 0.0
    assert scores["EM short, all with answers"] == 1.0


def test_a_verdict_is_not_sought_in_the_whole_answer():
    scores = metrics.answer_scores(question("no"), answer("There was no car.", "No"))
    assert (scores["EM short"], scores["answer contained"]) == (1.0, None)


def test_sentences_as_answers_have_no_exact_match():
    scores = metrics.answer_scores(question("It was a Ford.", phrases=False), answer("A Ford."))
    # "ford" against "it was ford": 2 * 1 / (1 + 3) = 0.5.
    assert scores.pop("F1 whole answer") == 0.5
    assert set(scores.values()) == {None}


@pytest.mark.parametrize(
    ("asked", "given", "right"),
    [
        (question("Ford"), answer(), None),
        (question(answerable=False), answer("Ford."), False),
        (question("Ford", answerable=False), answer("Ford."), False),
        # "ford" of "blue ford": F1 = 2 * 1 / (1 + 2) = 2/3; of "dark blue ford car" 2/5.
        (question("Ford"), answer("It is not said.", "blue Ford"), True),
        (question("Ford"), answer("It is not said.", "dark blue Ford car"), False),
        (question("Ford"), answer("After a long search it was a Ford.", "a long search"), True),
        (question("no"), answer("There was no car.", "yes"), False),
        (question("no"), answer("Nobody saw it.", "no"), True),
        (question("red Ford"), answer("Ford."), True),  # Without a short answer: F1 = 2/3.
        (question("red Ford"), answer("Perhaps it was a Ford."), False),  # F1 = 2 * 1 / (2 + 4)
        (question("Long.", phrases=False, gold_spans=(("a", 10, 25),)), answer("Short."), True),
        (question("Long.", phrases=False, gold_spans=(("a", 19, 25),)), answer("Long."), False),
        (question("Long.", phrases=False, gold_articles=("a",)), answer("Short."), True),
        (question("Long.", phrases=False, gold_articles=("b",)), answer("Long."), False),
        (question("Long.", phrases=False), answer("Long."), None),
    ],
)
def test_is_right(asked, given, right):
    assert metrics.is_right(asked, given) is right


def test_spans_overlap_when_they_share_a_character():
    assert metrics.overlaps(("a", 0, 10), ("a", 9, 12))
    assert not metrics.overlaps(("a", 0, 10), ("a", 10, 12))
    assert not metrics.overlaps(("a", 0, 10), ("b", 0, 10))


def test_citation_precision_and_recall():
    gold = [("a", 10, 20), ("a", 50, 60), ("b", 0, 5)]
    citations = [("a", 0, 15), ("a", 15, 30), ("c", 0, 5), ("a", 20, 50)]
    # The first two citations touch a gold span: 2/4. Of the gold only ("a", 10, 20) is cited: 1/3.
    scores = metrics.citation_scores(citations, gold)
    assert scores == {
        "citation precision, gold": 0.5,
        "citation recall, gold": pytest.approx(1 / 3),
    }


def test_citations_that_cannot_be_scored():
    assert metrics.citation_scores([("a", 0, 1)], []) == {
        "citation precision, gold": None,
        "citation recall, gold": None,
    }
    assert metrics.citation_scores([], [("a", 0, 1)]) == {
        "citation precision, gold": None,
        "citation recall, gold": 0.0,
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


def test_a_missing_extra_names_its_install_command(monkeypatch):
    monkeypatch.setattr(
        metrics, "find_spec", lambda name: None if name == "ir_measures" else find_spec(name)
    )
    with pytest.raises(NewsragError, match=r"pip install -c constraints\.txt -e '\.\[eval\]'"):
        metrics.article_scores(["a"], {"a"})
