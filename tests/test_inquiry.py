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
        ("Who and what caused the great fire?", ["Who and what caused the great fire?"]),
        ("", [""]),
        ("?", ["?"]),
    ],
)
def test_a_question_is_cut_into_its_parts(question: str, expected: list[str]) -> None:
    assert [alone for _, alone in parts(question)] == expected


def test_a_part_keeps_the_words_in_which_it_was_asked() -> None:
    asked = [asked for asked, _ in parts("Who won the race and when did he retire?")]
    assert asked == ["Who won the race?", "when did he retire?"]
