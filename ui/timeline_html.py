"""A timeline as safe HTML: pure functions, no Gradio."""

from __future__ import annotations

from rag import Article, Timeline, TimelineEntry
from ui.overview_html import address_of
from ui.render import byline, cut, day, headline, text

MAX_QUOTE = 600
"""Characters of a sentence that are shown; its article has all of it."""


def timeline_html(timeline: Timeline) -> str:
    """The days in their order, each with its sentence, which links to its article."""
    if not timeline.entries:
        nothing = f"The archive says nothing about <bdi>{text(cut(timeline.topic))}</bdi>."
        return f'<p class="nr-told" role="status">{nothing}</p>'
    shown, days = len(timeline.entries), timeline.days
    count = f"{shown:,} day{'' if shown == 1 else 's'}"
    if days > shown:
        count = f"{count} of {days:,} that speak of it: choose days to see others"
    items = "".join(map(_entry, timeline.entries))
    return (
        f'<h2 class="nr-count" role="status">{count}</h2>'
        f'<ol class="nr-timeline" role="list">{items}</ol>'
    )


def _entry(entry: TimelineEntry) -> str:
    when, citation = entry.day, entry.citation
    article = citation.article
    return (
        f'<li class="nr-day"><time datetime="{when.isoformat()}">{day(when)}</time>'
        f'<blockquote dir="auto">{text(cut(citation.quote, MAX_QUOTE))}</blockquote>'
        f'<p class="nr-byline">{_link(article)}{_copies(entry.copies)}</p></li>'
    )


def _link(article: Article) -> str:
    outlet = byline(article)
    title = f"<bdi>{text(headline(article))}</bdi>"
    return f'<a href="archive?article={address_of(article.id)}">{title}</a> · {outlet}'


def _copies(copies: tuple[Article, ...]) -> str:
    names = dict.fromkeys(cut(article.source or article.title) for article in copies)
    shown = ", ".join(f"<bdi>{text(name)}</bdi>" for name in names)
    return f" · also in {shown}" if shown else ""
