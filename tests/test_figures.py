"""From rows to figures with intervals, with arithmetic that is worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from eval.figures import MEASURES, Figure, difference, figure, interval, latency, measured
from eval.rows import Row

BY_NAME = {measure.name: measure for measure in MEASURES}


def row(number: int = 0, status: str = "answered", answerable: bool = True, **fields) -> Row:
    return Row(str(number), "Which car?", "fact", answerable, ("Ford",), status, **fields)


def rows(*parts: Row) -> list[Row]:
    return [replace(part, id=str(number)) for number, part in enumerate(parts)]


def figure_of(name: str, *parts: Row) -> tuple[float | None, int, int]:
    found = figure(BY_NAME[name], rows(*parts))
    return found.value, found.n, found.missing


def sentence(support: float, *supports: float, unresolved: int = 0) -> dict:
    citations = [{"supports": value} for value in supports]
    return {"text": "x", "support": support, "unresolved": unresolved, "citations": citations}


def test_every_measure_has_its_own_name():
    assert len(BY_NAME) == len(MEASURES)


def test_the_mean_leaves_missing_values_out_and_counts_them():
    # (1 + 0 + 0.5) / 3 = 0.5; with None as zero it would be 0.3.
    given = [row(scores={"F1 short": value}) for value in (1.0, None, 0.0, 0.5, None)]
    assert figure_of("F1 short", *given) == (0.5, 3, 2)
    assert figure_of("F1 short", row(scores={"F1 short": None})) == (None, 0, 1)
    assert figure_of("F1 short") == (None, 0, 0)


def abstentions(*counts: int) -> list[Row]:
    """As many questions as told: answered and abstained, answerable and then unanswerable."""
    ends = (("answered", True), ("abstained", True), ("answered", False), ("abstained", False))
    return [row(0, *end) for end, count in zip(ends, counts, strict=True) for _ in range(count)]


def test_abstention():
    # Abstained 6 times, 4 of them rightly: precision 4/6. 4 of 10 unanswerable: recall 4/10.
    # F1 = 2 * 4 / (6 + 10) = 0.5; 6 + 10 - 4 = 12 questions are in one or the other.
    given = abstentions(30, 2, 6, 4)
    assert figure_of("abstention precision", *given) == (pytest.approx(2 / 3), 6, 0)
    assert figure_of("abstention recall", *given) == (0.4, 10, 0)
    assert figure_of("abstention F1", *given) == (0.5, 12, 0)
    assert figure_of("coverage", *given) == (pytest.approx(36 / 42), 42, 0)


def test_abstention_figures_that_do_not_exist():
    assert figure_of("abstention precision", *abstentions(5, 0, 3, 0)) == (None, 0, 0)
    assert figure_of("abstention recall", *abstentions(5, 0, 3, 0))[0] == 0.0
    assert figure_of("abstention F1", *abstentions(5, 0, 3, 0))[0] == 0.0
    for name in ("abstention precision", "abstention recall", "abstention F1"):
        assert figure_of(name, *abstentions(5, 2, 0, 0))[0] is None
        assert figure_of(name, row(status="found")) == (None, 0, 1)


def test_citations_by_our_check():
    two = row(sentences=(sentence(0.9, 0.8, 0.2), sentence(0.4, 0.1)))
    one = row(sentences=(sentence(0.8, 0.5, unresolved=1),))
    bare = row(sentences=(sentence(0.0),))
    given = (two, one, bare, row(status="abstained"))
    # Support .9 + .4 + .8 + 0 over 4 sentences; .9 and .8 reach .5.
    assert figure_of("sentence support", *given) == (pytest.approx(2.1 / 4), 4, 0)
    assert figure_of("sentences supported", *given) == (0.5, 4, 0)
    # Of .8, .2, .1, .5 and a citation that leads nowhere, two support: 2/5.
    assert figure_of("citation precision", *given) == (0.4, 5, 0)
    # The first sentences of `two` and `one` have a citation that supports them: 2/4.
    assert figure_of("citation recall", *given) == (0.5, 4, 0)
    assert figure_of("citation recall", row(status="abstained")) == (None, 0, 0)


def test_risk_and_probability():
    given = (
        row(right=True, probability=0.9),
        row(right=False, probability=0.6),
        row(answerable=False, right=False, probability=0.5),
        row(answerable=False, status="abstained", probability=0.7),
        row(right=None),
    )
    assert figure_of("wrong among answered", *given) == (pytest.approx(2 / 3), 3, 2)
    # Right, wrong, wrong: risks 0, 1/2, 2/3.
    assert figure_of("AURC", *given) == (pytest.approx((0 + 1 / 2 + 2 / 3) / 3), 3, 2)
    # Answerable .9 and .6, unanswerable .5 and .7: .6 under .7, the other three pairs in order.
    assert figure_of("answerability AUROC", *given) == (0.75, 4, 1)
    # Four bins of one: (.1 + .4 + .5 + .7) / 4.
    assert figure_of("expected calibration error", *given) == (pytest.approx(1.7 / 4), 4, 1)


def test_the_interval_of_a_share_is_that_of_the_binomial():
    # Half of 100: standard deviation of the mean .05, so about .5 - .098 to .5 + .098.
    given = rows(*[row(scores={"EM short": float(n < 50)}) for n in range(100)])
    found = figure(BY_NAME["EM short"], given)
    assert found.low == pytest.approx(0.402, abs=0.015)
    assert found.high == pytest.approx(0.598, abs=0.015)
    assert figure(BY_NAME["EM short"], given) == found


def mean_of_known(sample: np.ndarray) -> np.ndarray:
    """1 for a sample with a 1 in it, else nothing."""
    return np.where(sample.any(-1), 1.0, math.nan)


def test_intervals_at_the_edges():
    column = np.array([1.0, 0.0, 0.0])
    assert interval(lambda sample: sample.mean(-1), [column[:1]]) == (None, None)
    assert interval(lambda sample: sample.sum(-1) * math.nan, [column]) == (None, None)
    assert interval(lambda sample: sample.mean(-1), [column[1:]]) == (0.0, 0.0)
    # Resamples without the first question have no figure, and are left out.
    assert interval(mean_of_known, [column]) == (1.0, 1.0)
    assert figure(BY_NAME["EM short"], [row(scores={"EM short": 1.0})]) == Figure(1.0, 1, 0)


def test_the_resamples_are_the_same_for_every_figure():
    seen: list[list[np.ndarray]] = [[], []]
    for drawn in seen:
        interval(
            lambda sample, kept=drawn: kept.append(sample) or sample.mean(-1), [np.arange(5.0)]
        )
    one, other = map(np.concatenate, seen)
    assert one.shape == (1000, 5)
    assert (one == other).all()
    assert set(one.flat) == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_a_difference_pairs_the_questions():
    measure = BY_NAME["EM short"]
    ours = rows(*[row(scores={"EM short": 1.0}), row(scores={"EM short": 0.0})] * 20)
    theirs = [replace(part, scores={"EM short": 0.0}) for part in ours[:39]]
    # Over the 39 that both were asked ours has 20 right, theirs none.
    found = difference(measure, ours, theirs)
    assert (found.value, found.n) == (pytest.approx(20 / 39), 39)
    assert found.low is not None
    assert found.low < 20 / 39 < found.high
    # Against itself every resample differs by nothing: the two sides are resampled together.
    assert difference(measure, ours, ours) == Figure(0.0, 40, 0, 0.0, 0.0)
    assert difference(measure, ours, []) == Figure(None, 0, 0)
    unscored = [replace(part, scores={}) for part in ours]
    assert difference(measure, ours, unscored) == Figure(None, 40, 0)


def test_all_with_answers_is_shown_where_it_differs():
    names = [measure.name for measure in measured([row(), row(answerable=False)])]
    assert "EM short, all with answers" in names
    names = [measure.name for measure in measured([row()])]
    assert "EM short, all with answers" not in names


def test_latency():
    # Five values: places 0 to 4; 50 % is place 2, 95 % is place 3.8: 40 + 0.8 * (100 - 40) = 88.
    found = latency([100.0, 10.0, 40.0, 20.0, 30.0])
    assert (found.p50.value, found.p95.value) == (30.0, pytest.approx(88.0))
    assert found.p50.low >= 10.0
    assert found.p95.high <= 100.0
    assert found.p50.n == 5
    assert latency([7.0]).p95 == Figure(7.0, 1, 0)
