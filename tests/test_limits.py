"""How many questions a user may have under way."""

from __future__ import annotations

import pytest

from ui.limits import Closing, Limits, TooManyQuestions


def test_a_user_has_so_many_places_and_gets_them_back() -> None:
    limits = Limits(per_user=2)
    with limits.enter("ada"):
        with limits.enter("ada"):
            with (
                pytest.raises(TooManyQuestions, match="2 questions under way"),
                limits.enter("ada"),
            ):
                raise AssertionError
            assert limits.under_way == 2
        with limits.enter("ada"):
            assert limits.under_way == 2
    assert limits.under_way == 0


def test_users_do_not_stand_in_each_others_way() -> None:
    limits = Limits(per_user=1)
    with limits.enter("ada"), limits.enter("bo"):
        assert limits.under_way == 2


def test_without_users_nothing_is_limited() -> None:
    limits = Limits(per_user=1)
    with limits.enter(""), limits.enter(""), limits.enter(""):
        assert limits.under_way == 3


def test_a_failed_answer_gives_its_place_back() -> None:
    limits = Limits(per_user=1)
    with pytest.raises(ZeroDivisionError), limits.enter("ada"):
        _ = 1 / 0
    with limits.enter("ada"):
        assert limits.under_way == 1


def test_closing_lets_nothing_begin() -> None:
    limits = Limits()
    with limits.enter("ada"):
        assert not limits.closing
        limits.close()
        assert limits.closing
        with pytest.raises(Closing), limits.enter("bo"):
            raise AssertionError
    assert limits.under_way == 0
