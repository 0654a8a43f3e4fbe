"""An archive of a few articles, whose vectors are hashes of words, and how to look into it."""

from __future__ import annotations

from crash import HashEmbedder

from rag import Settings
from rag.store import Store
from rag.words import Filters

LONG = "The council met again about the bridge. " * 20


def small_settings() -> Settings:
    return Settings(embedding_model=HashEmbedder.name, passage_characters=300, reranker="none")


def found(store: Store, word: str, embedder: HashEmbedder | None = None) -> set[str]:
    vector = (embedder or HashEmbedder()).encode([word])[0]
    hits = store.words.search(word, 10, Filters())
    rows = store.ledger.passage_rows([number for number, _ in hits])
    assert store.search(word, vector, 10, Filters()) or not rows
    return {row.article_id for row in rows.values()}


def embedder_for(name: str) -> HashEmbedder:
    assert name == HashEmbedder.name
    return HashEmbedder()
