from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.passages import MAX_SENTENCE_CHARACTERS, split_passages, split_sentences
from rag.types import Span

TEXTS = st.one_of(
    st.text(max_size=3000),
    st.text(alphabet="aé🎉 .!?\n\r\t\u00a0“”'", max_size=3000),
    st.lists(st.sampled_from(["Mr. Smith left. ", "U.S. “Yes.” ", "x" * 700, "\n\n", "3.5% "])).map(
        "".join
    ),
)


def _assert_covers(text: str, spans: list[Span]) -> None:
    """In order, without overlap, trimmed, and only white space between them."""
    position = 0
    for span in spans:
        assert text[position : span.start].strip() == ""
        assert text[span.start : span.end].strip() == text[span.start : span.end]
        position = span.end
    assert text[position:].strip() == ""


@given(TEXTS)
def test_sentences_cover_any_text(text: str) -> None:
    spans = split_sentences(text)
    _assert_covers(text, spans)
    assert all(span.end - span.start <= MAX_SENTENCE_CHARACTERS for span in spans)


@given(TEXTS, st.integers(200, 1500))
def test_passages_cover_any_text(text: str, limit: int) -> None:
    spans = split_passages(text, limit)
    _assert_covers(text, spans)
    assert all(span.end - span.start <= limit for span in spans)


@given(TEXTS, st.integers(0, 50), st.integers(0, 3000))
def test_sentences_of_a_part_lie_in_it(text: str, start: int, end: int) -> None:
    for span in split_sentences(text, start, end):
        assert start <= span.start < span.end <= min(end, len(text))


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Kim met Mr. Lee on Aug. 14. He left.", ["Kim met Mr. Lee on Aug. 14.", "He left."]),
        ("Prices rose 3.5%. The U.S. did not.", ["Prices rose 3.5%.", "The U.S. did not."]),
        ("“We will go. Soon.” She left.", ["“We will go. Soon.”", "She left."]),
        ("A headline\nA first sentence.", ["A headline", "A first sentence."]),
        ("A wrapped\nline.\n\nNew.", ["A wrapped\nline.", "New."]),
    ],
)
def test_sentences_of_news_prose(text: str, sentences: list[str]) -> None:
    assert [text[span.start : span.end] for span in split_sentences(text)] == sentences


def test_passages_are_about_equally_long() -> None:
    text = " ".join(f"This is sentence number {n} of the article." for n in range(100))
    lengths = [span.end - span.start for span in split_passages(text, 1000)]
    assert len(lengths) == -(-len(text) // 1000)
    assert min(lengths) > 0.8 * max(lengths)


def test_a_span_is_never_empty() -> None:
    with pytest.raises(ValueError, match="start < end"):
        Span(3, 3)
