"""A topic day by day: in order, cited exactly, each voice once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from conftest import article, make_archive
from typer.testing import CliRunner

from rag import Archive, Citation, Timeline, TimelineEntry
from rag.cli import app
from ui.timeline_html import timeline_html

LEVY = "The harbor levy rises to 40 cents a ton on Friday, the port of Grantham said."
DELAY = "The harbor levy will rise a month later than planned, the port admitted."
END = "Councillors scrapped the harbor levy after dockers had protested for a week."


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, embedder) -> Iterator[Archive]:
    with make_archive(tmp_path_factory.mktemp("timeline") / "archive", embedder) as made:
        told = (
            (1, f"{LEVY} Shippers called it a burden for small boats.", date(2024, 3, 1), "Post"),
            (2, f"{LEVY} Shippers called it a burden.", date(2024, 3, 2), "Wire"),
            (3, f"Crews shrugged. {DELAY}", date(2024, 3, 9), "Post"),
            (4, END, date(2024, 5, 2), "Herald"),
            (5, "A circus came to town with two camels.", date(2024, 4, 1), "Post"),
            (6, "The harbor levy is old news.", None, "Post"),
        )
        made.ingest(
            *(article(n, text, published=day, source=source) for n, text, day, source in told)
        )
        yield made


def test_the_days_stand_in_order_and_each_quotes_its_article(archive: Archive) -> None:
    told = archive.timeline("harbor levy")
    assert [entry.day for entry in told.entries] == [
        date(2024, 3, 1), date(2024, 3, 9), date(2024, 5, 2),
    ]  # fmt: skip
    assert [entry.citation.quote for entry in told.entries] == [LEVY, DELAY, END]
    assert told.days == 4


def test_a_copy_joins_the_day_that_said_it_first(archive: Archive) -> None:
    first, *others = archive.timeline("harbor levy").entries
    assert [copy.id for copy in first.copies] == ["a2"]
    assert not any(entry.copies for entry in others)
    alone = archive.timeline("harbor levy", since=date(2024, 3, 2), source=["Wire", "Herald"])
    assert [entry.citation.article.id for entry in alone.entries] == ["a2", "a4"]


def test_filters_and_as_of_leave_days_out(archive: Archive) -> None:
    told = archive.timeline("harbor levy", until=date(2024, 3, 8))
    assert [entry.day for entry in told.entries] == [date(2024, 3, 1)]
    told = archive.timeline("harbor levy", as_of=date(2024, 3, 20))
    assert [entry.day.month for entry in told.entries] == [3, 3]


def test_what_the_archive_does_not_speak_of_has_no_days(archive: Archive) -> None:
    for topic in ("quantum computers", ""):
        assert archive.timeline(topic) == Timeline(topic, (), 0)
    assert str(archive.timeline("quantum computers")) == (
        "The archive says nothing about quantum computers."
    )


def test_the_corpus_is_told_with_its_turns(corpus_archive: Archive) -> None:
    told = corpus_archive.timeline("containers sent to Russia")
    assert [entry.day.isoformat() for entry in told.entries] == [
        "2023-10-14", "2024-02-24", "2024-02-27",
    ]  # fmt: skip
    for entry in told.entries:
        stored = corpus_archive.article(entry.citation.article.id)
        assert entry.citation.quote in stored.text


def test_the_command_prints_text_and_json(archive: Archive, tmp_path: Path) -> None:
    command = ["timeline", "harbor levy", "--archive", str(archive._store.folder)]
    shown = CliRunner().invoke(app, command)
    assert shown.stdout.startswith(f"2024-03-01  {LEVY}\n            Title 1, Post, 2024-03-01")
    assert "; also: Wire" in shown.stdout
    values = json.loads(
        CliRunner().invoke(app, [*command, "--json", "--since", "2024-05-01"]).stdout
    )
    assert (values["topic"], values["days"]) == ("harbor levy", 1)
    assert values["entries"][0]["citation"]["quote"] == END
    wrong = CliRunner().invoke(app, [*command, "--since", "May"])
    assert wrong.exit_code == 1
    assert "--since May is not a full date" in wrong.output


def test_the_page_shows_text_from_articles_as_text() -> None:
    evil = "The <b>levy</b> rose <script>alert(1)</script>."
    hostile = replace(article(1, evil, title="<i>T</i>", source="<u>S</u>"), id="a&b")
    entry = TimelineEntry(date(2024, 3, 1), Citation(hostile, 0, len(evil)), (hostile,))
    shown = timeline_html(Timeline("levy", (entry,), 3))
    assert "1 day of 3 that speak of it" in shown
    assert 'href="archive?article=a%26b"' in shown
    assert not any(tag in shown for tag in ("<b>", "<script", "<i>", "<u>"))
    assert "says nothing about <bdi>&lt;b&gt;</bdi>" in timeline_html(Timeline("<b>", (), 0))
