"""The sources of an answer: its sentences with their evidence, the cards, the article. Pure HTML.

Buttons carry `data-event="open"` with the article, revision and span that they open; pane.js sends
them to the server, which looks everything up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

from rag import Answer, Article, Citation, Evidence, RankedPassage, Sentence
from ui.render import byline, cut, headline, link, place, place_of, text

PARTLY = 0.8
"""Below this probability that its sources support it, a sentence is shown as holding in part."""

MAX_QUOTE = 600
"""Characters of a quote on a card; the article shows all of it."""

MAX_HINT = 280
"""Characters of a quote in a popover, which does not scroll."""


def sentence_html(sentence: Sentence, numbers: Mapping[Citation, int]) -> str:
    """A sentence, its markers as buttons, and a popover with its quotes and its support.

    All of it is phrasing content, so that it may stand in a paragraph.
    """
    partly = sentence.support < PARTLY
    support = _support(sentence)
    flag = '<span class="nr-flag">partly supported</span>' if partly else ""
    marks = "".join(marker_html(c, numbers[c], support) for c in sentence.citations)
    quotes = "".join(_evidence(c, numbers[c]) for c in sentence.citations)
    popover = (
        f'<span class="nr-popover" role="tooltip"><span class="nr-support">{support}</span>'
        f"{quotes}</span>"
    )
    return (
        f'<span class="nr-sentence{" nr-partly" if partly else ""}">'
        f'<span class="nr-words">{text(sentence.text)}</span>{flag}{marks}'
        f"{popover if quotes else ''}</span>"
    )


def marker_html(citation: Citation, n: int, support: str = "") -> str:
    """The number of a citation, as a button that opens its article."""
    label = f"Citation {n}: {headline(citation.article)}" + (f". {support}" if support else "")
    return (
        f'<button type="button" class="nr-cite" aria-label="{text(label)}" '
        f"{place(citation)}>{n}</button>"
    )


def is_quote(sentence: Sentence) -> bool:
    """Whether a sentence is its source: one that replaced a draft, or was never worded."""
    return [sentence.text.split()] == [c.quote.split() for c in sentence.citations]


def sources_html(
    found: Answer | Evidence, numbers: Mapping[Citation, int], today: date | None = None
) -> str:
    """The cards in the order of `numbers`; for an abstention, what was looked for and came closest.

    Ages are counted to `today` (of an answer "as of" a day, that day), by default the real one.
    """
    today = today or date.today()
    if isinstance(found, Answer) and found.status == "abstained":
        return _pane("Closest passages", _abstention(found, today))
    cards = "".join(_card(card, found.passages, today) for card in _cards(numbers))
    if not cards:
        return no_sources_html()
    return _pane("Sources", f'<ol class="nr-cards" role="list">{cards}</ol>')


def no_sources_html() -> str:
    """The pane before there is anything to show in it."""
    return '<p class="nr-hint nr-no-sources">The sources of an answer are shown here.</p>'


def looked_html(answer: Answer) -> str:
    """What a refused question was looked for with, and in which period; empty where not known."""
    lines = answer.looked.lines if answer.looked else ()
    listed = "".join(f'<li dir="auto">{text(cut(line, MAX_QUOTE))}</li>' for line in lines)
    return f'<ul class="nr-looked" role="list">{listed}</ul>' if listed else ""


def article_html(
    article: Article,
    citations: Sequence[Citation],
    focus: Citation,
    opened: int = 0,
    today: date | None = None,
) -> str:
    """The whole article, all that the answer cites of it marked, `focus` as `#nr-mark`.

    `citations` are those of the answer, in order, of this and of other articles: they give the
    numbers, and the buttons to the next and the previous one. `focus` need not be among them.
    `opened` tells one opening from the next, so that the browser goes there again.
    """
    marked = "".join(_marked(article, citations, focus, opened))
    return (
        f'<article class="nr-article" aria-label="Article">{_bar(citations, focus)}'
        f'<h2 class="nr-headline" dir="auto">{text(headline(article))}</h2>'
        f'<p class="nr-byline">{byline(article, today or date.today())}</p>{link(article.url)}'
        f'<div class="nr-text" dir="auto">{marked}</div></article>'
    )


@dataclass(slots=True)
class _Card:
    """Citations of the same words: one, or one of each article that has the wire story."""

    first: Citation
    numbers: list[int]
    articles: list[Article] = field(default_factory=list)


def _cards(numbers: Mapping[Citation, int]) -> Iterable[_Card]:
    """Citations as cards. Those of the same words in different articles share one."""
    cards: dict[tuple[str, ...], _Card] = {}
    for citation, n in numbers.items():
        words = tuple(citation.quote.split())
        card = cards.setdefault(words, _Card(citation, []))
        card.numbers.append(n)
        card.articles.append(citation.article)
    return cards.values()


def _pane(heading: str, body: str) -> str:
    return f'<section class="nr-sources"><h2 class="nr-label">{heading}</h2>{body}</section>'


def _card(card: _Card, passages: Iterable[RankedPassage], today: date) -> str:
    """A numbered card: who said it where and when, the words, and who else has them."""
    first = card.first
    copies = [
        copy for p in passages if _overlap(p, first) for copy in (p.article, *p.copies)
    ] + card.articles
    numbers = " ".join(f'<span class="nr-number">{n}</span>' for n in card.numbers)
    return (
        f'<li class="nr-card"><div class="nr-numbers">{numbers}</div>'
        f"<div>{_titled(first, today)}{_quote(first)}{_copies(first, copies)}</div></li>"
    )


def _titled(span: Citation | RankedPassage, today: date) -> str:
    """The title, which opens the article, over the byline."""
    return (
        f'<h3><button type="button" class="nr-title" dir="auto" {place(span)}>'
        f"{text(headline(span.article))}</button></h3>"
        f'<p class="nr-byline">{byline(span.article, today)}</p>'
    )


def _quote(span: Citation | RankedPassage) -> str:
    words = span.article.text[span.start : span.end]
    return f'<blockquote dir="auto">{text(cut(words, MAX_QUOTE))}</blockquote>'


def _overlap(passage: RankedPassage, citation: Citation) -> bool:
    return (
        _same(passage.article, citation.article)
        and passage.start < citation.end
        and citation.start < passage.end
    )


def _same(one: Article, other: Article) -> bool:
    return (one.id, one.revision) == (other.id, other.revision)


def _copies(first: Citation, articles: Iterable[Article]) -> str:
    """Who else has the same story: a line that unfolds, with a button where the words are there."""
    known = {(a.id, a.revision): a for a in articles if not _same(a, first.article)}
    if not known:
        return ""
    outlets = {a.source for a in known.values() if a.source} - {first.article.source}
    count, kind = (len(outlets), "outlet") if outlets else (len(known), "article")
    items = "".join(f"<li>{_copy(article, first.quote)}</li>" for article in known.values())
    return (
        f'<details class="nr-copies"><summary>Also in {count} '
        f"{'' if outlets else 'other '}{kind}{'' if count == 1 else 's'}</summary>"
        f'<ul role="list">{items}</ul></details>'
    )


def _copy(article: Article, quote: str) -> str:
    """One copy: a button that opens it at the same words, or its name where it words them anew."""
    start = article.text.find(quote)
    title = f'<span dir="auto">{text(headline(article))}</span>'
    if start >= 0:
        at = place_of(article, start, start + len(quote))
        title = f'<button type="button" class="nr-open" {at}>{title}</button>'
    return f'{title} <span class="nr-byline">{byline(article)}</span>'


def _support(sentence: Sentence) -> str:
    """How well a sentence holds, in words."""
    if is_quote(sentence):
        return "Quoted word for word"
    percent = f"{100 * sentence.support:.0f} %"
    if sentence.support < PARTLY:
        return f"Only partly supported ({percent}): compare it with its source"
    return f"Supported ({percent})"


def _evidence(citation: Citation, n: int) -> str:
    """One quote in a popover."""
    return (
        f'<span class="nr-evidence"><span class="nr-number">{n}</span>'
        f'<span class="nr-byline">{byline(citation.article)}</span>'
        f'<span class="nr-quoted" dir="auto">{text(cut(citation.quote, MAX_HINT))}</span></span>'
    )


def _abstention(answer: Answer, today: date) -> str:
    """What was looked for and where, then the closest passages by article, without numbers."""
    cards = "".join(_closest(passages, today) for passages in answer.closest)
    listed = f'<ul class="nr-cards nr-closest" role="list">{cards}</ul>'
    hint = "They do not answer the question." if cards else "There are none."
    return f'<p class="nr-hint">{hint}</p>{looked_html(answer)}{listed if cards else ""}'


def _closest(passages: Sequence[RankedPassage], today: date) -> str:
    """Passages of one article; the title opens the first, and a button each of the others."""
    first, *others = passages
    more = "".join(
        f'{_quote(p)}<button type="button" class="nr-open" {place(p)}>Open this passage</button>'
        for p in others
    )
    return f'<li class="nr-card"><div>{_titled(first, today)}{_quote(first)}{more}</div></li>'


def _bar(citations: Sequence[Citation], focus: Citation) -> str:
    """The way back, and the ways to the citations before and after this one."""
    back = '<button type="button" class="nr-back" data-event="back">Back to the sources</button>'
    if focus not in citations:
        return f'<div class="nr-bar">{back}</div>'
    at = citations.index(focus)
    before = citations[at - 1] if at else None
    after = citations[at + 1] if at + 1 < len(citations) else None
    return (
        f'<div class="nr-bar">{back}<div class="nr-steps" role="group" aria-label="Citations">'
        f"{_step('previous', '‹', before)}"
        f'<span class="nr-at">Citation {at + 1} of {len(citations)}</span>'
        f"{_step('next', '›', after)}</div></div>"
    )


def _step(way: str, sign: str, citation: Citation | None) -> str:
    where = place(citation) if citation else "disabled"
    return (
        f'<button type="button" class="nr-step nr-{way}" aria-label="{way.title()} citation" '
        f"{where}>{sign}</button>"
    )


def _marked(
    article: Article, citations: Sequence[Citation], focus: Citation, opened: int
) -> Iterator[str]:
    """The text in pieces, none nested: the focus whole, of the other spans what it leaves over."""
    here = {c: n for n, c in enumerate(citations, 1) if _same(c.article, article)}
    inside = range(focus.start, focus.end)
    others = [c for c in here if c.start not in inside or c.end - 1 not in inside]
    edges = {edge for c in others for edge in (c.start, c.end) if edge not in inside}
    begins = {c.start if c.start not in inside else focus.end: here[c] for c in others}
    for start, end in pairwise(sorted(edges | {0, focus.start, focus.end, len(article.text)})):
        words = text(article.text[start:end])
        if start == focus.start:
            n = f' data-number="{here[focus]}"' if focus in here else ""
            yield f'<mark id="nr-mark" tabindex="-1" data-opened="{opened}"{n}>{words}</mark>'
        elif any(c.start <= start and end <= c.end for c in others):
            n = f' data-number="{begins[start]}"' if start in begins else ""
            yield f"<mark{n}>{words}</mark>"
        else:
            yield words
