"""Probabilities against what is so, with arithmetic that is worked out by hand."""

import math

import numpy as np
import pytest

from eval import curves
from eval.curves import Bin, Risk


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


NOTHING = values()


def test_auroc_is_the_share_of_pairs_in_order():
    # Pairs of one and zero: .9 over .8, .9 over .1, .3 under .8, .3 over .1: 3 of 4.
    assert curves.auroc(values(0.9, 0.8, 0.3, 0.1), values(1, 0, 1, 0)) == pytest.approx(0.75)
    assert curves.auroc(values(0.5, 0.5), values(1, 0)) == pytest.approx(0.5)


def test_auroc_needs_both_classes():
    assert math.isnan(curves.auroc(values(0.9, 0.8), values(1, 1)))
    assert math.isnan(curves.auroc(values(0.9, 0.8), values(0, 0)))
    assert math.isnan(curves.auroc(NOTHING, NOTHING))


def test_reliability_bins_have_equal_mass():
    # In order: .1 (no), .3 (yes) | .8 (no), .9 (yes).
    bins = curves.reliability(values(0.9, 0.8, 0.3, 0.1), values(1, 0, 1, 0), bins=2)
    assert bins == [Bin(pytest.approx(0.2), 0.5, 2), Bin(pytest.approx(0.85), 0.5, 2)]
    # Eleven questions in ten bins: one bin has two.
    many = curves.reliability(np.linspace(0, 1, 11), np.ones(11))
    assert [part.n for part in many] == [2, *[1] * 9]
    assert len(curves.reliability(values(0.2, 0.3), values(0, 1))) == 2
    assert curves.reliability(NOTHING, NOTHING) == []


def test_calibration_error_is_weighted_by_mass():
    # |.2 - .5| for 2 of 4 questions and |.85 - .5| for the others: (.3 * 2 + .35 * 2) / 4 = .325.
    error = curves.calibration_error(values(0.9, 0.8, 0.3, 0.1), values(1, 0, 1, 0), bins=2)
    assert error == pytest.approx(0.325)
    # Three questions in two bins: (.1, .2) with a share of 0, and .9 with 1:
    # (.15 * 2 + .1 * 1) / 3 = .4 / 3.
    error = curves.calibration_error(values(0.1, 0.2, 0.9), values(0, 0, 1), bins=2)
    assert error == pytest.approx(0.4 / 3)
    assert math.isnan(curves.calibration_error(NOTHING, NOTHING))


def test_the_order_of_questions_of_equal_probability_does_not_matter():
    # All of probability .5, half of them so: each bin has a share of .5, wherever the ones stand.
    ordered = np.repeat([1.0, 0.0], 10)
    assert curves.calibration_error(np.full(20, 0.5), ordered) == pytest.approx(0.0)


def test_risk_at_each_coverage():
    points = curves.risk_coverage(values(0.2, 0.9, 0.6, 0.4), values(1, 0, 1, 0))
    # By probability: right, wrong, right, wrong.
    assert points == [
        Risk(0.25, 0.0),
        Risk(0.5, 0.5),
        Risk(0.75, pytest.approx(1 / 3)),
        Risk(1.0, 0.5),
    ]
    assert curves.risk_coverage(NOTHING, NOTHING) == []


def test_answers_of_equal_probability_count_as_their_mean():
    # .9 right; two of .8, one of them wrong, count .5 each; .1 wrong:
    # risks 0/1, .5/2, 1/3, 2/4; their mean is (0 + .25 + 1/3 + .5) / 4.
    expected = (0 + 0.25 + 1 / 3 + 0.5) / 4
    for wrong in ([0, 1, 0, 1], [0, 0, 1, 1]):
        area = curves.area_under_risk(values(0.9, 0.8, 0.8, 0.1), values(*wrong))
        assert area == pytest.approx(expected)
    assert math.isnan(curves.area_under_risk(NOTHING, NOTHING))


def test_a_probability_that_says_nothing_has_the_overall_risk():
    assert curves.area_under_risk(np.full(10, 0.5), values(*[1] * 3, *[0] * 7)) == pytest.approx(
        0.3
    )
