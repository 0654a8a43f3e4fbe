"""Saved conversations: alone on a file, and in an archive whose articles come and go."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from conftest import ROOT, article, make_archive

from eval.datasets import load_questions
from rag import (
    Answer,
    ArchiveError,
    Article,
    ArticleNotFoundError,
    Asked,
    Citation,
    ConversationError,
    ConversationNotFoundError,
    Conversations,
    Exchange,
    Feedback,
    RankedPassage,
    Sentence,
    Short,
    Trace,
)
from rag.conversationfile import SCHEMA_VERSION, ConversationFile
from rag.conversations import LONGEST_NOTE, LONGEST_SEARCH, LONGEST_TITLE
from rag.feedback import feedback_rows

PIER = article(1, "The fire began at 3 a.m. Nobody was hurt on Pier 4.", published=date(2024, 3, 1))
WIND = article(2, "Wind of 90 km/h hit Ärmel Bay.", url=None)
NOON = datetime(2026, 5, 4, 12, 0, 0, 125, tzinfo=UTC)
GONE = "An article that this answer cites has been deleted from the archive."
HOSTILE = [
    "'; DROP TABLE conversations; --",
    '"); DELETE FROM exchanges; --',
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "![x](https://evil.example/?q) [y](javascript:alert(3))",
    "100 % _ \\ * ? [a-z] {{ 7 * 7 }}",
    "\u202etxt.exe\u202c \u2066mixed\u2069",
    "zero\0byte and \x1b[31mcolour",
    "👩\u200d🚒 e\u0301 ﬁ",
]


def find(article_id: str, revision: int) -> Article:
    return {PIER.id: PIER, WIND.id: WIND}[article_id]


def answered(question: str = "When did the fire begin?", cited: Article = PIER) -> Answer:
    citation = Citation(cited, 0, 24)
    return Answer(
        question,
        "answered",
        (Sentence("It began before dawn.", (citation,), 0.9),),
        (RankedPassage(4, cited, 0, len(cited.text), 1.5),),
        Trace(query=question),
        short=Short("3 a.m.", Citation(cited, 18, 24)),
        probability=0.75,
    )


def asked(name: str, question: str = "When did the fire begin?", **fields) -> Exchange:
    return Exchange(name, question, Asked(), NOON, **fields)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ConversationFile]:
    found = ConversationFile(tmp_path / "conversations.sqlite")
    yield found
    found.close()


@pytest.fixture
def mine(file: ConversationFile) -> Conversations:
    return Conversations(file, "ada", find)


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
def test_a_conversation_exists_for_its_user_alone(file: ConversationFile, name: str) -> None:
    mine, theirs = Conversations(file, "ada", find), Conversations(file, "bob", find)
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


def test_what_is_deleted_is_gone(file: ConversationFile, mine: Conversations) -> None:
    talk, kept = mine.new("Fires"), mine.new("Storms")
    for one in (talk, kept):
        mine.save(one.id, asked("e1"))
    mine.delete(talk.id)
    for call in CALLS.values():
        with pytest.raises(ConversationNotFoundError):
            call(mine, talk.id)
    assert [summary.id for summary in mine.list()] == [kept.id]
    assert file.rows("SELECT count(*) FROM exchanges") == [(1,)]


def test_only_a_question_that_is_there_can_be_rated(mine: Conversations) -> None:
    talk = mine.new("Fires")
    with pytest.raises(ConversationNotFoundError, match="has no such question"):
        mine.rate(talk.id, "e1", Feedback("up"))


def test_threads_write_at_once(mine: Conversations) -> None:
    talk = mine.new("Fires")

    def work(thread: int) -> None:
        own = mine.new(f"Thread {thread}")
        for n in range(10):
            exchange = asked(f"e{thread}-{n}", answer=answered())
            mine.save(talk.id, exchange)
            mine.save(own.id, exchange)
            mine.rate(talk.id, exchange.id, Feedback("up"))
            assert len(mine.get(own.id).exchanges) == n + 1
            assert mine.list("dawn")

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    saved = mine.get(talk.id).exchanges
    assert len({exchange.id for exchange in saved}) == len(saved) == 120
    assert all(exchange.feedback.thumb == "up" for exchange in saved)
    assert {summary.exchanges for summary in mine.list("thread")} == {10}


SCRIPT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from rag import Asked, Conversations, Exchange, conversations
from rag.conversationfile import ConversationFile

mine = Conversations(ConversationFile(Path(sys.argv[1])), "ada", None)
def save(key, name):
    mine.save(key, Exchange(name, "Why?", Asked(), datetime.now(UTC)))
"""


def run(file: Path, code: str, *values: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT + code, str(file), *values]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_processes_start_and_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite"
    code = """
key = mine.new(sys.argv[2]).id
for n in range(20):
    save(key, f"e{n}")
"""
    workers = [run(path, code, f"Process {n}") for n in range(4)]
    for worker in workers:
        _, errors = worker.communicate()
        assert (worker.returncode, errors) == (0, "")
    file = ConversationFile(path)
    found = Conversations(file, "ada", find).list()
    file.close()
    assert sorted((s.title, s.exchanges) for s in found) == [(f"Process {n}", 20) for n in range(4)]


def test_a_crash_in_the_middle_of_a_save_leaves_all_or_nothing(
    file: ConversationFile, mine: Conversations, tmp_path: Path
) -> None:
    talk = mine.new("")
    code = """
import os
conversations._stamp = lambda: os._exit(9)  # the exchange is inserted, the rest is not
save(sys.argv[2], "e1")
"""
    worker = run(tmp_path / "conversations.sqlite", code, talk.id)
    _, errors = worker.communicate()
    assert (worker.returncode, errors) == (9, "")
    assert mine.get(talk.id) == talk
    mine.save(talk.id, asked("e1"))
    assert len(mine.get(talk.id).exchanges) == 1


def test_an_error_in_the_middle_undoes_all(file: ConversationFile, mine: Conversations) -> None:
    with pytest.raises(KeyboardInterrupt), file.transaction() as db:
        db.execute("INSERT INTO conversations VALUES (9, 'x', 'ada', 't', 't', '', '')")
        raise KeyboardInterrupt
    assert mine.list() == []
    mine.new("Still works")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "conversations.sqlite"
    path.write_bytes(b"not a database, and long enough to be looked at" * 20)
    with pytest.raises(ArchiveError, match="cannot be opened"):
        Conversations(ConversationFile(path), "", find).list()
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(ArchiveError, match="newer newsrag"):
        Conversations(ConversationFile(path), "", find).list()
    path.unlink()
    file = ConversationFile(path)
    mine = Conversations(file, "", find)
    mine.new("Fires")
    file.close()
    with pytest.raises(ArchiveError, match="is closed"):
        mine.list()


def test_one_answer_that_cannot_be_read_does_not_hide_the_others(
    file: ConversationFile, mine: Conversations
) -> None:
    talk = mine.new("Fires")
    for name in ("e1", "e2"):
        mine.save(talk.id, asked(name, answer=answered()))
    with file.transaction() as db:
        db.execute("UPDATE exchanges SET data = json_remove(data, '$.answer.trace') WHERE id='e1'")
    first, second = mine.get(talk.id).exchanges
    assert (first.answer, first.question) == (None, "When did the fire begin?")
    assert first.error == "This answer was saved by another version of newsrag and cannot be shown."
    assert second.answer == answered()
    with file.transaction() as db:
        db.execute("UPDATE exchanges SET data = 'torn' WHERE id='e1'")
    with pytest.raises(ArchiveError, match="a saved conversation is damaged"):
        mine.get(talk.id)


def test_citations_open_as_long_as_their_text_is_stored(tmp_path: Path, embedder) -> None:
    folder = tmp_path / "archive"
    with make_archive(folder, embedder) as archive:
        archive.ingest(PIER)
        talks = archive.conversations("ada")
        talk = talks.new("Fires")
        first = asked("e1", answer=answered())
        stopped = asked("e2", stopped=True, sentences=answered().sentences)
        for exchange in (first, stopped):
            talks.save(talk.id, exchange)
        archive.ingest(replace(PIER, text="The fire began at 4 a.m., it is said now."))
    with make_archive(folder, embedder) as archive:
        talks = archive.conversations("ada")
        assert archive.article(PIER.id).revision == 2
        assert talks.get(talk.id).exchanges == (first, stopped)
        assert archive.conversations("").list() == []
        archive.delete(PIER.id)
        gone = talks.get(talk.id).exchanges
        assert gone == (
            replace(first, answer=None, error=GONE),
            replace(stopped, sentences=(), error=GONE),
        )
        archive.ingest(replace(PIER, text="Another text under the id, again as revision one."))
        assert talks.get(talk.id).exchanges == gone
        archive.delete(PIER.id)
        archive.ingest(PIER)
        assert talks.get(talk.id).exchanges == (first, stopped)


def test_chatting_goes_on_while_another_process_ingests(tmp_path: Path, embedder) -> None:
    with make_archive(tmp_path, embedder) as archive, archive._store.writing():
        talks = archive.conversations()
        talks.save(talks.new("Fires").id, asked("e1"))
        assert [summary.exchanges for summary in talks.list()] == [1]


def rows_of(file: ConversationFile, *exchanges: Exchange, articles=find) -> list[dict]:
    talks = Conversations(file, "ada", find)
    talk = talks.new("Fires")
    for exchange in exchanges:
        talks.save(talk.id, exchange)
    return feedback_rows(file, articles)


def loaded(rows: list[dict], folder: Path, *articles: Article):
    path = folder / "feedback.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return load_questions(path, articles)


def test_feedback_is_an_evaluation_set(file: ConversationFile, tmp_path: Path) -> None:
    wind = replace(answered(cited=WIND), short=None)
    refusal = Answer("Who lit it?", "abstained", (), (), Trace())
    rows = rows_of(
        file,
        asked("e0", "What burned?", answer=answered()),
        asked("e1", "When?", answer=answered(), query="When did the fire begin?",
              feedback=Feedback("up", HOSTILE[0])),
        replace(asked("e2", "And the wind?", answer=wind, feedback=Feedback("up")),
                asked=Asked(date(2024, 1, 9), date(2024, 1, 1), None, ("Test Gazette",))),
        asked("e3", "Who lit it?", answer=refusal, feedback=Feedback("up")),
        asked("e4", "Who?", answer=answered(), feedback=Feedback("down", "Wrong fire.\nSee 2.")),
        asked("e5", "Why?", error="The model is down.", feedback=Feedback("", "Down again")),
        asked("e6", "So?", stopped=True, sentences=answered().sentences, feedback=Feedback("up")),
    )  # fmt: skip
    found = loaded(rows, tmp_path, PIER, WIND)
    assert (found.format, found.incomplete, found.open) == ("newsrag", 0, 2)
    questions = {question.id: question for question in found.questions}
    assert list(questions) == ["e1", "e2", "e3", "e6"]
    first, second, refused = (questions[name] for name in ("e1", "e2", "e3"))
    assert (first.question, first.answers, first.answerable) == ("When?", ("3 a.m.",), True)
    assert set(first.gold_spans) == {(PIER.id, 0, 24), (PIER.id, 18, 24)}
    assert first.history == (("What burned?", "It began before dawn."),)
    assert first.as_of == NOON.date()
    assert (second.gold_spans, second.answers) == (((WIND.id, 0, 24),), ())
    assert (second.answerable, second.as_of) == (True, date(2024, 1, 9))
    assert (refused.answerable, refused.gold_spans) == (False, ())
    assert questions["e6"].gold_spans == ((PIER.id, 0, 24),)
    assert [row["kind"] for row in rows] == ["up", "up", "up", "down", "note", "up"]
    by_id = {row["id"]: row for row in rows}
    assert (by_id["e1"]["thumb"], by_id["e1"]["note"]) == ("up", HOSTILE[0])
    assert (by_id["e1"]["query"], by_id["e1"]["status"]) == ("When did the fire begin?", "answered")
    assert (by_id["e2"]["since"], by_id["e2"]["sources"]) == ("2024-01-01", ["Test Gazette"])
    assert by_id["e4"]["response"] == "It began before dawn."
    assert "ada" not in json.dumps(rows)


def test_gold_of_a_deleted_article_is_named_but_not_quoted(
    file: ConversationFile, tmp_path: Path
) -> None:
    def missing(article_id: str, revision: int) -> Article:
        raise ArticleNotFoundError(article_id)

    exchange = asked("e1", answer=answered(), feedback=Feedback("up"))
    rows = rows_of(file, exchange, articles=missing)
    assert rows[0]["gold"] == [{"url": PIER.url, "title": PIER.title}]
    assert (rows[0]["answers"], rows[0]["response"]) == ([], "")
    assert "began at 3" not in json.dumps(rows)
    found = loaded(rows, tmp_path, WIND)
    assert (found.incomplete, found.questions[0].answerable) == (1, True)


def test_feedback_of_all_users_comes_oldest_first(file: ConversationFile) -> None:
    for day, user in ((3, "ada"), (1, "bob"), (2, "")):
        talks = Conversations(file, user, find)
        exchange = replace(asked("e1", f"Day {day}?"), at=NOON.replace(day=day))
        talk = talks.new("Fires")
        talks.save(talk.id, exchange)
        talks.rate(talk.id, "e1", Feedback("down"))
        talks.save(talks.new("Not rated").id, exchange)
    assert [row["question"] for row in feedback_rows(file, find)] == ["Day 1?", "Day 2?", "Day 3?"]


def test_an_archive_without_conversations_has_no_feedback(tmp_path: Path, embedder) -> None:
    with make_archive(tmp_path, embedder) as archive:
        assert archive.feedback() == []
