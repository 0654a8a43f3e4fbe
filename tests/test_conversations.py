"""Saved conversations, alone on a file: what is kept, found, refused, and whose it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

import pytest
from talks import HOSTILE, NOON, answered, asked, find

from rag import (
    Asked,
    ConversationError,
    ConversationNotFoundError,
    Conversations,
    Exchange,
    Feedback,
)
from rag.conversationfile import ConversationFile
from rag.conversations import LONGEST_NOTE, LONGEST_SEARCH, LONGEST_TITLE


def test_an_exchange_comes_back_as_it_was(mine: Conversations) -> None:
    full = Exchange(
        "e1",
        "And when did it begin?",
        Asked(date(2024, 5, 1), date(2024, 1, 1), date(2024, 4, 1), ("Gazette", "O'Post")),
        NOON,
        query="When did the fire begin?",
        answer=answered(),
        feedback=Feedback("up", "Right, 3 a.m.\nI was there."),
    )
    stopped = asked("e2", stopped=True, sentences=answered().sentences)
    failed = asked("e3", error="The archive is locked.")
    talk = mine.new("Fires")
    for exchange in (full, stopped, failed):
        mine.save(talk.id, exchange)
    back = mine.get(talk.id)
    assert back.exchanges == (full, stopped, failed)
    assert (back.title, back.created) == ("Fires", talk.created)
    assert back.changed > talk.changed == talk.created
    assert [exchange.text for exchange in back.exchanges] == ["It began before dawn."] * 2 + [""]


def test_a_moment_elsewhere_is_kept_in_utc(mine: Conversations) -> None:
    talk = mine.new("Fires")
    mine.save(talk.id, replace(asked("e1"), at=datetime.fromisoformat("2026-05-04T14:00+02:00")))
    (back,) = mine.get(talk.id).exchanges
    assert back.at.isoformat() == "2026-05-04T12:00:00+00:00"


def test_saving_again_replaces_in_place(mine: Conversations) -> None:
    talk = mine.new("Fires")
    for name in ("e1", "e2", "e3"):
        mine.save(talk.id, asked(name))
    again = asked("e2", "How many were hurt?", answer=answered())
    mine.save(talk.id, again)
    assert mine.get(talk.id).exchanges == (asked("e1"), again, asked("e3"))


def test_an_edit_drops_what_came_after(mine: Conversations) -> None:
    talk, other = mine.new("Fires"), mine.new("Storms")
    for name in ("e1", "e2", "e3"):
        mine.save(talk.id, asked(name))
        mine.save(other.id, asked(name))
    mine.drop_from(talk.id, "e2")
    mine.drop_from(talk.id, "e2")
    assert [e.id for e in mine.get(talk.id).exchanges] == ["e1"]
    mine.save(talk.id, asked("e4"))
    assert [e.id for e in mine.get(talk.id).exchanges] == ["e1", "e4"]
    assert len(mine.get(other.id).exchanges) == 3


def test_the_latest_changed_comes_first(mine: Conversations) -> None:
    first, second, third = (mine.new(title) for title in ("One", "Two", "Three"))
    mine.save(first.id, asked("e1"))
    mine.rename(second.id, "Renamed")
    found = mine.list()
    assert [(s.id, s.title, s.exchanges) for s in found] == [
        (first.id, "One", 1), (third.id, "Three", 0), (second.id, "Renamed", 0),
    ]  # fmt: skip
    assert found[0].changed == mine.get(first.id).changed
    assert [s.title for s in mine.list(limit=2)] == ["One", "Three"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("", {"Harbour", "Weather", "100%"}),
        ("harbour", {"Harbour"}),
        ("HARBOUR dawn began", {"Harbour"}),  # title, answer, and both question and answer
        ("dawn ärmel", set()),
        ("ÄRMEL", {"Weather"}),
        ("a\u0308rmel", {"Weather"}),
        ("%", {"100%"}),
        ("_", set()),
        ("100", {"100%"}),
        ("' OR 1 = 1 --", set()),
        ("arbou", {"Harbour"}),
        (" \t\0 ", {"Harbour", "Weather", "100%"}),
        ("\ud800", {"Harbour", "Weather"}),  # half a character counts as "?"
    ],
)
def test_search_wants_every_word_somewhere(
    mine: Conversations, search: str, found: set[str]
) -> None:
    harbour, weather = mine.new("Harbour"), mine.new("Weather")
    mine.new("100%")
    mine.save(harbour.id, asked("e1", "When did it begin?", answer=answered()))
    mine.save(harbour.id, asked("e2", "How many were hurt?"))
    mine.save(weather.id, asked("e1", "How strong was the wind in Ärmel Bay?"))
    assert {summary.title for summary in mine.list(search)} == found


def test_a_replaced_answer_is_no_longer_found(mine: Conversations) -> None:
    talk = mine.new("Fires")
    mine.save(talk.id, asked("e1", answer=answered()))
    assert mine.list("dawn")
    mine.save(talk.id, asked("e1"))
    assert not mine.list("dawn")
    mine.rename(talk.id, "Storms")
    assert (mine.list("fires"), len(mine.list("storms"))) == ([], 1)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_stored_as_it_is(mine: Conversations, text: str) -> None:
    talk, other = mine.new("Other"), mine.new(text)
    mine.rename(talk.id, text)
    exchange = Exchange(
        text, text, Asked(sources=(text,)), NOON, text, error=text, feedback=Feedback("", text)
    )
    mine.save(talk.id, exchange)
    mine.rate(talk.id, text, Feedback("down", text))
    back = mine.get(talk.id)
    assert back.title == text
    assert back.exchanges == (replace(exchange, feedback=Feedback("down", text)),)
    assert mine.get(other.id).title == " ".join(text.split())
    word = text.replace("\0", " ").split()[0]
    assert {summary.id for summary in mine.list(word)} == {talk.id, other.id}
    with pytest.raises(ConversationNotFoundError):
        mine.get(text)


def test_half_a_character_breaks_nothing(mine: Conversations) -> None:
    talk = mine.new("half \ud83d")
    mine.rename(talk.id, "half \ud83d")
    mine.save(talk.id, asked("e\ud83d", "half \ud83d", feedback=Feedback("up", "\ud83d")))
    mine.rate(talk.id, "e\ud83d", Feedback("down", "\ud83d"))
    back = mine.get(talk.id)
    assert (back.title, back.exchanges[0].question) == ("half ?", "half \ud83d")
    with pytest.raises(ConversationNotFoundError):
        mine.get("\ud83d")


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Why?", "Why?"),
        ("  Two\n lines\t", "Two lines"),
        ("x" * 80, "x" * 80),
        ("x" * 1_000_000, "x" * 80 + "…"),
        ("long word " * 20, "long word " * 7 + "long word…"),
    ],
)
def test_a_question_becomes_a_short_title(mine: Conversations, question: str, title: str) -> None:
    assert mine.get(mine.new(question).id).title == title
    untitled = mine.new(" ")
    mine.save(untitled.id, asked("e1", question))
    mine.save(untitled.id, asked("e2", "Another?"))
    assert mine.get(untitled.id).title == title


def test_texts_that_are_too_long_or_empty_are_refused(mine: Conversations) -> None:
    talk = mine.new("Fires")
    mine.save(talk.id, asked("e1"))
    fits = Feedback("up", "x" * LONGEST_NOTE)
    mine.rate(talk.id, "e1", fits)
    too_long = Feedback("down", "x" * (LONGEST_NOTE + 1))
    message = "^a note may have 4,000 characters at most; this one has 4,001$"
    with pytest.raises(ConversationError, match=message):
        mine.rate(talk.id, "e1", too_long)
    with pytest.raises(ConversationError, match=message):
        mine.save(talk.id, asked("e2", feedback=too_long))
    with pytest.raises(ConversationError, match="a thumb is"):
        mine.rate(talk.id, "e1", Feedback("sideways"))  # type: ignore[arg-type]
    with pytest.raises(ConversationError, match="a title may have 200"):
        mine.rename(talk.id, "x" * (LONGEST_TITLE + 1))
    with pytest.raises(ConversationError, match="needs a title"):
        mine.rename(talk.id, " \n")
    with pytest.raises(ConversationError, match="a search may have 200"):
        mine.list("x" * (LONGEST_SEARCH + 1))
    for empty in (asked("e2", " "), asked("")):
        with pytest.raises(ConversationError, match="empty"):
            mine.save(talk.id, empty)
    back = mine.get(talk.id)
    assert back.title == "Fires"
    assert [exchange.feedback for exchange in back.exchanges] == [fits]


CALLS: dict[str, Callable[[Conversations, str], object]] = {
    "get": lambda talks, key: talks.get(key),
    "rename": lambda talks, key: talks.rename(key, "Mine now"),
    "delete": lambda talks, key: talks.delete(key),
    "save": lambda talks, key: talks.save(key, asked("e1", "Replaced?")),
    "drop_from": lambda talks, key: talks.drop_from(key, "e1"),
    "rate": lambda talks, key: talks.rate(key, "e1", Feedback("down")),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_conversation_exists_for_its_user_alone(
    conversation_file: ConversationFile, name: str
) -> None:
    mine, theirs = (
        Conversations(conversation_file, "ada", find),
        Conversations(conversation_file, "bob", find),
    )
    talk = mine.new("Fires")
    mine.save(talk.id, asked("e1"))
    before = mine.get(talk.id)
    messages = set()
    for key in (talk.id, "unknown"):
        with pytest.raises(ConversationNotFoundError) as raised:
            CALLS[name](theirs, key)
        messages.add(str(raised.value))
    assert messages == {"this conversation does not exist; it may have been deleted"}
    assert mine.get(talk.id) == before
    assert (theirs.list(), theirs.list("fires")) == ([], [])
    CALLS[name](mine, talk.id)  # its user may


def test_what_is_deleted_is_gone(conversation_file: ConversationFile, mine: Conversations) -> None:
    talk, kept = mine.new("Fires"), mine.new("Storms")
    for one in (talk, kept):
        mine.save(one.id, asked("e1"))
    mine.delete(talk.id)
    for call in CALLS.values():
        with pytest.raises(ConversationNotFoundError):
            call(mine, talk.id)
    assert [summary.id for summary in mine.list()] == [kept.id]
    assert conversation_file.rows("SELECT count(*) FROM exchanges") == [(1,)]


def test_only_a_question_that_is_there_can_be_rated(mine: Conversations) -> None:
    talk = mine.new("Fires")
    with pytest.raises(ConversationNotFoundError, match="has no such question"):
        mine.rate(talk.id, "e1", Feedback("up"))
