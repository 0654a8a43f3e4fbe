"""Example questions for an archive, from the names that its titles repeat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rag.types import Article

_NAME = re.compile(r"(?:[A-Z][\w’'-]+)(?: (?:of |the )?[A-Z][\w’'-]+)+")
_SHAPES = (
    "What is the latest on {}?",
    "What do we know about {}?",
    "When was {} last in the news, and why?",
    "How did the story of {} begin?",
)


def example_questions(articles: Sequence[Article], count: int) -> list[str]:
    """Up to `count` questions about names of several words that stand in most articles' texts."""
    seen: Counter[str] = Counter()
    for article in articles:
        seen.update(set(_NAME.findall(article.text)))
    names: list[str] = []
    for name, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0])):
        if len(names) == count:
            break
        if not any(name in other or other in name for other in names):
            names.append(name)
    return [_SHAPES[n % len(_SHAPES)].format(name) for n, name in enumerate(names)]
