"""Hostile text through every place of the real pages: it stays text, and nothing breaks.

After each text the page is searched for what must not be there, at the width of a desk and of a
phone. Every test also fails on a script error, a dialog, an error in the browser's console, or a
request to any host but the server's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from conftest import ScriptedLLM, make_archive
from hostile import HOSTILE as ALL

from rag import (
    Answer,
    Archive,
    Article,
    Citation,
    Evidence,
    Feedback,
    Looked,
    RankedPassage,
    Sentence,
    Settings,
    Short,
    Trace,
)
from rag.models import SentenceTransformerEmbedder
from ui.render import safe_url

from .chat_page import MS, Open, Page, ask, done, expect, settled
from .serving import served

HOSTILE = [evil.encode("utf-8", "replace").decode() for evil in ALL]
"""Half characters cannot be sent, neither by a browser nor by a server."""

WIDTHS = ((1440, 900), (390, 844))
AT_ONCE = 25
"""Questions of one conversation: all of them are on the page."""

SENTENCE = "The ferry of Ossel sailed at noon."
FACT = "Kestrel counters found 4,711 nests on Marrow island."
NOT_OURS = """() => {
  const acts = (element) => [...element.attributes].some(({ name, value }) =>
    name.startsWith("on") && /alert/.test(value)
    || /^(src|srcset|srcdoc|action|formaction|data|poster|background|style)$/.test(name)
      && /evil|alert|javascript:/i.test(value));
  const leads = (element) => element.matches("a[href]") && !/^https?:$/.test(element.protocol);
  const odd = "iframe, object, embed, base:not([href='./']), marquee, x-a, math, link[href*=evil],"
    + "meta[http-equiv=refresh], .html-container :is(img, script, video, picture,"
    + "form:not(dialog > form), h1:not(.nr-archive-head > h1), textarea:not(.nr-noting textarea))";
  return [...document.querySelectorAll("*")]
    .filter((element) => element.matches(odd) || acts(element) || leads(element))
    .map((element) => element.outerHTML.slice(0, 200));
}"""
"""The elements of a page that only a text can have made."""

STILL = "*, *::before, *::after { transition: none !important }"
"""So that a page has its new layout at once when its width was changed."""

ADD_STILL = f"""
  const style = document.createElement("style");
  style.textContent = "{STILL}";
  document.head.append(style);
"""

TOO_WIDE = """(parts) => [...document.querySelectorAll(["html", ...parts].join())]
  .filter((part) => part.scrollWidth > part.clientWidth + 1)
  .map((part) => `${part.id || part.tagName}: ${part.scrollWidth} in ${part.clientWidth}`)"""


def short(evil: str, limit: int = 3000) -> str:
    """So much of a text as the page gets of a question, a sentence or a title at most."""
    return evil[:limit]


def article(n: int, evil: str) -> Article:
    """An article that is hostile in all it has; one alone is a megabyte long, and has such a title.

    The others are cut, as each of their passages is embedded.
    """
    text = evil if evil.startswith("newsprint") else short(evil)
    title = evil if evil.startswith("AAA") else short(evil)
    return Article(
        f"{n} {short(evil, 80)}".replace("\0", ""),  # no page can carry one
        title,
        f"{text}\n\n{SENTENCE} {n}",
        short(evil, 500),
        evil,
        date(2024, 1, 2),
    )


class Sparing:
    """The real embedder, but for what it has read before: a megabyte of one word is that word."""

    def __init__(self, embedder: SentenceTransformerEmbedder) -> None:
        self.name = embedder.name
        self._embedder = embedder
        self._known: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._embedder.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, embedder: SentenceTransformerEmbedder
) -> Iterator[Archive]:
    sayings = (f"{short(evil, 60)} [1]. " for evil in HOSTILE[:12])  # no model may say more
    llm = ScriptedLLM(*sayings, phrase=HOSTILE[0])
    folder = tmp_path_factory.mktemp("hostile") / "archive"
    shown = Settings(accepted_error=1)  # no refusals: what the model says is to be on the page
    with make_archive(folder, Sparing(embedder), llm, shown) as archive:  # type: ignore[arg-type]
        fact = Article("fact", HOSTILE[6], f"{HOSTILE[0]} {FACT}", HOSTILE[8], HOSTILE[24])
        articles = [article(n, evil) for n, evil in enumerate(HOSTILE)]
        assert not archive.ingest(fact, *articles).failures
        yield archive


@pytest.fixture(scope="module")
def stored(archive: Archive) -> list[Article]:
    """The article of each text, as the archive has it."""
    by_number = {held.id.partition(" ")[0]: held for held in archive.articles()}
    return [by_number[str(n)] for n in range(len(HOSTILE))]


@pytest.fixture(scope="module")
def address(archive: Archive) -> Iterator[str]:
    with served(archive) as url:
        yield url


@pytest.fixture
def errors() -> Iterator[list[str]]:
    """What was written to the consoles of the pages, until they were closed."""
    errors: list[str] = []
    yield errors
    assert errors == []


@pytest.fixture
def visit(errors: list[str], visit: Open) -> Open:
    def still(url: str, **options: Any) -> Page:
        page = visit(url, **options)
        page.on("console", lambda m: m.type == "error" and errors.append(m.text))
        page.add_style_tag(content=STILL)
        page.add_init_script(f"addEventListener('load', () => {{ {ADD_STILL} }})")
        return page

    return still


def unbroken(page: Page, *parts: str) -> None:
    """Nothing is on the page that a text put there, and nothing is wider than its place."""
    assert page.evaluate(NOT_OURS) == []
    for width, height in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(TOO_WIDE, list(parts)) == [], width


def chat_unbroken(page: Page) -> None:
    unbroken(page, "#nr-scroll", "#nr-right", "#nr-bar", "#nr-composer", ".sidebar-content")
    for ours in ("#nr-question textarea", "#nr-left", "#nr-right", "#nr-new"):
        expect(page.locator(ours)).to_be_in_viewport()


def answer(evil: str, place: Article) -> tuple[Evidence, Answer]:
    """An answer that is hostile in all it has, out of a stored article."""
    text = short(evil)
    at = place.text.index(SENTENCE)
    begins = min(len(place.text) - len(SENTENCE), 500)
    cited = (Citation(place, at, len(place.text)), Citation(place, 0, begins))
    told = (Sentence(text, cited, 1.0), Sentence(f"{text}, or so", cited[1:], 0.5))
    copy = Article("copy", evil, evil[:500], text)
    passages = (RankedPassage(1, place, 0, len(place.text), 0.5, (copy,)),)
    evidence = Evidence(f"{text}?", passages, (Sentence(cited[1].quote, cited[1:], 1.0),))
    trace = Trace(query=f"{text}?", notes=(text,))
    said = Short(short(evil, 100), cited[0])
    return evidence, Answer(text, "answered", told, passages, trace, said, 0.5, missing=text)


def refusal(evil: str, place: Article) -> Answer:
    looked = Looked(short(evil), (short(evil),), 3, date(2024, 1, 1), date(2024, 2, 2))
    passages = (RankedPassage(1, place, 0, len(place.text), 0.5),)
    return Answer(short(evil), "abstained", (), passages, Trace(), looked=looked)


@pytest.mark.parametrize("first", range(0, len(HOSTILE), AT_ONCE))
def test_a_question_its_answer_and_its_article(
    visit: Open,
    address: str,
    archive: Archive,
    stored: list[Article],
    monkeypatch: pytest.MonkeyPatch,
    first: int,
) -> None:
    page = visit(address)
    for n, evil in list(enumerate(HOSTILE))[first : first + AT_ONCE]:
        evidence, whole = answer(evil, stored[n])
        ends = [whole] if n % 3 else [refusal(evil, stored[n])]
        events = [evidence, *whole.sentences, *ends]
        monkeypatch.setattr(archive, "stream", lambda *_, events=events, **__: iter(events))
        box = page.get_by_label("Question", exact=True)
        box.fill(f"{evil}?")
        box.press("Enter")
        expect(page.locator(".nr-turn")).to_have_count(n - first + 1)
        done(page)
        chat_unbroken(page)
        opener = ".nr-answer .nr-cite" if n % 3 else ".nr-to-sources"
        page.locator(f"#nr-latest {opener}").first.click()
        if not n % 3:
            page.locator("#nr-sources .nr-title").first.click()
        expect(page.locator(".nr-article .nr-headline")).to_be_visible()
        chat_unbroken(page)
        page.get_by_role("button", name="Back to the sources").click()
        expect(page.locator(".nr-article")).to_have_count(0)
    rate(archive)
    settled(page)
    page.reload()
    expect(page.locator(".nr-turn")).to_have_count(n - first + 1)
    chat_unbroken(page)
    summary = page.locator(".nr-turn summary", has_text="Note ✓").last
    summary.click()
    chat_unbroken(page)


def rate(archive: Archive) -> None:
    """Put a hostile note on each answer of the latest conversation."""
    kept = archive.conversations()
    (latest, *_) = kept.list()
    for exchange in kept.get(latest.id).exchanges:
        kept.rate(latest.id, exchange.id, Feedback("down", short(exchange.question, 2000)))


def test_the_titles_of_saved_conversations(visit: Open, address: str, archive: Archive) -> None:
    kept = archive.conversations()
    for evil in HOSTILE:
        if evil.strip():
            kept.rename(kept.new("New").id, short(evil, 200))
    page = visit(address)
    chat_unbroken(page)
    titles = page.locator(".nr-open-kept")
    assert titles.count() >= 60
    for kind in ("rename", "erase"):
        for tool in page.locator(f"[data-dialog={kind}]").all():
            tool.dispatch_event("click")
            assert page.evaluate(NOT_OURS) == []
            page.keyboard.press("Escape")
            expect(page.locator("dialog[open]")).to_have_count(0)


@pytest.mark.parametrize(
    "question, place, said",
    [
        ("How many nests did the kestrel counters find?", ".nr-short span", HOSTILE[0]),
        ("What is known about the kestrel counters of Marrow island?", ".nr-answer", "4,711"),
    ],
)
def test_what_the_model_says(
    visit: Open, address: str, question: str, place: str, said: str
) -> None:
    """Its phrase, which stands in the evidence, is shown; its other words are checked first."""
    page = visit(address)
    ask(page, question)
    done(page)
    expect(page.locator(f"#nr-latest {place}")).to_contain_text(said)
    chat_unbroken(page)


def test_the_address_of_the_chat(visit: Open, address: str) -> None:
    page = visit(address)
    short_ones = [evil for evil in HOSTILE if len(evil) <= 60]  # the page shows 40 characters
    assert len(short_ones) >= 60
    for evil in short_ones:
        filters = dict.fromkeys(("since", "source", "c"), short(evil, 500))
        settled(page)
        page.goto(f"{address}?{urlencode(filters)}")
        expect(page.locator("#nr-notice [role=alert]")).to_be_visible()
        expect(page.locator(".nr-welcome")).to_be_visible()
        chat_unbroken(page)


def test_the_outlets_to_choose_from(visit: Open, address: str, archive: Archive) -> None:
    outlets = archive.sources()
    assert len(outlets) >= 60
    page = visit(f"{address}?{urlencode([('source', one[:300]) for one in outlets])}")
    page.get_by_role("button", name="Filters").click()
    chat_unbroken(page)


def archive_unbroken(page: Page) -> None:
    unbroken(page, "#nr-index", "#nr-detail", "#nr-archive-head")
    expect(page.get_by_role("heading", level=1)).to_have_text("Archive")


def test_the_page_about_the_archive(visit: Open, address: str, stored: list[Article]) -> None:
    page = visit(f"{address}archive", shows="#nr-by-outlet svg")
    archive_unbroken(page)
    while page.get_by_role("button", name="Show more").count():
        before = page.locator(".nr-entry").count()
        page.get_by_role("button", name="Show more").click()
        expect(page.locator(".nr-entry")).not_to_have_count(before)
    assert page.locator(".nr-entry").count() > len(stored)
    page.locator("#nr-by-outlet-table summary").click()
    archive_unbroken(page)
    page.get_by_role("combobox", name="Outlets").click()
    assert page.get_by_role("option").count() >= 60
    archive_unbroken(page)
    for entry in stored:
        address_of(page, entry.id)
        expect(page.locator("article.nr-stored .nr-passages li").first).to_be_visible()
        archive_unbroken(page)


def test_the_address_of_an_article_that_is_not_there(visit: Open, address: str) -> None:
    page = visit(f"{address}archive?article=none", shows=".nr-stored .nr-error")
    for n, evil in enumerate(HOSTILE):
        address_of(page, f"{short(evil, 500)} {n}")
        expect(page.locator(".nr-stored .nr-error")).to_contain_text(f"{n}.")
        archive_unbroken(page)


def address_of(page: Page, article: str) -> None:
    """Go to an article as the browser's own buttons do."""
    page.evaluate(
        """article => {
          history.pushState(null, "", `?${new URLSearchParams({ article })}`);
          dispatchEvent(new PopStateEvent("popstate"));
        }""",
        article,
    )


def test_what_is_added_by_name_and_by_hand(visit: Open, address: str, archive: Archive) -> None:
    before = {held.id for held in archive.articles()}
    page = visit(f"{address}archive", shows="#nr-by-outlet svg")
    names = [short(evil, 100) for evil in HOSTILE]
    files = [
        {"name": f"{name}{end}", "mimeType": "text/plain", "buffer": f"{n} {name} x".encode()}
        for n, name in enumerate(names)
        for end in (".txt" if n % 2 else ".exe",)
    ]
    page.locator("#nr-files input[type=file]").set_input_files(files)
    expect(page.locator("#nr-progress .nr-status")).to_contain_text("Done", timeout=4 * MS)
    archive_unbroken(page)
    page.get_by_role("tab", name="Web address").click()
    unfetched = [short(evil, 1000) for evil in HOSTILE if not safe_url(evil.strip())]
    page.get_by_label("Addresses of articles").fill("\n".join(unfetched)[:9000])
    page.get_by_role("button", name="Fetch and add").click()
    expect(page.locator("#nr-progress .nr-status")).to_contain_text("Done: 0", timeout=4 * MS)
    archive_unbroken(page)
    page.get_by_role("tab", name="Paste").click()
    for label in ("Title", "Outlet", "Text"):
        page.get_by_label(label, exact=True).fill(" ".join(names))
    page.get_by_role("button", name="Add this article").click()
    expect(page.locator("#nr-progress .nr-status")).to_contain_text("Done: 1", timeout=4 * MS)
    archive_unbroken(page)
    page.get_by_role("textbox", name="Search titles").fill(" ".join(names))
    page.get_by_role("textbox", name="Search titles").press("Enter")
    expect(page.locator(".nr-count")).to_contain_text("found")
    archive_unbroken(page)
    for held in archive.articles():
        if held.id not in before:
            archive.delete(held.id)
