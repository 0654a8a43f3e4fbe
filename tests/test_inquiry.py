from __future__ import annotations

import pytest

from rag.inquiry import parts


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who won the race?", ["Who won the race?"]),
        ("Who won the race and the cup?", ["Who won the race and the cup?"]),
        (
            "Who won the race, and how many people watched the final?",
            ["Who won the race?", "how many people watched the final?"],
        ),
        (
            "Who won the race? When was the final held?",
            ["Who won the race?", "When was the final held?"],
        ),
        # a part that leans on the first one brings it along
        (
            "Who won the race and when did he retire?",
            ["Who won the race?", "Who won the race? when did he retire?"],
        ),
        ("Who won the race and why?", ["Who won the race and why?"]),
        ("", []),
        ("?", ["?"]),
    ],
)
def test_a_question_is_cut_into_its_parts(question: str, expected: list[str]) -> None:
    assert parts(question) == expected
