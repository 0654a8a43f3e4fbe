"""The timeline in a real browser, on a real archive."""

from __future__ import annotations

import re

from .chat_page import Open, expect


def test_a_topic_is_told_day_by_day_and_leads_to_its_articles(visit: Open, address: str) -> None:
    topic = "containers+sent+to+Russia"
    page = visit(f"{address}timeline?topic={topic}", 390, 844, shows="#nr-timeline")
    days = page.locator(".nr-day > time")
    expect(days).to_have_text(["14 October 2023", "24 February 2024", "27 February 2024"])
    page.get_by_label("From day").fill("2024-02-25")
    page.get_by_label("From day").press("Enter")
    expect(days).to_have_text(["27 February 2024"])
    page.get_by_label("To day").fill("soon")
    page.get_by_label("To day").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("“soon” (to day) is no date")
    page.get_by_label("To day").fill("")
    page.get_by_label("Topic").fill("quantum computers")
    page.get_by_label("Topic").press("Enter")
    expect(page.locator("#nr-timeline .nr-told")).to_contain_text("says nothing about")
    page.get_by_label("Topic").fill("6,700 containers")
    page.get_by_role("button", name="Tell").click()
    page.locator(".nr-day a").first.click()
    expect(page.locator("#nr-stored h2")).to_have_text(re.compile("Seoul gives lower"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
