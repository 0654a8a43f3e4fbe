"""What a screen reader, a keyboard and weak eyes meet: axe-core on each state of the pages.

Each state is looked at, and photographed, as wide as a desk and as a phone, in light and in dark.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from rag import Answer, Archive, Evidence, Sentence, Short, Trace, Waiting
from ui import server
from ui.auth import write_user

from .chat_page import MS, Open, Page, ask, check_highlight, done, expect, photograph
from .serving import LAMP, LAMP_CITATION, LAMP_QUESTION

GRAVE = {"serious", "critical"}
VIEWS = pytest.mark.parametrize(
    "view",
    [(*size, mode) for size in ((1440, 900), (390, 844)) for mode in ("light", "dark")],
    ids=str,
)

PARTLY = Sentence("The keeper Odile Brandt changed the lamp alone.", (LAMP_CITATION,), 0.6)
WORDED = Sentence("Odile Brandt replaced the lamp in March.", (LAMP_CITATION,), 0.97)
QUOTE = Sentence(LAMP, (LAMP_CITATION,), 0.99)
ANSWER = Answer(
    LAMP_QUESTION,
    "answered",
    (WORDED, PARTLY, QUOTE),
    (),
    Trace(notes=("The language model was slow.",)),
    Short("Odile Brandt", LAMP_CITATION),
    0.87,
    "what the lamp cost.",
)
"""An answer with everything that one can have."""


def look(page: Page, name: str) -> None:
    """Photograph the page, and have axe-core find nothing grave."""
    page.wait_for_timeout(300)  # what fades in is there
    photograph(page, name)
    found = Axe().run(page).response["violations"]
    assert [_told(one) for one in found if one["impact"] in GRAVE] == []


def _told(violation: dict[str, object]) -> str:
    nodes = violation["nodes"]
    assert isinstance(nodes, list)
    where = "; ".join(
        f"{' '.join(map(str, node['target']))}: {node['failureSummary']}" for node in nodes
    )
    return f"{violation['id']} ({violation['impact']}): {where}"


@VIEWS
def test_the_empty_page(visit: Open, quoting: str, view: tuple[int, int, str]) -> None:
    look(visit(quoting, *view), "empty")


@VIEWS
def test_an_answer_and_an_open_article(
    visit: Open,
    quoting: str,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    view: tuple[int, int, str],
) -> None:
    finish = threading.Event()

    def stream(*_: object, **__: object) -> Iterator[object]:
        yield from (Evidence(LAMP_QUESTION, (), (QUOTE,)), Waiting(2))
        finish.wait(MS / 1000)
        yield ANSWER

    page = visit(quoting, *view)
    monkeypatch.setattr(archive, "stream", stream)
    ask(page, LAMP_QUESTION)
    expect(page.locator(".nr-quotes")).to_be_visible()
    expect(page.get_by_text("2 questions before yours")).to_be_visible()
    look(page, "answer-waiting")
    finish.set()
    done(page)
    look(page, "answer")
    page.locator(".nr-partly .nr-words").hover()
    expect(page.locator(".nr-partly .nr-popover")).to_be_visible()
    page.wait_for_timeout(600)
    photograph(page, "answer-evidence")
    page.locator(".nr-answer .nr-cite").first.click()
    check_highlight(page, LAMP)
    look(page, "answer-article")


@VIEWS
def test_a_refusal(visit: Open, quoting: str, view: tuple[int, int, str]) -> None:
    page = visit(quoting, *view)
    ask(page, "Who won the chess boxing final in Lisbon?")
    done(page)
    look(page, "refusal")
    page.locator(".nr-turn .nr-to-sources").first.click()
    expect(page.locator("#nr-sources .nr-closest")).to_be_visible()
    look(page, "refusal-closest")


@VIEWS
def test_the_menus_the_filters_and_the_saved_conversations(
    visit: Open, quoting: str, view: tuple[int, int, str]
) -> None:
    page = visit(quoting, *view)
    ask(page, LAMP_QUESTION)
    done(page)
    page.locator(".nr-turn summary", has_text="Copy").click()
    look(page, "copying")
    page.keyboard.press("Escape")
    page.locator(".nr-turn summary", has_text="Note").click()
    look(page, "noting")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Edit the question", exact=True).click()
    expect(page.locator(".nr-editing")).to_be_visible()
    page.get_by_role("button", name="Filters").click()
    expect(page.get_by_label("As of, as year-month-day")).to_be_visible()
    look(page, "editing-with-filters")
    if not page.locator("#nr-sidebar.open").count():
        page.get_by_role("button", name="Toggle Sidebar").click()
    expect(page.get_by_label("Search conversations")).to_be_in_viewport()
    page.wait_for_timeout(500)
    look(page, "saved")
    page.locator(".nr-one").first.hover()
    page.locator(".nr-one [data-dialog=rename]").first.click()
    look(page, "renaming")


@VIEWS
def test_the_archive_and_an_article_of_it(
    visit: Open, quoting: str, view: tuple[int, int, str]
) -> None:
    page = visit(f"{quoting}archive", *view, shows="#nr-by-outlet svg")
    look(page, "archive")
    for tab in ("Paste", "Web address"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        look(page, f"archive-{tab.split()[0].lower()}")
    page.get_by_role("textbox", name="Search titles").fill("wind turbines")
    page.get_by_role("textbox", name="Search titles").press("Enter")
    expect(page.locator(".nr-count")).to_contain_text("found")
    page.locator(".nr-entry .nr-title").first.click()
    expect(page.locator("article.nr-stored")).to_be_visible()
    page.get_by_role("button", name="Delete article").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_visible()
    look(page, "archive-article")


@VIEWS
def test_the_login(
    visit: Open, archive: Archive, tmp_path: Path, view: tuple[int, int, str]
) -> None:
    write_user(tmp_path / "users", "ada", "correct horse")
    page = server.start(archive, port=0, wording=False, auth=tmp_path / "users")
    try:
        look(visit(page.url, *view, shows="input[type=password]"), "login")
    finally:
        page.close()
