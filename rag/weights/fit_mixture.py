"""Fit how retrieval mixes its scores: `python -m rag.weights.fit_mixture ARCHIVE QUESTIONS`.

ARCHIVE holds the articles of the questions, which are RealTimeQA's JSON Lines: "question", "asked",
"answer" and the URLs of "positives". The weights go into the defaults of `rag.settings` by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from rag.models import SentenceTransformerEmbedder
from rag.reader import EmbeddedReader
from rag.retrieve import Found, Scope, recency, search
from rag.settings import Settings
from rag.store import Store

NAMES = ("dense", "lexical", "article", "recency", "reader")
DEPTH = 60
SHARPNESS = 8.0
"""Scores are sums of parts in 0..1; the softmax over them needs larger steps."""
STEPS = 200
CUTS = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class Ranking:
    """A question: features, shape (passages, names), and which passages are of a right article."""

    features: NDArray[np.float32]
    right: NDArray[np.bool_]
    articles: tuple[str, ...]


def main(
    archive: Annotated[Path, typer.Argument(help="The archive.")],
    questions: Annotated[Path, typer.Argument(help="The questions.")],
) -> None:
    """Fit the mixture and print it beside the present one."""
    settings = Settings()
    store = Store(archive, settings.embedding_model, settings.passage_characters)
    rankings = [*_rankings(store, settings, questions)]
    typer.echo(f"{len(rankings)} questions")
    present = np.array([getattr(settings, f"{name}_weight") for name in NAMES], np.float32)
    for label, weights in (("present", present), ("fitted", fit(rankings))):
        hits = "/".join(f"{hit_rate(rankings, weights, cut):.3f}" for cut in CUTS)
        shown = ", ".join(f"{n} {w:.2f}" for n, w in zip(NAMES, weights, strict=True))
        typer.echo(f"{label}: {shown}; article hit@1/5/10 {hits}")


def _rankings(store: Store, settings: Settings, questions: Path) -> list[Ranking]:
    embedder = SentenceTransformerEmbedder(settings.embedding_model)
    reader = EmbeddedReader()
    rankings = []
    records = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    known = [record for record in records if record["positives"]]
    with typer.progressbar(known, label="Reading") as bar:
        for record in bar:
            day = date.fromisoformat(record["asked"].replace("/", "-")) + timedelta(days=1)
            vector = embedder.encode([record["question"]])[0]
            scope = Scope(day)
            found = search(store, settings, reader, record["question"], vector, DEPTH, scope)
            right = np.array([one.passage.article.url in record["positives"] for one in found])
            if right.any():
                names = tuple(one.passage.article.id for one in found)
                rankings.append(Ranking(_features(found, settings, day), right, names))
    return rankings


def _features(found: list[Found], settings: Settings, day: date) -> NDArray[np.float32]:
    """What `rank` and `rerank` weigh, one row per passage."""
    rows = [one.candidate for one in found]
    parts = np.array([[max(c.dense, 0.0), c.lexical, c.article] for c in rows], np.float32)
    parts /= np.maximum(parts.max(axis=0), 1e-6)
    ages = [recency(c.row.day, (day, day), settings.recency_days) for c in rows]
    least = min((one.relevance for one in found if one.windows), default=0.0)
    read = [one.relevance if one.windows else least for one in found]
    return np.column_stack([parts, ages, read]).astype(np.float32)


def fit(rankings: list[Ranking]) -> NDArray[np.float32]:
    """Non-negative weights under which right articles come first: a listwise softmax loss."""
    weights = torch.full((len(NAMES),), 0.3, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.03)
    known = [(torch.from_numpy(r.features), torch.from_numpy(r.right)) for r in rankings]
    for _ in range(STEPS):
        loss = torch.zeros(())
        for features, right in known:
            scores = (features @ weights) * SHARPNESS
            loss = loss + scores.logsumexp(0) - scores[right].logsumexp(0)
        optimizer.zero_grad()
        (loss / len(known)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        weights.data.clamp_(min=0)
    fitted: NDArray[np.float32] = weights.detach().numpy()
    return fitted


def hit_rate(rankings: list[Ranking], weights: NDArray[np.float32], cut: int) -> float:
    """The share of questions with a right article among the first `cut` different ones."""
    hits = 0
    for ranking in rankings:
        order = np.argsort(-(ranking.features @ weights), kind="stable")
        first = list(dict.fromkeys(ranking.articles[n] for n in order))[:cut]
        right = {ranking.articles[n] for n in np.flatnonzero(ranking.right)}
        hits += any(name in right for name in first)
    return hits / len(rankings)


if __name__ == "__main__":
    typer.run(main)
