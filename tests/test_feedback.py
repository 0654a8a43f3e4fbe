"""Opinions on answers, as rows that an evaluation reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from conftest import make_archive
from talks import HOSTILE, NOON, PIER, WIND, answered, asked, find

from eval.datasets import load_questions
from rag import (
    Answer,
    Article,
    ArticleNotFoundError,
    Asked,
    Conversations,
    Exchange,
    Feedback,
    Trace,
)
from rag.conversationfile import ConversationFile
from rag.feedback import feedback_rows


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


def test_feedback_is_an_evaluation_set(conversation_file: ConversationFile, tmp_path: Path) -> None:
    wind = replace(answered(cited=WIND), short=None)
    refusal = Answer("Who lit it?", "abstained", (), (), Trace())
    rows = rows_of(
        conversation_file,
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
    conversation_file: ConversationFile, tmp_path: Path
) -> None:
    def missing(article_id: str, revision: int) -> Article:
        raise ArticleNotFoundError(article_id)

    exchange = asked("e1", answer=answered(), feedback=Feedback("up"))
    rows = rows_of(conversation_file, exchange, articles=missing)
    assert rows[0]["gold"] == [{"url": PIER.url, "title": PIER.title}]
    assert (rows[0]["answers"], rows[0]["response"]) == ([], "")
    assert "began at 3" not in json.dumps(rows)
    found = loaded(rows, tmp_path, WIND)
    assert (found.incomplete, found.questions[0].answerable) == (1, True)


def test_feedback_of_all_users_comes_oldest_first(conversation_file: ConversationFile) -> None:
    for day, user in ((3, "ada"), (1, "bob"), (2, "")):
        talks = Conversations(conversation_file, user, find)
        exchange = replace(asked("e1", f"Day {day}?"), at=NOON.replace(day=day))
        talk = talks.new("Fires")
        talks.save(talk.id, exchange)
        talks.rate(talk.id, "e1", Feedback("down"))
        talks.save(talks.new("Not rated").id, exchange)
    assert [row["question"] for row in feedback_rows(conversation_file, find)] == [
        "Day 1?",
        "Day 2?",
        "Day 3?",
    ]


def test_an_archive_without_conversations_has_no_feedback(tmp_path: Path, embedder) -> None:
    with make_archive(tmp_path, embedder) as archive:
        assert archive.feedback() == []
