"""What is in the archive, as safe HTML: pure functions, no Gradio."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from urllib.parse import quote

from rag import ArchiveStatus, Article
from ui.adding import Progress
from ui.bars import Bars
from ui.render import byline, cut, day, error_html, link, text

MAX_NAMED_FAILURES = 20
_LEAD_CHARACTERS = 240
_NAME_CHARACTERS = 60
_EMPTY = "The archive is empty. Add the first articles here, or with newsrag ingest FOLDER."


def summary_html(status: ArchiveStatus, outlets: int) -> str:
    """The head of the page: how much there is, of how many outlets, from when to when."""
    if not status.articles:
        return _head(f'<p class="nr-hint">{text(_EMPTY)}</p>')
    facts = [
        ("Articles", f"{status.articles:,}"),
        ("Outlets", f"{outlets:,}"),
        ("First day", _dated(status.first)),
        ("Last day", _dated(status.last)),
        ("Size", _size(status.size_bytes)),
        ("Without a date", f"{status.undated:,}"),
    ]
    return _head(f'<dl class="nr-facts">{_facts(facts)}</dl>')


def table_html(bars: Bars) -> str:
    """The numbers of a plot for those who cannot see it."""
    rows = "".join(
        f'<tr><th scope="row" dir="auto">{text(label)}</th><td>{count:,}</td></tr>'
        for label, count in zip(bars.labels, bars.counts, strict=True)
    )
    return (
        f"<details><summary>{bars.heading} as a table</summary>"
        f'<table class="nr-table"><caption>{bars.heading}</caption><thead>'
        f'<tr><th scope="col">{text(bars.column)}</th><th scope="col">Articles</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def list_html(articles: Sequence[Article], *, searched: bool, more: bool) -> str:
    """Articles to choose from, the latest or those found; `more` adds a button for others."""
    count = _count(len(articles), "article")
    if searched:
        told = f"The best {count} found" if more else f"{count} found"
        heading = told if articles else "No article found"
    else:
        heading = "Latest articles" if articles else "No articles yet"
    button = '<button type="button" class="nr-more" data-event="more">Show more</button>'
    return (
        f'<h2 class="nr-count" role="status">{heading}</h2>'
        f'<ol class="nr-list" role="list">{"".join(map(_entry, articles))}</ol>'
        f"{button if more else ''}"
    )


def article_html(article: Article, passages: Sequence[tuple[int, int]]) -> str:
    """One article with its data, its text as it was split into passages."""
    parts = [(start, end) for start, end in passages] or [(0, len(article.text))]
    shown = "".join(
        f'<li><span class="nr-offsets">Passage {n}, characters {start:,} to {end:,}</span>'
        f'<div class="nr-passage" dir="auto">{text(article.text[start:end])}</div></li>'
        for n, (start, end) in enumerate(parts, 1)
    )
    facts = [
        ("Outlet", f"<bdi>{text(cut(article.source))}</bdi>" if article.source else "not known"),
        ("Date", _dated(article.published)),
        ("Address", link(article.url) or "not known"),
        ("Id", f"<code>{text(cut(article.id))}</code>"),
        ("Revision", f"{article.revision}"),
        ("Length", f"{_count(len(article.text.split()), 'word')}, {_count(len(parts), 'passage')}"),
    ]
    return (
        f'<article class="nr-stored" aria-label="Article" data-article="{text(article.id)}">'
        f'<h2 tabindex="-1" dir="auto">{text(cut(article.title))}</h2>'
        f'<dl class="nr-data">{_facts(facts)}</dl>'
        "<h3>Passages</h3>"
        '<p class="nr-hint">The pieces that are searched and cited.</p>'
        f'<ol class="nr-passages" role="list">{shown}</ol></article>'
    )


def no_article_html(reason: str) -> str:
    """In the place of an article that cannot be shown."""
    return f'<div class="nr-stored">{error_html(reason)}</div>'


def deleted_html(title: str) -> str:
    """What is said after a deletion."""
    return f'<p class="nr-status" role="status">Deleted: <bdi>{text(cut(title))}</bdi></p>'


def progress_html(progress: Progress) -> str:
    """How far the adding is, and a line for every item that failed."""
    report = progress.report
    counts = [
        f"{number:,} {name}"
        for number, name in (
            (report.added, "added"),
            (report.changed, "changed"),
            (report.unchanged, "unchanged"),
            (progress.failed, "failed"),
        )
        if number or name == "added"
    ]
    state = (
        ("Stopped" if progress.error else "Done")
        if progress.over
        else f"Reading <bdi>{text(cut(progress.current, _NAME_CHARACTERS))}</bdi> "
        f"({progress.done + 1:,} of {progress.total:,})"
    )
    busy = "" if progress.over else " nr-busy"
    done = f'max="{max(progress.total, 1)}" value="{progress.done}"'
    bar = "" if progress.over else f'<progress {done} aria-label="Items read"></progress>'
    return (
        f'<p class="nr-status{busy}" role="status">{state}: {", ".join(counts)}.</p>{bar}'
        f"{_ended(progress)}{_failures(progress)}"
    )


def _ended(progress: Progress) -> str:
    if not progress.error:
        return ""
    left = f" Not read: {progress.left:,} of {progress.total:,}; add them again later."
    return error_html(f"{progress.error.removesuffix('.')}.{left}")


def _failures(progress: Progress) -> str:
    shown = progress.report.failures[:MAX_NAMED_FAILURES]
    lines = "".join(
        f"<li><bdi>{text(cut(failure.place))}</bdi>: {text(cut(failure.reason))}</li>"
        for failure in shown
    )
    if rest := progress.failed - len(shown):
        lines += f"<li>and {rest:,} more</li>"
    return f'<ul class="nr-failures" aria-label="Not added">{lines}</ul>' if lines else ""


def _head(inner: str) -> str:
    return (
        f'<div class="nr-archive-head"><h1>Archive</h1>{inner}'
        '<a class="nr-jump" href="#nr-add">Add articles</a></div>'
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    """Names and values of a `dl`; the values are HTML."""
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)


def _entry(article: Article) -> str:
    lead = cut(article.text, _LEAD_CHARACTERS)
    return (
        f'<li class="nr-entry"><a class="nr-title" dir="auto" data-event="open" '
        f'data-article="{text(article.id)}" href="?article={address_of(article.id)}">'
        f'{text(cut(article.title))}</a><p class="nr-byline">{byline(article)}</p>'
        f'<p class="nr-lead" dir="auto">{text(lead)}</p></li>'
    )


def address_of(article_id: str) -> str:
    """The id as a part of the page's address."""
    return quote(article_id.encode("utf-8", "replace"), safe="")


def _count(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _dated(value: date | None) -> str:
    return f'<time datetime="{value.isoformat()}">{day(value)}</time>' if value else "not known"


def _size(size: int) -> str:
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if value >= 10 or unit == "bytes" else f"{value:.1f} {unit}"
