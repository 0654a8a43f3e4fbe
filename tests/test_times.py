"""Times that are told from where one stands, as days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from conftest import article, make_archive

from rag import Archive, Looked, Meant
from rag.serial import answer_from_dict
from rag.times import days_meant, hull, meant

WEDNESDAY = date(2023, 3, 15)


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("Who resigned yesterday?", "2023-03-14", "2023-03-14"),
        ("What happened last week in Paris?", "2023-03-06", "2023-03-12"),
        ("Who won this week?", "2023-03-09", "2023-03-15"),
        ("What did the mayor say on Monday?", "2023-03-13", "2023-03-13"),
        ("What did she say on Wednesday?", "2023-03-15", "2023-03-15"),
        ("What did she say last Wednesday?", "2023-03-08", "2023-03-08"),
        ("Who died in March?", "2023-03-01", "2023-03-15"),
        ("Who won in May?", "2022-05-01", "2022-05-31"),
        ("Who won in May 2021?", "2021-05-01", "2021-05-31"),
        ("What was decided on 3 March?", "2023-03-03", "2023-03-03"),
        ("What was decided on March 3rd, 2020?", "2020-03-03", "2020-03-03"),
        ("Which firms failed in 2022?", "2022-01-01", "2022-12-31"),
        ("Which firms failed this year?", "2023-01-01", "2023-03-15"),
        ("What has changed since January?", "2023-01-01", "2023-03-15"),
        ("What has changed since 2021?", "2021-01-01", "2023-03-15"),
        ("Who quit three days ago?", "2023-03-12", "2023-03-12"),
    ],
)
def test_a_time_of_a_question_counts_from_the_day_of_asking(
    question: str, first: str, last: str
) -> None:
    (found,) = meant(question, WEDNESDAY)
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)
    assert found.text in question


@pytest.mark.parametrize(
    "question",
    [
        "What has changed since the election?",
        "Who may march for the last time?",
        "Did Theresa May resign?",
        "Who won the 2022 World Cup?",
        "Who will speak in May?",
        "What is planned in 2046?",
        "How many of the 2,022 men marched?",
        "What was agreed on 31 February?",
        "",
    ],
)
def test_what_names_no_time_before_the_question_is_left_alone(question: str) -> None:
    assert meant(question, WEDNESDAY) == ()


def test_several_times_span_the_days_between_them() -> None:
    assert hull(meant("What happened yesterday and last month?", WEDNESDAY)) == (
        date(2023, 2, 1),
        date(2023, 3, 14),
    )
    assert hull(()) is None
    assert meant("today", date.max)[0].first == date.max


def test_days_of_an_article_count_from_its_publication() -> None:
    quote = "The bridge reopened on Saturday, and yesterday a lorry broke it; today may be calm."
    found = days_meant(quote, date(2024, 6, 3))
    assert [(one.text, one.first.isoformat()) for one in found] == [
        ("on Saturday", "2024-06-01"),
        ("yesterday", "2024-06-02"),
        ("today", "2024-06-03"),
    ]
    assert days_meant(quote, None) == ()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, embedder) -> Iterator[Archive]:
    with make_archive(tmp_path_factory.mktemp("times") / "archive", embedder) as made:
        for number, day in enumerate((date(2022, 5, 3), date(2023, 3, 7), date(2023, 3, 14))):
            text = f"The regatta of Ellery was won by crew {number} on Monday."
            made.ingest(article(number, text, published=day, title=f"Regatta {number}"))
        yield made


@pytest.mark.parametrize(
    ("time", "crew"), [("in May 2022", "0"), ("last week", "1"), ("this week", "2"), ("", "2")]
)
def test_what_lies_in_the_time_that_is_meant_comes_first(
    archive: Archive, time: str, crew: str
) -> None:
    found = archive.search(f"Who won the regatta of Ellery {time}?", as_of=WEDNESDAY)
    assert found[0].article.title == f"Regatta {crew}"
    assert len(found) >= 1


def test_the_reader_sees_which_days_were_taken(archive: Archive, tmp_path: Path) -> None:
    answer = archive.ask("Who won the regatta of Ellery last year?", as_of=WEDNESDAY, wording=False)
    year = Meant("last year", date(2022, 1, 1), date(2022, 12, 31))
    assert answer.looked is not None and answer.looked.meant == (year,)
    assert answer.remarks[0] == "“last year” was taken as 1 January 2022 to 31 December 2022."
    quoted = [citation for sentence in answer.sentences for citation in sentence.citations]
    for number, citation in enumerate(quoted, 1):
        monday = {3: "2 May 2022", 7: "6 March 2023", 14: "13 March 2023"}
        told = monday[citation.article.published.day] if citation.article.published else ""
        assert f"“on Monday” in [{number}] is Monday, {told}." in answer.remarks
    assert answer.remarks[0] in str(answer)
    again = answer_from_dict(answer.to_dict(), archive.article)
    assert (again.looked, again.remarks) == (answer.looked, answer.remarks)
    assert answer.remarks[0] in Looked("q", meant=(year,)).lines
    nothing = archive.ask("What is the boiling point of tin?", as_of=WEDNESDAY, wording=False)
    assert nothing.remarks == ()
