"""What the chat promises and no other browser test shows, at the width of a desk and of a phone.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest
import trustme
from conftest import ScriptedLLM, make_archive
from typer.testing import CliRunner

from rag import Answer, Archive, Article, Evidence, Sentence, Trace
from rag.cli import app
from rag.models import Message, SentenceTransformerEmbedder
from ui import server
from ui.auth import write_user

from .chat_page import (
    BOTH,
    MS,
    Open,
    Page,
    View,
    ask,
    check_highlight,
    done,
    drawer,
    expect,
    photograph,
    settled,
)
from .serving import LAMP, LAMP_CITATION, LAMP_QUESTION, LIGHTHOUSE, forget, served

WIRE = (
    "Glassblower Ines Marchetti won the Varga prize for a lamp of 900 pieces. "
    "The jury in Sellin praised her patience. She will give the money to the school of the island."
)
WIRE_QUESTION = "Who won the Varga prize for a lamp of 900 pieces?"
OUTLETS = ("Sellin Post", "Harbour Times", "North Wire", "Island Radio")
WIRES = [
    Article(
        f"wire{n}", "Glassblower wins the Varga prize", WIRE, outlet, published=date(2024, 2, n)
    )
    for n, outlet in enumerate(OUTLETS, 1)
]
PASSWORD = "correct horse battery"


class Waiting(ScriptedLLM):
    """A model that says nothing until it is let go."""

    def __init__(self, *pieces: str) -> None:
        super().__init__(*pieces)
        self.release = threading.Event()

    def stream(self, messages: Sequence[Message], max_tokens: int) -> Iterator[str]:
        self.release.wait(MS / 1000)
        yield from super().stream(messages, max_tokens)


@pytest.fixture(scope="module")
def archive(editable: Archive) -> Archive:
    assert not editable.ingest(*WIRES).failures
    return editable


@pytest.fixture(scope="module")
def address(archive: Archive) -> Iterator[str]:
    with served(archive, wording=False) as url:
        yield url


@BOTH
def test_the_cards_stand_in_the_order_of_the_citations_and_lead_from_one_to_the_next(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(quoting, *view)
    ask(page, f"{LAMP_QUESTION} {WIRE_QUESTION} What does a ferry ticket to Eastbank cost?")
    done(page)
    page.locator("#nr-latest .nr-actions .nr-to-sources").click()
    cards = page.locator("#nr-sources .nr-card")
    numbers = [int(n) for n in page.locator("#nr-sources .nr-number").all_text_contents()]
    assert len(numbers) > 2
    assert numbers == sorted(numbers)
    expect(cards.first.locator(".nr-byline")).to_have_text(
        re.compile(r"^Callow Herald · 9 March 2024 · (\d+ )?(years|months|weeks|days) ago$")
    )
    cards.first.locator(".nr-title").click()
    check_highlight(page, LAMP)
    total = len(numbers)
    expect(page.locator(".nr-at")).to_have_text(f"Citation 1 of {total}")
    expect(page.get_by_role("button", name="Previous citation")).to_be_disabled()
    page.get_by_role("button", name="Next citation").click()
    expect(page.locator(".nr-at")).to_have_text(f"Citation 2 of {total}")
    expect(page.locator("#nr-mark")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(".nr-at")).to_have_text(f"Citation 3 of {total}")
    expect(page.locator("#nr-mark")).to_be_in_viewport()
    expect(page.locator("#nr-mark")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(".nr-at")).to_have_text(f"Citation 2 of {total}")
    page.keyboard.press("Escape")
    expect(cards.first).to_be_visible()


@BOTH
def test_a_sentence_shows_its_evidence_and_one_that_holds_in_part_looks_so(
    visit: Open,
    quoting: str,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    view: View,
) -> None:
    whole = Sentence("Odile Brandt replaced it.", (LAMP_CITATION,), 0.93)
    partly = Sentence("She did so alone.", (LAMP_CITATION,), 0.6)
    answer = Answer("q", "answered", (whole, partly), (), Trace())
    page = visit(quoting, *view)
    monkeypatch.setattr(archive, "stream", lambda *_, **__: iter([answer]))
    ask(page, "Who?")
    done(page)
    first, second = page.locator(".nr-sentence").all()
    first.locator(".nr-words").hover()
    expect(first.locator(".nr-popover")).to_be_visible()
    expect(first.locator(".nr-support")).to_have_text("Supported (93 %)")
    expect(first.locator(".nr-quoted")).to_have_text(LAMP)
    expect(second.locator(".nr-flag")).to_have_text("partly supported")
    styles = "words => [getComputedStyle(words).textDecorationStyle]"
    looks = [one.locator(".nr-words").evaluate(styles) for one in (first, second)]
    assert looks == [["solid"], ["wavy"]]
    page.mouse.move(2, 2)
    second.locator(".nr-cite").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(second.locator(".nr-support")).to_contain_text("Only partly supported (60 %)")
    expect(second.locator(".nr-popover")).to_be_visible()
    second.locator(".nr-cite").click()
    check_highlight(page, LAMP)
    page.wait_for_timeout(600)  # the popover would come with a delay
    expect(second.locator(".nr-popover")).to_be_hidden()


@BOTH
def test_copies_of_a_wire_story_are_one_card(visit: Open, quoting: str, view: View) -> None:
    page = visit(quoting, *view)
    ask(page, WIRE_QUESTION)
    done(page)
    page.locator("#nr-latest .nr-actions .nr-to-sources").click()
    card = page.locator("#nr-sources .nr-card", has_text="Varga prize for a lamp").first
    card.get_by_text("Also in 3 outlets").click()
    photograph(page, "wire-copies")
    copies = card.locator(".nr-copies li")
    expect(copies).to_have_count(3)
    copies.last.get_by_role("button").click()
    expect(page.locator(".nr-article .nr-byline")).to_contain_text("2024")
    expect(page.locator("#nr-mark")).to_contain_text("Ines Marchetti")


@BOTH
def test_each_sentence_is_marked_once_it_was_checked(
    visit: Open,
    quoting: str,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    view: View,
) -> None:
    quote = Sentence(LAMP, (LAMP_CITATION,), 0.99)
    worded = [Sentence(f"Sentence {n} about Odile.", (LAMP_CITATION,), 0.9) for n in (1, 2)]
    answer = Answer("q", "answered", tuple(worded), (), Trace())
    more = [threading.Event() for _ in range(2)]

    def stream(question: str, **_: object) -> Iterator[object]:
        yield Evidence(question, (), (quote,))
        for event, sentence in zip(more, worded, strict=True):
            event.wait(MS / 1000)
            yield sentence
        monkeypatch.undo()
        yield answer

    page = visit(quoting, *view)
    monkeypatch.setattr(archive, "stream", stream)
    ask(page, "Who?")
    expect(page.locator(".nr-quotes")).to_contain_text(LAMP)
    assert page.locator(".nr-answer").count() == 0
    more[0].set()
    expect(page.locator(".nr-status")).to_contain_text("1 sentence checked")
    expect(page.locator(".nr-answer .nr-sentence")).to_have_count(1)
    check = "one => getComputedStyle(one, '::after').content"
    assert "✓" in page.locator(".nr-answer .nr-sentence").evaluate(check)
    more[1].set()
    done(page)
    expect(page.locator(".nr-answer .nr-sentence")).to_have_count(2)
    assert "✓" not in page.locator(".nr-answer .nr-sentence").last.evaluate(check)


@BOTH
def test_as_of_a_day_hides_what_came_later(visit: Open, quoting: str, view: View) -> None:
    page = visit(f"{quoting}?as_of=2024-03-07", *view)  # a day's grace is for other time zones
    ask(page, LAMP_QUESTION)
    done(page)
    expect(page.locator("#nr-latest")).not_to_contain_text("Odile Brandt")
    expect(page.locator("#nr-sources")).not_to_contain_text(LIGHTHOUSE.title)
    later = visit(f"{quoting}?as_of=2024-03-09", *view)
    ask(later, LAMP_QUESTION)
    done(later)
    expect(later.locator("#nr-latest")).to_contain_text("Odile Brandt")
    expect(later.locator("#nr-sources .nr-byline").first).to_have_text(
        "Callow Herald · 9 March 2024 · today"
    )


@BOTH
def test_feedback_comes_out_of_the_command(
    visit: Open, quoting: str, archive: Archive, editable_folder: Path, view: View
) -> None:
    page = visit(quoting, *view)
    ask(page, WIRE_QUESTION)
    done(page)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_text("Note", exact=True).click()
    page.get_by_label("Note on this answer").fill("Ask the jury.")
    page.get_by_role("button", name="Save note").click()
    expect(page.get_by_text("Note ✓")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Note ✓")).to_be_visible()
    told = CliRunner().invoke(app, ["feedback", "--json", "--archive", str(editable_folder)])
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    (row,) = [row for row in rows if row["note"] == "Ask the jury."]
    assert (row["question"], row["thumb"]) == (WIRE_QUESTION, "down")
    forget(archive)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("users") / "users"
    for name in ("ada", "bo"):
        write_user(file, name, PASSWORD)
    return file


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("username").fill(name)
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Login").click()


@BOTH
def test_users_wait_for_the_model_in_a_queue_and_do_not_see_each_other(
    visit: Open,
    users: Path,
    tmp_path: Path,
    embedder: SentenceTransformerEmbedder,
    view: View,
) -> None:
    model = Waiting("Odile Brandt replaced the lamp of the Tamarisk lighthouse in March. [1]")
    with make_archive(tmp_path / "archive", embedder, model) as archive:
        archive.ingest(LIGHTHOUSE)
        page_of = server.start(archive, port=0, auth=users, per_user=1)
        try:
            ada, bo = (visit(page_of.url, *view, shows="input[type=password]") for _ in "ab")
            log_in(ada, "ada", "wrong password")
            expect(ada.get_by_text("Incorrect Credentials")).to_be_visible()
            for page, name in ((ada, "ada"), (bo, "bo")):
                log_in(page, name)
                expect(page.locator(".nr-welcome")).to_be_visible()
                ask(page, LAMP_QUESTION)
                expect(page.locator(".nr-quotes")).to_contain_text(LAMP)
            expect(bo.locator(".nr-status")).to_have_text(
                "1 question before yours at the language model"
            )
            again = bo.context.new_page()
            again.goto(page_of.url)
            again.get_by_label("Question", exact=True).fill("And now?")
            again.get_by_label("Question", exact=True).press("Enter")
            expect(again.locator("#nr-notice [role=alert]")).to_be_visible()
            model.release.set()
            for page in (ada, bo):
                done(page)
                expect(page.locator(".nr-answer")).to_contain_text("Odile Brandt")
                expect(page.locator(".nr-open-kept")).to_have_count(1)
            bo.goto(ada.url)
            expect(bo.get_by_role("alert")).to_contain_text("does not exist")
        finally:
            model.release.set()
            page_of.close()


@BOTH
def test_over_tls_a_user_logs_in_asks_and_logs_out(
    visit: Open, archive: Archive, users: Path, tmp_path: Path, view: View
) -> None:
    issued = trustme.CA().issue_cert("127.0.0.1")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    page_of = server.start(archive, port=0, wording=False, auth=users, tls=(certificate, key))
    try:
        assert page_of.url.startswith("https://")
        login = "input[type=password]"
        page = visit(page_of.url, *view, shows=login, ignore_https_errors=True)
        log_in(page, "ada")
        expect(page.locator(".nr-welcome")).to_be_visible()
        (cookie,) = page.context.cookies()
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        ask(page, LAMP_QUESTION)
        done(page)
        expect(page.locator(".nr-answer")).to_contain_text("Odile Brandt")
        page.goto(f"{page_of.url}health")
        expect(page.locator("body")).to_contain_text('"status":"ok"')
        page.goto(page_of.url)
        expect(page.locator("#nr-latest :is(.nr-welcome, .nr-turn)")).to_be_visible()
        settled(page)  # on a wide page, the drawer opens by itself
        drawer(page)
        expect(page.locator(".nr-user")).to_have_text("ada Log out")
        page.get_by_role("link", name="Log out").click()
        expect(page.locator(login)).to_be_visible()
    finally:
        page_of.close()
