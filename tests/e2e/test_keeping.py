"""Finding and keeping in a real browser: filters in the address, saved conversations, opinions.

Every test also fails on a script error, a dialog, or a request to any host but the server's own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from rag import Archive, Settings

from .chat_page import (
    BOTH,
    Open,
    Page,
    View,
    ask,
    check_highlight,
    done,
    drawer,
    expect,
    photograph,
)
from .serving import LAMP, LAMP_QUESTION, LIGHTHOUSE, LOOT_QUESTION, served

READ_CLIPBOARD = """async () => {
  const [item] = await navigator.clipboard.read();
  const texts = item.types.map(async (type) => [type, await (await item.getType(type)).text()]);
  return JSON.stringify(Object.fromEntries(await Promise.all(texts)));
}"""


def titles(page: Page) -> list[str]:
    return [title.split("\n")[0] for title in page.locator(".nr-open-kept").all_inner_texts()]


@BOTH
def test_a_reload_and_a_restart_lose_nothing(visit: Open, folder: Path, view: View) -> None:
    with Archive.open(folder, Settings()) as archive, served(archive, wording=False) as url:
        page = visit(url, *view)
        ask(page, LAMP_QUESTION)
        done(page)
        ask(page, LOOT_QUESTION)
        done(page)
        page.reload()
        expect(page.locator(".nr-turn")).to_have_count(2)
        conversation = page.evaluate("new URL(location.href).searchParams.get('c')")
    with Archive.open(folder, Settings()) as archive, served(archive, wording=False) as url:
        page = visit(f"{url}?c={conversation}", *view)
        expect(page.locator(".nr-turn")).to_have_count(2)
        page.locator("#nr-talk .nr-cite", has_text=re.compile(r"^\D*1\D*$")).first.click()
        check_highlight(page, LAMP)


@BOTH
def test_conversations_are_listed_searched_renamed_and_deleted(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(quoting, *view)
    for question in (LAMP_QUESTION, LOOT_QUESTION):
        ask(page, question)
        done(page)
        drawer(page)
        page.get_by_role("button", name="New conversation").click()
        expect(page.locator(".nr-welcome")).to_be_visible()
        page.get_by_role("button", name="Toggle Sidebar").click()
    drawer(page)
    assert titles(page) == [LOOT_QUESTION, LAMP_QUESTION]
    page.get_by_label("Search conversations").fill("odile LIGHTHOUSE")
    expect(page.locator(".nr-one")).to_have_count(1)
    page.get_by_label("Search conversations").fill("zebra")
    expect(page.get_by_text("No conversation has these words.")).to_be_visible()
    page.get_by_label("Search conversations").fill("")
    expect(page.locator(".nr-one")).to_have_count(2)

    page.locator(".nr-one").first.hover()
    page.get_by_role("button", name=f"Rename {LOOT_QUESTION}").click()
    page.get_by_label("Title").fill("The <b>heist</b>")
    page.get_by_label("Title").press("Enter")
    expect(page.locator(".nr-open-kept").first).to_contain_text("The <b>heist</b>")

    delete = page.get_by_role("button", name="Delete The <b>heist</b>")
    page.locator(".nr-one").first.hover()
    delete.click()
    page.get_by_role("button", name="Keep it").click()
    page.locator(".nr-one").first.hover()
    delete.click()
    expect(page.locator("dialog[open]")).to_contain_text("The <b>heist</b>")
    photograph(page, "deleting")
    page.locator("dialog[open]").get_by_role("button", name="Delete").click()
    expect(page.locator(".nr-one")).to_have_count(1)
    assert titles(page) == [LAMP_QUESTION]
    page.locator(".nr-open-kept").click()
    expect(page.locator("h2.nr-question")).to_have_text(LAMP_QUESTION)


def test_deleting_what_is_on_the_page_empties_it(visit: Open, quoting: str) -> None:
    page = visit(quoting)
    ask(page, LAMP_QUESTION)
    done(page)
    page.locator(".nr-one").hover()
    page.get_by_role("button", name=f"Delete {LAMP_QUESTION}").click()
    page.locator("dialog[open]").get_by_role("button", name="Delete").click()
    expect(page.locator(".nr-welcome")).to_be_visible()
    page.wait_for_url(quoting)


def test_a_conversation_that_is_not_there_is_one_sentence(visit: Open, quoting: str) -> None:
    page = visit(f"{quoting}?c=nobodys")
    expect(page.get_by_role("alert")).to_contain_text("does not exist")


@BOTH
def test_the_filters_are_in_the_address_and_a_link_shows_them(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(f"{quoting}?as_of=2024-05-01&source=Callow+Herald&source=Nobody", *view)
    page.get_by_role("button", name="Filters (2)").click()
    expect(page.get_by_label("As of, as year-month-day")).to_have_value("2024-05-01")
    expect(page.locator("#nr-narrow")).to_contain_text("Callow Herald")
    page.get_by_label("Since, as year-month-day").fill("2024-01-02")
    page.get_by_label("Since, as year-month-day").press("Enter")
    page.wait_for_url(re.compile("since=2024-01-02"))
    page.get_by_role("button", name="Filters (3)").click()
    ask(page, LOOT_QUESTION)
    done(page)
    asked = ["As of 1 May 2024", "Since 2 January 2024", "Only Callow Herald"]
    expect(page.locator(".nr-asked li")).to_have_text(asked)
    expect(page.locator(".nr-turn")).to_contain_text("Searched 1 article of 9 March 2024.")
    again = visit(page.url, *view)
    expect(again.locator(".nr-asked li")).to_have_text(asked)
    expect(again.get_by_role("button", name="Filters (3)")).to_be_visible()


def test_a_filter_that_is_no_date_is_one_sentence(visit: Open, quoting: str) -> None:
    page = visit(f"{quoting}?since=2024-13-45")
    page.locator("#nr-notice").get_by_role("alert").wait_for()
    expect(page.get_by_role("alert")).to_contain_text("is no date")


@BOTH
def test_an_edited_question_replaces_its_answer_and_all_after_it(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(quoting, *view)
    for question in (LAMP_QUESTION, LOOT_QUESTION, "Who won the chess boxing final in Lisbon?"):
        ask(page, question)
        done(page)
    second = page.locator(".nr-turn").nth(1)
    second.get_by_role("button", name="Edit the question").click()
    box = page.get_by_label("Question", exact=True)
    expect(box).to_have_value(LOOT_QUESTION)
    expect(page.get_by_text("all after it will be replaced")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(box).to_have_value("")
    expect(page.locator(".nr-turn")).to_have_count(3)
    second.get_by_role("button", name="Edit the question").click()
    expect(box).to_have_value(LOOT_QUESTION)
    ask(page, "Why is Kim boosting production?")
    done(page)
    asked = [LAMP_QUESTION, "Why is Kim boosting production?"]
    expect(page.locator("h2.nr-question")).to_have_text(asked)
    page.get_by_role("button", name="Ask this again").click()
    done(page)
    expect(page.locator("h2.nr-question")).to_have_text(asked)
    page.reload()
    expect(page.locator("h2.nr-question")).to_have_text(asked)


@BOTH
def test_an_opinion_is_kept_at_once(
    visit: Open, quoting: str, archive: Archive, view: View
) -> None:
    page = visit(quoting, *view)
    ask(page, LAMP_QUESTION)
    done(page)
    up = page.get_by_role("button", name="Good answer")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Note", exact=True).click()
    page.get_by_label("Note on this answer").fill("Just <b>right</b>")
    page.get_by_role("button", name="Save note").click()
    page.reload()
    expect(up).to_have_attribute("aria-pressed", "true")
    page.get_by_text("Note ✓").click()
    expect(page.get_by_label("Note on this answer")).to_have_value("Just <b>right</b>")
    (row,) = archive.feedback()
    assert (row["thumb"], row["note"]) == ("up", "Just <b>right</b>")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(up).to_have_attribute("aria-pressed", "false")


@BOTH
def test_an_answer_is_copied_with_its_citations(visit: Open, quoting: str, view: View) -> None:
    page = visit(quoting, *view)
    page.context.grant_permissions(["clipboard-read"])
    ask(page, LAMP_QUESTION)
    done(page)
    for name, kind, told in (
        ("Text", "text/plain", f"{LAMP} [1]"),
        ("Markdown", "text/plain", f"## {LAMP_QUESTION}"),
        ("HTML", "text/html", "<blockquote>"),
    ):
        page.locator(".nr-turn summary", has_text="Copy").click()
        page.locator(".nr-turn").get_by_role("button", name=name, exact=True).click()
        expect(page.get_by_text("Copied")).to_be_visible()
        copied = json.loads(page.evaluate(READ_CLIPBOARD))
        assert told in copied[kind]
        assert LAMP in copied["text/plain"]
        assert "https://callow.example/lamp" in copied["text/plain"]
        expect(page.get_by_text("Copied")).to_have_count(0)


@BOTH
def test_a_conversation_is_exported(visit: Open, quoting: str, view: View) -> None:
    page = visit(quoting, *view)
    for question in (LAMP_QUESTION, LOOT_QUESTION):
        ask(page, question)
        done(page)
    for name, ending in (("Text", ".txt"), ("Markdown", ".md"), ("HTML", ".html")):
        page.locator("#nr-bar summary").click()
        with page.expect_download() as download:
            page.locator("#nr-bar").get_by_role("button", name=name).click()
        assert download.value.suggested_filename.endswith(ending)
        text = Path(download.value.path()).read_text(encoding="utf-8")
        assert text.index(LAMP_QUESTION) < text.index(LAMP) < text.index(LOOT_QUESTION)


@BOTH
def test_the_answer_in_focus_decides_what_the_pane_shows(
    visit: Open, quoting: str, view: View
) -> None:
    page = visit(quoting, *view)
    for question in (LAMP_QUESTION, LOOT_QUESTION):
        ask(page, question)
        done(page)
    sources = page.locator("#nr-sources")
    expect(sources).to_contain_text("Quillfeather")
    page.locator("#nr-talk .nr-to-sources").click()
    expect(sources).to_contain_text(LIGHTHOUSE.title)
    expect(page.locator("#nr-talk .nr-turn")).to_have_class(re.compile("nr-in-focus"))
    expect(page.locator("#nr-latest .nr-turn")).not_to_have_class(re.compile("nr-in-focus"))
