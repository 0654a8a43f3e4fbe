"""Saved conversations of each user, with their answers, in a SQLite file of their own.

Chatting therefore works while articles are ingested. What is saved names its articles by id and
revision: old revisions stay in the archive, so citations keep opening what they cited. Each method
that writes is one transaction: after a crash all of it is there, or none.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Literal, cast

from rag.conversationfile import ConversationFile, Row
from rag.errors import (
    ArchiveError,
    ArticleNotFoundError,
    ConversationError,
    ConversationNotFoundError,
)
from rag.serial import FindArticle, answer_from_dict, sentence_from_dict
from rag.types import Answer, Sentence

LONGEST_TITLE = 200
LONGEST_NOTE = 4000
LONGEST_SEARCH = 200
_HEADING = 80
"""Characters of a question that become a title."""

_ARTICLE_GONE = "An article that this answer cites has been deleted from the archive."
_UNREADABLE = "This answer was saved by another version of newsrag and cannot be shown."
_NO_CONVERSATION = "this conversation does not exist; it may have been deleted"
_NO_EXCHANGE = "this conversation has no such question; it may have been replaced"

_OWNED = "SELECT title, created, changed FROM conversations WHERE id = ? AND user = ?"
_FOUND = """
SELECT c.id, c.title, c.changed, (SELECT count(*) FROM exchanges WHERE conversation = c.id)
FROM conversations c WHERE c.user = ? AND NOT EXISTS (
    SELECT 1 FROM json_each(?) word WHERE instr(c.folded, word.value) = 0 AND NOT EXISTS (
        SELECT 1 FROM exchanges e WHERE e.conversation = c.id AND instr(e.folded, word.value) > 0
    )
) ORDER BY c.changed DESC, c.number DESC LIMIT ?
"""
_SAVE = """
INSERT INTO exchanges (conversation, id, thumb, note, folded, data) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (conversation, id) DO UPDATE SET thumb = excluded.thumb, note = excluded.note,
    folded = excluded.folded, data = excluded.data
"""
_DROP = """
DELETE FROM exchanges WHERE conversation = ?1
    AND number >= (SELECT number FROM exchanges WHERE conversation = ?1 AND id = ?2)
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a question was asked: the filters of `Archive.ask`; `sources` are outlets."""

    as_of: date | None = None
    since: date | None = None
    until: date | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader thinks of an answer. The note has at most `LONGEST_NOTE` characters."""

    thumb: Literal["up", "down", ""] = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question, asked at a moment in UTC, and what became of it.

    `query` is the question as understood. `error` is one sentence. `sentences` are those shown
    until it was stopped. An answer that cites an article since deleted comes back as None with an
    `error` that says so.
    """

    id: str
    question: str
    asked: Asked
    at: datetime
    query: str = ""
    answer: Answer | None = None
    error: str = ""
    stopped: bool = False
    sentences: tuple[Sentence, ...] = ()
    feedback: Feedback = Feedback()

    @property
    def text(self) -> str:
        """The answer in plain text, as far as there is one: for the history of later questions."""
        shown = self.answer.sentences if self.answer else self.sentences
        return " ".join(sentence.text for sentence in shown)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with its exchanges, first to last. The moments are in UTC."""

    id: str
    title: str
    created: datetime
    changed: datetime
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """A conversation in a list; `exchanges` is how many it has."""

    id: str
    title: str
    changed: datetime
    exchanges: int


_Summaries = list[ConversationSummary]  # inside the class, `list` is its method


class Conversations:
    """The conversations of one user; safe to use from several threads and processes.

    To everyone else they do not exist. Every method raises `ArchiveError` when the file cannot be
    read or written, and, where it takes an id, `ConversationNotFoundError`.
    """

    def __init__(self, file: ConversationFile, user: str, article: FindArticle) -> None:
        self._file = file
        self._user = user
        self._article = article

    def new(self, title: str) -> Conversation:
        """Start a conversation; a long title, such as a question, is shortened.

        Without a title the first question becomes it.
        """
        now = datetime.now(UTC)
        # The id is part of an address, so it must not be guessed.
        conversation = Conversation(secrets.token_urlsafe(16), _heading(title), now, now)
        with self._file.transaction() as db:
            db.execute(
                "INSERT INTO conversations (id, user, title, folded, created, changed)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    conversation.id,
                    self._user,
                    conversation.title,
                    _folded(conversation.title),
                    _stamp(now),
                    _stamp(now),
                ),
            )
        return conversation

    def list(self, search: str = "", limit: int = 200) -> _Summaries:
        """Conversations, the latest changed first.

        With `search`, those where each of its words occurs in the title, a question or an answer,
        in upper or lower case. Raises `ConversationError` for a search of over `LONGEST_SEARCH`
        characters.
        """
        _check_length("a search", search, LONGEST_SEARCH)
        words = json.dumps(_folded(search).replace("\0", " ").split())
        rows = self._file.rows(_FOUND, (self._user, words, limit))
        return [
            ConversationSummary(key, title, datetime.fromisoformat(changed), count)
            for key, title, changed, count in rows
        ]

    def get(self, conversation_id: str) -> Conversation:
        """A conversation with its answers."""
        key = _clean(conversation_id)
        with self._file.transaction(writing=False) as db:
            title, created, changed = self._owned(db, key)
            rows = db.execute(
                "SELECT thumb, note, data FROM exchanges WHERE conversation = ? ORDER BY number",
                (key,),
            ).fetchall()
        article = cache(self._article)  # the same few articles are cited again and again
        return Conversation(
            key,
            title,
            datetime.fromisoformat(created),
            datetime.fromisoformat(changed),
            tuple(exchange_from_row(row, article) for row in rows),
        )

    def rename(self, conversation_id: str, title: str) -> None:
        """Give another title. Raises `ConversationError` for an empty or overlong one."""
        _check_length("a title", title, LONGEST_TITLE)
        if not (title := _clean(title).strip()):
            raise ConversationError("a conversation needs a title")
        key = _clean(conversation_id)
        with self._file.transaction() as db:
            self._owned(db, key)
            db.execute(
                "UPDATE conversations SET title = ?, folded = ? WHERE id = ?",
                (title, _folded(title), key),
            )

    def delete(self, conversation_id: str) -> None:
        """Remove a conversation with its exchanges and their feedback."""
        key = _clean(conversation_id)
        with self._file.transaction() as db:
            self._owned(db, key)
            db.execute("DELETE FROM conversations WHERE id = ?", (key,))

    def save(self, conversation_id: str, exchange: Exchange) -> None:
        """Add an exchange at the end, or replace the one with its id, feedback included.

        Raises `ConversationError` for an empty question or id, or an overlong note.
        """
        if not exchange.id.strip() or not exchange.question.strip():
            raise ConversationError("a question is empty, or has no id")
        thumb, note = _checked(exchange.feedback)
        heading = _heading(exchange.question)
        folded = _folded(f"{exchange.question}\n{exchange.text}")
        data = json.dumps(_exchange_values(exchange))
        key = _clean(conversation_id)
        with self._file.transaction() as db:
            self._owned(db, key)
            db.execute(_SAVE, (key, _clean(exchange.id), thumb, note, folded, data))
            db.execute(
                "UPDATE conversations SET title = ?, folded = ? WHERE id = ? AND title = ''",
                (heading, _folded(heading), key),
            )
            db.execute("UPDATE conversations SET changed = ? WHERE id = ?", (_stamp(), key))

    def drop_from(self, conversation_id: str, exchange_id: str) -> None:
        """Remove an exchange and all after it; nothing when it is gone already."""
        key = _clean(conversation_id)
        with self._file.transaction() as db:
            self._owned(db, key)
            if db.execute(_DROP, (key, _clean(exchange_id))).rowcount:
                db.execute("UPDATE conversations SET changed = ? WHERE id = ?", (_stamp(), key))

    def rate(self, conversation_id: str, exchange_id: str, feedback: Feedback) -> None:
        """Keep what the reader thinks of an answer, in place of what was thought before.

        Raises `ConversationError` for a note that is too long.
        """
        thumb, note = _checked(feedback)
        key = _clean(conversation_id)
        with self._file.transaction() as db:
            self._owned(db, key)
            rated = db.execute(
                "UPDATE exchanges SET thumb = ?, note = ? WHERE conversation = ? AND id = ?",
                (thumb, note, key, _clean(exchange_id)),
            )
            if rated.rowcount == 0:
                raise ConversationNotFoundError(_NO_EXCHANGE)

    def _owned(self, db: sqlite3.Connection, key: str) -> Row:
        """Title and moments of a conversation; those of other users do not exist."""
        row = db.execute(_OWNED, (key, self._user)).fetchone()
        if row is None:
            raise ConversationNotFoundError(_NO_CONVERSATION)
        return cast(Row, row)


def exchange_from_row(row: Row, article: FindArticle) -> Exchange:
    """An exchange from its thumb, note and data. Raises `ArchiveError` when it is damaged."""
    thumb, note, data = row
    try:
        values = json.loads(data)
        asked = values["asked"]
        answer, sentences, error = _said(values, article)
        return Exchange(
            id=values["id"],
            question=values["question"],
            asked=Asked(
                as_of=_day(asked["as_of"]),
                since=_day(asked["since"]),
                until=_day(asked["until"]),
                sources=tuple(asked["sources"]),
            ),
            at=datetime.fromisoformat(values["at"]),
            query=values["query"],
            answer=answer,
            error=error,
            stopped=values["stopped"],
            sentences=sentences,
            feedback=Feedback(cast(Literal["up", "down", ""], thumb), note),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"a saved conversation is damaged: {error!r}") from error


def _said(
    values: dict[str, Any], article: FindArticle
) -> tuple[Answer | None, tuple[Sentence, ...], str]:
    """The answer, the sentences of a stopped one and the error, as far as they can be shown."""
    try:
        saved = values["answer"]
        answer = answer_from_dict(saved, article) if saved else None
        sentences = tuple(sentence_from_dict(item, article) for item in values["sentences"])
    except ArticleNotFoundError:
        return None, (), _ARTICLE_GONE
    except (KeyError, TypeError, ValueError):
        return None, (), _UNREADABLE
    return answer, sentences, values["error"]


def _exchange_values(exchange: Exchange) -> dict[str, Any]:
    """The exchange as JSON values, but for the feedback, which changes on its own."""
    asked = exchange.asked
    days = {"as_of": asked.as_of, "since": asked.since, "until": asked.until}
    return {
        "id": exchange.id,
        "question": exchange.question,
        "asked": {
            **{name: day.isoformat() if day else None for name, day in days.items()},
            "sources": list(asked.sources),
        },
        "at": exchange.at.astimezone(UTC).isoformat(),
        "query": exchange.query,
        "answer": exchange.answer.to_dict() if exchange.answer else None,
        "error": exchange.error,
        "stopped": exchange.stopped,
        "sentences": [sentence.to_dict() for sentence in exchange.sentences],
    }


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


def _stamp(moment: datetime | None = None) -> str:
    """A moment of UTC (now, by default) as text that sorts."""
    return (moment or datetime.now(UTC)).isoformat(timespec="microseconds")


def _heading(text: str) -> str:
    """A title on one line, cut after a word where it is long."""
    line = " ".join(_clean(text).split())
    if len(line) <= _HEADING:
        return line
    return f"{line[:_HEADING].rsplit(' ', 1)[0]}…"


def _folded(text: str) -> str:
    """Text as it is searched: without upper case, and each letter written in one way."""
    return unicodedata.normalize("NFKC", _clean(text).casefold())


def _clean(text: str) -> str:
    """Text that SQLite takes: a surrogate that came alone, which is no character, becomes "?"."""
    return text.encode("utf-8", "replace").decode()


def _checked(feedback: Feedback) -> tuple[str, str]:
    """Thumb and note, fit to be stored."""
    _check_length("a note", feedback.note, LONGEST_NOTE)
    if feedback.thumb not in ("up", "down", ""):
        raise ConversationError('a thumb is "up", "down" or empty')
    return feedback.thumb, _clean(feedback.note)


def _check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise ConversationError(
            f"{what} may have {most:,} characters at most; this one has {len(text):,}"
        )
