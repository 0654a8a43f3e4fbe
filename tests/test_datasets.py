"""The formats of question sets, how gold is found, and what a broken file says."""

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from eval.datasets import articles_of, load_questions
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


def test_the_articles_of_a_squad_file(tmp_path):
    path = write_lines(tmp_path / "dev.json", SQUAD | {"data": SQUAD["data"] * 2})
    (article,) = articles_of(path)
    assert article.text == CONTEXT
    assert article.title == "(CNN) -- What a"


def test_a_set_without_articles(tmp_path):
    with pytest.raises(SourceError, match="a format without articles: newsrag"):
        articles_of(write_lines(tmp_path / "mine.jsonl", OWN))


def test_the_paragraphs_of_a_squad_article_are_one_article(tmp_path):
    def paragraph(context: str, name: str, answer: str = "") -> dict:
        given = [{"answer_start": context.index(answer), "text": answer}] if answer else []
        asked = {"id": name, "question": "Who?", "answers": given, "is_impossible": not answer}
        return {"context": context, "qas": [asked]}

    paragraphs = [paragraph("Kim left.", "s1", "Kim"), paragraph("Lee and Kim came.", "s2", "Kim")]
    paragraphs.append(paragraph("Nobody saw it.", "s3"))
    item = {"title": "Two_friends", "paragraphs": paragraphs}
    path = write_lines(tmp_path / "dev.json", {"data": [item]})
    (article,) = articles_of(path)
    assert article.text == "Kim left.\n\nLee and Kim came.\n\nNobody saw it."
    assert article.title == "Two friends"
    loaded = load_questions(path, [article])
    first, second, third = loaded.questions
    # The second paragraph begins after 9 characters and 2 line ends; "Lee and " has 8 more.
    assert first.gold_spans == ((article.id, 0, 3),)
    assert second.gold_spans == ((article.id, 19, 22),)
    assert article.text[19:22] == "Kim"
    assert (third.answerable, third.answers, third.gold_spans) == (False, (), ())
    assert loaded.incomplete == 0


PASSAGE = {
    "title": "Harbour",
    "text": "The harbour opened in 1901 . It was  rebuilt twice . Ships come daily . ",
    "sentences": ["The harbour opened in 1901 .", "It was  rebuilt twice .", "Ships come daily ."],
}
KNOWN = {
    "id": "1",
    "input": "what happened to the harbour",
    "passages": [PASSAGE],
    "output": [
        {"answer": "It opened and was rebuilt.", "selected_sentences": PASSAGE["sentences"][:2]},
        {"answer": "", "selected_sentences": PASSAGE["sentences"][1:2]},
    ],
}
UNKNOWN = {
    "id": "2",
    "input": "who built the lighthouse",
    "passages": [{"title": "", "text": "The lighthouse is tall .", "sentences": []}],
    "output": [{"answer": "", "selected_sentences": []}],
}


def test_clapnq_by_folder(tmp_path):
    folder = tmp_path / "clapnq"
    folder.mkdir()
    write_lines(folder / "answerable.jsonl", KNOWN)
    other = folder / "unanswerable.jsonl.gz"
    other.write_bytes(gzip.compress(json.dumps(UNKNOWN).encode()))
    (folder / "questions.tsv").write_text("not read")
    articles = articles_of(folder)
    assert [article.title for article in articles] == ["Harbour", "The lighthouse is tall ."]
    loaded = load_questions(folder, articles)
    assert (loaded.name, loaded.format, loaded.incomplete) == ("clapnq", "clapnq", 0)
    first, second = loaded.questions
    assert (first.answerable, first.phrases, first.kind) == (True, False, "long")
    assert first.answers == ("It opened and was rebuilt.",)
    assert first.gold_articles == (articles[0].id,)
    quotes = [articles[0].text[start:end] for _, start, end in first.gold_spans]
    assert quotes == ["The harbour opened in 1901 .", "It was  rebuilt twice ."]
    assert (second.answerable, second.gold_articles) == (False, ())
    assert load_questions(folder, articles[1:]).incomplete == 1
    assert load_questions(other, articles).name == "clapnq-unanswerable"


def turn(speaker: str, text: str) -> dict:
    return {"speaker": speaker, "text": text}


def conversation(kind: str, *contexts: dict, turns: tuple = (), told: str = "In 1901.") -> dict:
    asked = [
        turn("user", "Is there a harbour?"),
        turn("agent", "Yes."),
        turn("user", "Since when?"),
    ]
    return {
        "task_id": kind,
        "input": list(turns) or asked,
        "contexts": list(contexts),
        "targets": [turn("agent", told)],
        "answerability": [kind],
    }


HARBOUR = {"document_id": "d1", "title": "Harbour", "text": "Harbour\nIt opened in 1901."}
SHIPS = {"document_id": "d2", "text": "Ships come daily."}


def test_mtrag(tmp_path):
    folder = tmp_path / "mtrag"
    folder.mkdir()
    path = write_lines(
        folder / "reference.jsonl",
        conversation("ANSWERABLE", HARBOUR, SHIPS),
        conversation("PARTIAL", HARBOUR),
        conversation("UNDERSPECIFIED", SHIPS),
        conversation("UNDERSPECIFIED"),
        conversation("UNANSWERABLE", turns=(turn("user", "Who won?"),), told="I cannot say."),
    )
    articles = articles_of(path)
    assert [article.title for article in articles] == ["Harbour", "Ships come daily."]
    loaded = load_questions(path, articles)
    assert (loaded.name, loaded.format, loaded.incomplete) == ("mtrag-reference", "mtrag", 0)
    assert [question.answerable for question in loaded.questions] == [
        True,
        True,
        True,
        False,
        False,
    ]
    first, last = loaded.questions[0], loaded.questions[-1]
    assert first.history == (("Is there a harbour?", "Yes."),)
    assert (first.question, first.answers) == ("Since when?", ("In 1901.",))
    assert first.gold_articles == (articles[0].id, articles[1].id)
    assert (first.gold_spans, first.phrases, first.kind) == ((), False, "answerable")
    assert (last.history, last.answers, last.kind) == ((), (), "unanswerable")
    assert loaded.questions[2].answers == ()
    assert load_questions(path, articles[:1]).incomplete == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input": []}, '"input" must end with what the user asks'),
        ({"input": [turn("user", "a"), turn("agent", "b")]}, '"input" must end with'),
        ({"input": [turn("user", "a"), turn("user", "b")]}, "must alternate"),
        ({"answerability": "ANSWERABLE"}, '"answerability" must be a list of one of'),
    ],
)
def test_a_bad_conversation_is_named(tmp_path, change, reason):
    good = conversation("ANSWERABLE", HARBOUR)
    path = write_lines(tmp_path / "reference.jsonl", good, good | change)
    with pytest.raises(SourceError, match=reason) as caught:
        load_questions(path, [])
    assert caught.value.place == f"{path}:2"


def test_a_folder_of_two_formats(tmp_path):
    write_lines(tmp_path / "a.jsonl", KNOWN)
    write_lines(tmp_path / "b.jsonl", OWN)
    with pytest.raises(SourceError, match="mixes formats: clapnq and newsrag"):
        load_questions(tmp_path, [])


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
    with pytest.raises(SourceError, match="a folder without a question set"):
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
