"""One voice for a story that several articles tell in the same words.

The copies of a story are all in the indexes, so that a filter finds those that pass it. Among what
was found, one article speaks for the story; of the others only what it does not say is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rag import groups
from rag.copies import Wording, is_corrected, overlap
from rag.ledger import Ledger
from rag.rows import PassageRow
from rag.store import Candidate
from rag.types import Article, RankedPassage
from rag.words import Filters

SAID = 0.7
"""What share of a passage's shingles has to stand elsewhere for it to be said there."""

Ranked = Sequence[tuple[Candidate, float]]
Stories = Mapping[int, int]
"""The stories of articles by their numbers."""


def stories_of(ledger: Ledger, candidates: Iterable[Candidate]) -> Stories:
    """The stories that the candidates' articles tell."""
    return groups.stories(ledger, {one.row.article_key for one in candidates})


def voice_of(row: PassageRow, stories: Stories) -> int:
    """What counts as one voice: the story, or the article where it is not grouped."""
    return stories.get(row.article_key, row.article_key)


def merged(ledger: Ledger, ranked: Ranked, stories: Stories) -> list[tuple[Candidate, float]]:
    """The candidates, without those that only repeat the article that speaks for their story.

    That is the one with the story's best candidate.
    """
    told: dict[int, list[PassageRow]] = {}
    for candidate, _ in ranked:
        told.setdefault(voice_of(candidate.row, stories), []).append(candidate.row)
    repeated: set[int] = set()
    for rows in told.values():
        if len({row.article_key for row in rows}) > 1:
            repeated |= _repeated(ledger, rows)
    return [one for one in ranked if one[0].row.id not in repeated]


def _repeated(ledger: Ledger, rows: Sequence[PassageRow]) -> set[int]:
    """The passages of one story, best first, that others of it say already."""
    speaker = rows[0].article_key
    texts: dict[int, str] = {}
    said: set[str] = set()
    repeated = set()
    for row in sorted(rows, key=lambda row: row.article_key != speaker):
        if row.article_key not in texts:
            texts[row.article_key] = ledger.article(row.article_id, row.revision).text
        shingles = Wording(texts[row.article_key][row.start : row.end]).shingles
        if row.article_key != speaker and shingles and _share(shingles, said) >= SAID:
            repeated.add(row.id)
        else:
            said |= shingles
    return repeated


def _share(shingles: frozenset[str], among: Iterable[str]) -> float:
    return len(shingles.intersection(among)) / len(shingles)


def is_same(a: Wording, b: Wording) -> bool:
    """Whether two passages of different articles say the same, in the same words."""
    return overlap(a, b) >= SAID and not is_corrected(a, b)


def tellers(
    ledger: Ledger, stories: Iterable[int], filters: Filters
) -> dict[int, list[tuple[Article, Wording]]]:
    """The articles that pass the filters, as they stand then, by the story that they tell."""
    members = groups.members(ledger, set(stories), filters.as_of)
    first, last = filters.days
    found: dict[int, list[tuple[Article, Wording]]] = {}
    for story, several in members.items():
        for article in ledger.articles_of(several, filters.as_of) if len(several) > 1 else ():
            day = article.published.toordinal() if article.published else 0
            passes = not filters.sources or article.source in filters.sources
            if passes and first <= day <= last:
                found.setdefault(story, []).append((article, Wording(article.text)))
    return found


def copies(passage: RankedPassage, told: Sequence[tuple[Article, Wording]]) -> tuple[Article, ...]:
    """The copies that a passage has already, and the tellers of its story that say it, too."""
    found = {article.id: article for article in passage.copies}
    shingles = Wording(passage.text).shingles
    for article, wording in told:
        if article.id == passage.article.id or not shingles:
            continue
        if _share(shingles, wording.shingles) >= SAID:
            found.setdefault(article.id, article)
    return tuple(found.values())
