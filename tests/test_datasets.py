"""The formats of question sets, how gold is found, and what a broken file says."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from eval.datasets import load_questions, newsqa_articles
from rag import Article, SourceError

STORY = Article(
    id="s1",
    title="Kim tours plants",
    text="Kim visited plants.\nHe took the wheel of a\nnew vehicle.",
    url="https://www.courier.example/2023/08/14/kim",
)
WIRE = Article(id="w1", title="Wire copy", text="He took the wheel of a new vehicle. He left.")
OWN = {
    "id": "c1",
    "question": "What did Kim drive?",
    "answers": ["a new vehicle"],
    "gold": [
        {
            "url": "https://www.courier.example/2023/08/14/kim",
            "quote": "the wheel of a new vehicle",
        },
        {"url": None, "title": "Wire copy", "quote": "the wheel of a new vehicle"},
    ],
    "as_of": "2023-09-07",
    "history": [["Who visited the plants?", "Kim."]],
    "kind": "fact",
}
QUIZ = {
    "id": "20220617_0",
    "asked": "2022/06/16",
    "question": "Which show?",
    "choices": ["“Friends”", "“Squid Game”"],
    "answer": ["“Squid Game”"],
    "retrieved": [],
    "positives": ["https://www.courier.example/2023/08/14/kim?utm_source=feed"],
}
CONTEXT = "\n (CNN) -- What a\n\nday in Rome. "
SQUAD = {
    "version": "2",
    "data": [
        {
            "title": "(CNN) -- What a",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "n1",
                            "question": "Where?",
                            "answers": [
                                {"answer_start": CONTEXT.index("Rome"), "text": "Rome"},
                                {"answer_start": CONTEXT.index("day"), "text": "day in Rome"},
                            ],
                        },
                        {"id": "n2", "question": "Who?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def write_lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_our_own_format(tmp_path):
    loaded = load_questions(write_lines(tmp_path / "mine.jsonl", OWN), [STORY, WIRE])
    assert (loaded.name, loaded.format, loaded.incomplete) == ("mine", "newsrag", 0)
    (question,) = loaded.questions
    assert question.gold_articles == ("s1", "w1")
    assert question.as_of == date(2023, 9, 7)
    assert question.history == (("Who visited the plants?", "Kim."),)
    assert (question.kind, question.answerable) == ("fact", True)
    texts = {"s1": STORY.text, "w1": WIRE.text}
    quotes = [texts[name][start:end] for name, start, end in question.gold_spans]
    assert quotes == ["the wheel of a\nnew vehicle", "the wheel of a new vehicle"]


def test_gold_that_the_archive_lacks_is_left_out_and_counted(tmp_path):
    missing_quote = OWN | {"id": "c2", "gold": [{"url": STORY.url, "quote": "a tank"}]}
    no_quote = OWN | {"id": "c3", "gold": [{"url": STORY.url}]}
    unanswerable = OWN | {"id": "c4", "gold": [], "answers": [], "history": [], "as_of": None}
    path = write_lines(tmp_path / "mine.jsonl", OWN, missing_quote, no_quote, unanswerable)
    loaded = load_questions(path, [STORY])
    assert [len(question.gold_spans) for question in loaded.questions] == [1, 0, 0, 0]
    assert [q.gold_articles for q in loaded.questions] == [("s1",), ("s1",), ("s1",), ()]
    assert [question.answerable for question in loaded.questions] == [True, True, True, False]
    assert loaded.questions[3].as_of is None
    assert loaded.incomplete == 2


def test_realtimeqa_by_folder_and_by_file(tmp_path):
    folder = tmp_path / "2022"
    folder.mkdir()
    weak = QUIZ | {"id": "q2", "positives": []}
    file = write_lines(folder / "questions.jsonl", QUIZ, weak)
    loaded = load_questions(folder, [STORY])
    assert loaded == load_questions(file, [STORY])
    assert (loaded.name, loaded.format) == ("realtimeqa-2022", "realtimeqa")
    first, second = loaded.questions
    assert first.answers == ("“Squid Game”",)
    assert first.gold_articles == ("s1",)  # The tracking parameter is no part of the address.
    assert first.as_of == date(2022, 6, 16)
    assert (first.answerable, second.answerable) == (True, False)
    assert second.answers == ("“Squid Game”",)


def test_a_repeated_id_gets_a_suffix(tmp_path):
    path = write_lines(tmp_path / "questions.jsonl", QUIZ, QUIZ | {"question": "Which one?"}, QUIZ)
    ids = [question.id for question in load_questions(path, []).questions]
    assert ids == ["20220617_0", "20220617_0~2", "20220617_0~3"]


@pytest.mark.parametrize("stored", [CONTEXT, CONTEXT.strip(), "  " + CONTEXT.strip()])
def test_squad_offsets_follow_the_stored_text(tmp_path, stored):
    folder = tmp_path / "newsqa"
    folder.mkdir()
    path = folder / "dev.json.gz"
    path.write_bytes(gzip.compress(json.dumps(SQUAD).encode()))
    loaded = load_questions(path, [Article(id="a", title="t", text=stored), STORY])
    assert (loaded.name, loaded.format, loaded.incomplete) == ("newsqa-dev", "squad", 0)
    first, second = loaded.questions
    assert first.gold_articles == ("a",)
    assert [stored[start:end] for _, start, end in first.gold_spans] == ["Rome", "day in Rome"]
    assert (second.answerable, second.gold_articles) == (False, ())
    assert load_questions(path, [STORY]).incomplete == 1


def test_newsqa_articles(tmp_path):
    path = write_lines(tmp_path / "dev.json", SQUAD | {"data": SQUAD["data"] * 2})
    (article,) = newsqa_articles(path)
    assert article.text == CONTEXT
    assert article.title == "(CNN) -- What a"
    with pytest.raises(SourceError, match="SQuAD"):
        newsqa_articles(write_lines(tmp_path / "mine.jsonl", OWN))


def broken(**values: object) -> dict[str, object]:
    return OWN | values


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ("[" * 100_000, "is not JSON"),
        (json.dumps(broken(question="")), '"question" must be text'),
        (json.dumps(broken(answers=[1])), '"answers" must be text'),
        (json.dumps(broken(answers="x")), '"answers" must be a list'),
        (json.dumps(broken(as_of="2023-13-01")), '"as_of" must be a date'),
        (json.dumps(broken(history=["x"])), '"history" must be a list of'),
        (json.dumps(broken(gold=[{"quote": "x"}])), '"title" must be text'),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, reason):
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(OWN) + "\n\n" + line + "\n")
    with pytest.raises(SourceError, match=reason) as caught:
        load_questions(path, [])
    assert caught.value.place == f"{path}:3"


def test_an_unknown_format(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", {"q": "?"})
    with pytest.raises(SourceError, match="no known format") as caught:
        load_questions(path, [])
    assert caught.value.place == f"{path}:1"


def test_a_squad_answer_that_is_not_at_its_offset(tmp_path):
    data = json.loads(json.dumps(SQUAD).replace('"text": "Rome"', '"text": "Roma"'))
    path = write_lines(tmp_path / "dev.json", data)
    with pytest.raises(SourceError, match=r"article 1, paragraph 1, question 1: .*answer_start"):
        load_questions(path, [])


def test_unreadable_files(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        load_questions(tmp_path / "none.jsonl", [])
    with pytest.raises(SourceError, match="cannot be read"):
        load_questions(tmp_path, [])
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(json.dumps(OWN).encode())[:-9])
    with pytest.raises(SourceError, match="cannot be read"):
        load_questions(torn, [])
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b"\n\n{\xe9}")
    with pytest.raises(SourceError, match=r"latin\.jsonl:3: is not UTF-8"):
        load_questions(latin, [])
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    with pytest.raises(SourceError, match="holds no questions"):
        load_questions(empty, [])
