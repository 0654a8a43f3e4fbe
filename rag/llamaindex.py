"""The pipeline as the parts that llama-index users plug together, and a plain engine beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llama_index.core.base.response.schema import Response
from llama_index.core.query_engine import CitationQueryEngine, CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rag.errors import LLMError

if TYPE_CHECKING:
    from llama_index.llms.openai_like import OpenAILike

    from rag.archive import Archive
    from rag.types import Citation, RankedPassage

_MAX_TOKENS = 256
"""Tokens of the plain engine's answer; without a bound, a small model may not end."""


class ArchiveRetriever(BaseRetriever):
    """`Archive.search` as a retriever: one node per passage, with its span in the metadata."""

    def __init__(self, archive: Archive, k: int) -> None:
        self._archive = archive
        self._k = k
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        passages = self._archive.search(query_bundle.query_str, k=self._k)
        return [NodeWithScore(node=_node(p), score=p.score) for p in passages]


class ArchiveQueryEngine(CustomQueryEngine):
    """`Archive.ask` as a query engine: one source node per citation; empty when it abstains."""

    archive: object
    wording: bool = True

    def custom_query(self, query_str: str) -> Response:
        """Ask the archive; the whole answer as JSON values is in the response's metadata."""
        archive: Archive = self.archive  # type: ignore[assignment]
        answer = archive.ask(query_str, wording=self.wording)
        nodes = [NodeWithScore(node=_node(citation)) for citation in answer.citations]
        return Response(response=answer.text, source_nodes=nodes, metadata=answer.to_dict())


class DenseRetriever(BaseRetriever):
    """The nearest passages by vector alone, as a vector store index of llama-index returns them."""

    def __init__(self, archive: Archive, k: int) -> None:
        self._archive = archive
        self._k = k
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        passages = self._archive.nearest(query_bundle.query_str, self._k)
        return [NodeWithScore(node=_node(p), score=p.score) for p in passages]


class PlainCitationEngine:
    """llama-index's `CitationQueryEngine` with its own prompt, to compare with."""

    def __init__(self, retriever: BaseRetriever, client: OpenAILike) -> None:
        bounded = client.model_copy(update={"max_tokens": _MAX_TOKENS})
        self._engine = CitationQueryEngine(retriever, llm=bounded)

    def query(self, question: str) -> Response:
        """Its response; the source nodes are in the order of their numbers. Raises `LLMError`."""
        import openai

        try:
            return cast(Response, self._engine.query(question))
        except (openai.OpenAIError, ValueError) as error:
            raise LLMError(f"the plain citation engine got no answer: {error}") from error


def _node(span: RankedPassage | Citation) -> TextNode:
    article = span.article
    return TextNode(
        id_=f"{article.id}:{article.revision}:{span.start}-{span.end}",
        text=article.text[span.start : span.end],
        start_char_idx=span.start,
        end_char_idx=span.end,
        metadata={
            "article_id": article.id,
            "start": span.start,
            "end": span.end,
            "title": article.title,
            "source": article.source,
            "url": article.url,
            "published": article.published.isoformat() if article.published else None,
        },
    )
