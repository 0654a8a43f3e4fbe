from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from conftest import article, make_archive

from rag import Archive, ArticleNotFoundError, DayCount
from rag.models import SentenceTransformerEmbedder

FIRST, SECOND = date(2024, 1, 1), date(2024, 2, 1)


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, embedder: SentenceTransformerEmbedder
) -> Iterator[Archive]:
    with make_archive(tmp_path_factory.mktemp("overview") / "archive", embedder) as opened:
        opened.ingest(
            article(1, "The harbour bridge closed on Monday.", title="Bridge", source="Post"),
            article(2, "A bridge club met near the harbour.", source="Post", published=SECOND),
            article(3, "Two bridges and one ferry.", source="Echo", published=SECOND),
            article(4, "The ferry sank.", source="Echo", published=SECOND),
            article(5, "The ferry was raised.", source="Echo", published=None),
            article(6, "Nobody signed this page.", source=None),
        )
        yield opened


def ids(articles: list) -> list[str]:
    return [found.id for found in articles]


def test_articles_are_counted_by_day_and_outlet(archive: Archive) -> None:
    assert archive.days() == [
        DayCount(FIRST, "(none)", 1),
        DayCount(FIRST, "Post", 1),
        DayCount(SECOND, "Echo", 2),
        DayCount(SECOND, "Post", 1),
        DayCount(None, "Echo", 1),
    ]


def test_outlets_come_by_their_number_of_articles(archive: Archive) -> None:
    assert archive.sources() == ["Echo", "Post"]
    assert dict(archive.status().sources) == {"Echo": 3, "Post": 2, "(none)": 1}


def test_an_article_with_all_the_words_is_found_best_first(archive: Archive) -> None:
    assert ids(archive.find("bridge"))[0] == "a1"  # it stands in the title, too
    assert set(ids(archive.find("bridge"))) == {"a1", "a2", "a3"}
    assert set(ids(archive.find("HARBOUR bridges"))) == {"a1", "a2"}
    assert ids(archive.find("bridge ferry")) == ["a3"]
    assert archive.find("bridge zebra") == []
    assert ids(archive.find("Title 4")) == ["a4"]


@pytest.mark.parametrize("words", ['"', "bridge AND (", "text:*", "-", "\ud800", "a:b^2~"])
def test_words_are_no_query_language(archive: Archive, words: str) -> None:
    assert len(archive.find(words)) <= 3


def test_without_words_the_latest_come_first(archive: Archive) -> None:
    assert ids(archive.find()) == ["a2", "a3", "a4", "a1", "a6", "a5"]
    assert ids(archive.find("  ", limit=2)) == ["a2", "a3"]


@pytest.mark.parametrize("words", ["", "ferry"])
def test_the_filters_hold_with_and_without_words(archive: Archive, words: str) -> None:
    assert {a.source for a in archive.find(words, source="Echo")} == {"Echo"}
    assert set(ids(archive.find(words, source="Echo", since=SECOND))) == {"a3", "a4"}
    assert "a5" in ids(archive.find(words, until=FIRST))
    assert archive.find(words, source=["Post", "Echo"], until=FIRST)
    assert archive.find(words, source=["Nobody"]) == []


def test_only_the_current_revision_is_found(
    tmp_path_factory: pytest.TempPathFactory, embedder: SentenceTransformerEmbedder
) -> None:
    with make_archive(tmp_path_factory.mktemp("changed") / "archive", embedder) as changing:
        changing.ingest(article(1, "The bridge closed."))
        changing.ingest(article(1, "The tunnel closed."))
        assert changing.find("bridge") == []
        assert [found.revision for found in changing.find("tunnel")] == [2]
        changing.delete("a1")
        assert changing.find("tunnel") == changing.find() == changing.days() == []


def test_the_passages_of_an_article_cover_its_words(corpus_archive: Archive) -> None:
    longest = max(corpus_archive.articles(), key=lambda found: len(found.text))
    spans = corpus_archive.passages(longest.id)
    assert len(spans) > 1
    assert all(start < end for start, end in spans)
    assert spans == sorted(spans)
    covered = "".join(longest.text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(longest.text.split())
    with pytest.raises(ArticleNotFoundError, match="no article nothing"):
        corpus_archive.passages("nothing")
