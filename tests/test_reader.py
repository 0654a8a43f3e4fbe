from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from rag import ModelError, Settings
from rag.reader import CrossEncoderReader, EmbeddedReader, make_reader

TEXTS = [
    ("Weather", "It rained in the valley for three days, and the river rose."),
    ("Bridge reopens", "The Harbor Bridge reopened on Monday. Repairs cost 14 million crowns."),
    ("", "A school choir sang at the market."),
]
QUESTION = "How much did the repairs of the Harbor Bridge cost?"


@pytest.fixture(scope="module")
def reader() -> EmbeddedReader:
    return EmbeddedReader()


def test_the_passage_that_answers_is_the_most_relevant(reader: EmbeddedReader) -> None:
    readings = reader.read(QUESTION, TEXTS)
    assert max(range(3), key=lambda n: readings[n].relevance) == 1
    best = readings[1].phrases[0]
    assert "14 million" in TEXTS[1][1][best.start : best.end]


def test_phrases_stand_in_the_text_and_do_not_overlap(reader: EmbeddedReader) -> None:
    for reading, (_, text) in zip(reader.read(QUESTION, TEXTS), TEXTS, strict=True):
        spans = sorted((p.start, p.end) for p in reading.phrases)
        assert spans
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert all(a[1] <= b[0] for a, b in pairwise(spans))
        scores = [p.score for p in reading.phrases]
        assert scores == sorted(scores, reverse=True)


def test_a_reading_does_not_depend_on_its_company(reader: EmbeddedReader) -> None:
    together = reader.read(QUESTION, TEXTS)
    alone = [reader.read(QUESTION, [text])[0] for text in TEXTS]
    for one, other in zip(together, alone, strict=True):
        assert one.relevance == pytest.approx(other.relevance, abs=0.2)  # bfloat16


@pytest.mark.parametrize("text", ["", " ", "\x00", "🎉" * 400, "word " * 5000])
def test_any_text_is_read(reader: EmbeddedReader, text: str) -> None:
    ((reading),) = reader.read("Who? " * 200, [("", text)])
    assert all(0 <= p.start < p.end <= len(text) for p in reading.phrases)
    assert reader.read("Who?", []) == []


def test_the_settings_name_the_reader() -> None:
    assert isinstance(make_reader(Settings()), EmbeddedReader)
    assert make_reader(Settings(reranker="none")) is None
    assert isinstance(make_reader(Settings(reranker="some/model")), CrossEncoderReader)


def test_any_cross_encoder_ranks(tmp_path: Path) -> None:
    """One made here from the embedding model's weights; its head is random, so only the form."""
    from sentence_transformers import CrossEncoder

    from rag.encoder import _folder

    CrossEncoder(str(_folder()), num_labels=1).save_pretrained(str(tmp_path / "model"))
    readings = CrossEncoderReader(str(tmp_path / "model")).read(QUESTION, TEXTS)
    assert len(readings) == 3
    assert len({reading.relevance for reading in readings}) > 1
    assert not any(reading.phrases for reading in readings)


def test_a_missing_or_broken_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the reranker .*nowhere does not load"):
        CrossEncoderReader(str(tmp_path / "nowhere")).read("Who?", TEXTS)
    broken = tmp_path / "reader.safetensors"
    broken.write_bytes(b"not weights")
    with pytest.raises(ModelError, match=r"reader\.safetensors cannot be read"):
        EmbeddedReader(broken).read("Who?", TEXTS)
