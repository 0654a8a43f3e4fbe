from __future__ import annotations

import math
from datetime import date

import pytest
from conftest import article, make_archive

from rag import Archive, RankedPassage, Settings
from rag.evidence import select
from rag.retrieve import Found, Scope, Window, condense, pool, rank, rerank, search
from rag.rows import PassageRow
from rag.store import Candidate

DAY = date(2024, 1, 31)


def candidate(
    number: int, dense: float, lexical: float, article_score: float, age: int = 0
) -> Candidate:
    day = DAY.toordinal() - age
    row = PassageRow(number, number, f"a{number}", 1, 0, 1, day, None)
    return Candidate(row, dense, lexical, article_score)


def test_scores_are_mixed_after_division_by_the_largest() -> None:
    settings = Settings(
        dense_weight=0.4, lexical_weight=0.6, article_weight=0.5, recency_weight=0.2
    )
    candidates = [
        candidate(1, 0.8, 0.0, 20.0, age=30),
        candidate(2, 0.4, 10.0, 10.0),
        candidate(3, -0.1, 5.0, 0.0),
    ]
    ranked = rank(candidates, settings, DAY)
    scores = {c.row.id: score for c, score in ranked}
    # 1: 0.4 * 0.8/0.8 + 0.6 * 0/10 + 0.5 * 20/20 + 0.2 * exp(-30/30) = 0.9 + 0.2/e
    assert scores[1] == pytest.approx(0.9 + 0.2 / math.e)
    # 2: 0.4 * 0.4/0.8 + 0.6 * 10/10 + 0.5 * 10/20 + 0.2 * 1 = 0.2 + 0.6 + 0.25 + 0.2
    assert scores[2] == pytest.approx(1.25)
    # 3: 0.4 * 0 + 0.6 * 5/10 + 0.5 * 0 + 0.2 * 1 = 0.3 + 0.2
    assert scores[3] == pytest.approx(0.5)
    assert [c.row.id for c, _ in ranked] == [2, 1, 3]


def test_an_undated_article_gets_no_recency() -> None:
    undated = Candidate(PassageRow(1, 1, "a", 1, 0, 1, 0, None), 1.0, 0.0, 0.0)
    ((_, score),) = rank([undated], Settings(dense_weight=1, recency_weight=5), DAY)
    assert score == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("and what did Russia say?", "Why is Kim boosting production? and what did Russia say?"),
        ("When did he say that?", "Why is Kim boosting production? When did he say that?"),
        ("Why?", "Why is Kim boosting production? Why?"),
        ("Who won the mayoral election in Port Ellery?",) * 2,
        ("Why was the mayoral election in Port Ellery held again?",) * 2,
    ],
)
def test_a_follow_up_gets_what_it_leans_on(question: str, expected: str) -> None:
    assert condense(question, [("Why is Kim boosting production?", "To meet needs.")]) == expected
    assert condense(question, []) == question


def test_a_chain_of_follow_ups_keeps_its_first_question() -> None:
    history = [("Why is Kim boosting production?", "A."), ("and what did Russia say?", "B.")]
    assert condense("and China?", history) == (
        "Why is Kim boosting production? and what did Russia say? and China?"
    )


def test_the_right_article_is_found(corpus_archive: Archive) -> None:
    best = corpus_archive.search("Who stole the ship's clock from the museum?", k=3)
    assert len(best) == 3
    assert "museum" in best[0].article.title.lower()
    for passage in best:
        assert passage.text == passage.article.text[passage.start : passage.end]
    assert [p.score for p in best] == sorted((p.score for p in best), reverse=True)


def test_as_of_hides_what_came_later(corpus_archive: Archive) -> None:
    early = corpus_archive.search("Harbor Bridge repair cost", as_of=date(2023, 3, 1))
    assert early
    assert all(p.article.published <= date(2023, 3, 2) for p in early if p.article.published)
    late = corpus_archive.search("Harbor Bridge repair cost", since=date(2024, 1, 1))
    assert all(p.article.published >= date(2024, 1, 1) for p in late if p.article.published)


def test_copies_of_a_wire_story_are_folded(corpus_archive: Archive) -> None:
    found = corpus_archive.search("Kim tours arms plants and orders missiles made faster", k=10)
    copied = [p for p in found if p.copies]
    assert copied
    sources = {p.article.source for p in copied} | {a.source for p in copied for a in p.copies}
    assert {"Pacific Courier", "www.harbour-sentinel.example"} <= sources


def test_what_is_read_is_spread_over_articles() -> None:
    many = [
        Candidate(PassageRow(n, n // 5, f"a{n // 5}", 1, 0, 1, 0, None), 1.0, 0.0, 0.0)
        for n in range(100)
    ]
    rows = pool([(candidate, 1.0) for candidate in many], {})
    assert len(rows) == 30
    assert [row.id for row in rows[:4]] == [0, 1, 2, 5]


def found(number: int, score: float, *logits: float) -> Found:
    text = article(number, "One sentence.")
    passage = RankedPassage(number, text, 0, len(text.text), score)
    windows = tuple(Window(text, 0, len(text.text), logit) for logit in logits)
    return Found(passage, candidate(number, 0.5, 0.0, 0.0), windows)


def test_reading_moves_passages_and_what_was_not_read_counts_as_worst() -> None:
    settings = Settings(reader_weight=0.5)
    ranked = rerank([found(1, 1.0, -40.0), found(2, 0.9, -40.0, 40.0), found(3, 0.8)], settings)
    # 1: 1 + .5 * 0; 2: .9 + .5 * 1, by its best window; 3: .8 + .5 * 0, the worst that was read
    assert [one.passage.id for one in ranked] == [2, 1, 3]
    assert [one.passage.score for one in ranked] == pytest.approx([1.4, 1.0, 0.8])


def test_the_reader_sees_whole_windows_of_the_found_passages(corpus_archive: Archive) -> None:
    query = "How much will the bridge repair cost?"
    vector = corpus_archive._embedder.encode([query])[0]
    store, settings, reader = (
        corpus_archive._store,
        corpus_archive.settings,
        corpus_archive._reader,
    )
    ranked = search(store, settings, reader, query, vector, 5, Scope(DAY))
    for one in ranked:
        passage = one.passage
        read = "".join(w.article.text[w.start : w.end] for w in one.windows)
        assert "".join(read.split()) == "".join(passage.text.split())
        for window in one.windows:
            for start, end, _ in window.phrases:
                assert window.start <= start < end <= window.end


def test_evidence_sentences_are_whole_and_unique(corpus_archive: Archive) -> None:
    query = "How much will the bridge repair cost?"
    embedder = corpus_archive._embedder
    vector = embedder.encode([query])[0]
    for reader in (corpus_archive._reader, None):
        ranked = search(
            corpus_archive._store, Settings(), reader, query, vector, 10, Scope(date.today())
        )
        evidence = select(corpus_archive._store, embedder, query, vector, ranked)
        assert 0 < len(evidence) <= 8
        assert len({e.text for e in evidence}) == len(evidence)
        assert any("million" in e.text for e in evidence[:3])
        assert [e.score for e in evidence] == sorted((e.score for e in evidence), reverse=True)


@pytest.mark.parametrize(
    "question", ["", " ", "?", "the of and", "🎉", 'AND "quote" title:x ((', "\x00"]
)
def test_any_question_is_searched(corpus_archive: Archive, question: str) -> None:
    assert len(corpus_archive.search(question, k=2)) == 2


def test_an_empty_archive_finds_nothing(tmp_path, embedder) -> None:
    with make_archive(tmp_path / "archive", embedder) as archive:
        assert archive.search("anything") == []
        answer = archive.ask("anything")
        assert (answer.status, answer.passages, answer.citations) == ("abstained", (), ())
        archive.ingest(article(1, "A bridge."))
        assert len(archive.search("anything")) == 1
