"""The timeline in a real browser, on a real archive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_page import CORPUS, MS, expect, launched, served

from rag import Archive, Settings

# Gradio's queue counts its events with an option that pandas is about to drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
    pytest.mark.filterwarnings("ignore:SSR mode is not supported with multi-page apps"),
]


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    expect.set_options(timeout=MS)
    yield
    expect.set_options(timeout=5_000)


def test_a_topic_is_told_day_by_day_and_leads_to_its_articles(tmp_path: Path) -> None:
    with Archive.open(tmp_path / "archive", Settings()) as archive:
        assert not archive.ingest(CORPUS).failures
        with served(archive, wording=False) as url, launched() as browser:
            context = browser.new_context(viewport={"width": 390, "height": 844})
            context.set_default_timeout(MS)
            page = context.new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(f"{url.rstrip('/')}/timeline?topic=containers+sent+to+Russia")
            days = page.locator(".nr-day > time")
            expect(days).to_have_text(
                ["14 October 2023", "24 February 2024", "27 February 2024"], timeout=MS
            )
            page.get_by_label("From day").fill("2024-02-25")
            page.get_by_label("From day").press("Enter")
            expect(days).to_have_text(["27 February 2024"])
            page.get_by_label("To day").fill("soon")
            page.get_by_label("To day").press("Enter")
            expect(page.get_by_role("alert")).to_contain_text(
                "“soon” (to day) is no date", timeout=MS
            )
            page.get_by_label("To day").fill("")
            page.get_by_label("Topic").fill("quantum computers")
            page.get_by_label("Topic").press("Enter")
            expect(page.locator("#nr-timeline .nr-told")).to_contain_text("says nothing about")
            page.get_by_label("Topic").fill("6,700 containers")
            page.get_by_role("button", name="Tell").click()
            page.locator(".nr-day a").first.click()
            expect(page.locator("#nr-stored h2")).to_have_text(
                re.compile("Seoul gives lower"), timeout=MS
            )
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390
            assert wrong == []
            context.close()
