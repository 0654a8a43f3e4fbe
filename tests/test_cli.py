from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import typer
from conftest import ROOT, make_archive
from typer.testing import CliRunner

from rag import Archive, Asked, Exchange, Feedback
from rag.cli import app
from rag.models import SentenceTransformerEmbedder
from rag.settings import API_KEY_VARIABLE

RUNNER = CliRunner()


@pytest.fixture
def folder(corpus_archive: Archive) -> str:
    return corpus_archive.status().path


def run(*arguments: str, code: int = 0) -> str:
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    assert "Traceback" not in result.output
    return result.output


def newsrag(*arguments: str | Path, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rag.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def test_ask_prints_sentences_and_their_sources(folder: str) -> None:
    output = run("ask", "why is Kim boosting production?", "--archive", folder, "--no-llm")
    lines = output.splitlines()
    assert lines[0].endswith("[1]")
    source = next(line for line in lines if line.startswith("[1] "))
    assert re.search(r", \d{4}-\d\d-\d\d \([0-9a-f]{16}\)$", source)


def test_ask_as_json_can_be_checked_with_show(folder: str) -> None:
    output = run(
        "ask", "What did the bridge repair cost?", "--archive", folder, "--no-llm", "--json"
    )
    answer = json.loads(output)
    assert answer["status"] == "answered"
    for sentence in answer["sentences"]:
        for citation in sentence["citations"]:
            shown = json.loads(run("show", citation["article_id"], "--archive", folder, "--json"))
            assert shown["text"][citation["start"] : citation["end"]] == citation["quote"]


def test_ask_abstains(folder: str) -> None:
    output = run("ask", "Who won the 2022 World Cup?", "--archive", folder, "--no-llm")
    assert "The archive does not say." in output
    assert "[1]" not in output
    assert "closest passages" in output


def test_ask_takes_dates_and_outlets(folder: str) -> None:
    question = ("ask", "What will the Harbor Bridge repair cost?", "--archive", folder, "--no-llm")
    early = run(*question, "--as-of", "1 March 2023")
    assert "$14.2 million" in early
    assert "$18.7 million" not in early
    late = json.loads(run(*question, "--since", "2024-01-01", "--json"))
    assert min(passage["published"] for passage in late["passages"]) >= "2024-01-01"
    herald = json.loads(run(*question, "--source", "Callow County Herald", "--json"))
    assert {passage["source"] for passage in herald["passages"]} == {"Callow County Herald"}
    with Archive.open(folder) as opened:
        first, second = opened.sources()[:2]
    both = json.loads(run(*question, "--source", first, "--source", second, "--json"))
    assert {passage["source"] for passage in both["passages"]} == {first, second}
    message = run(*question, "--until", "03/04/2023", code=1)
    assert "--until 03/04/2023 is not a full date; write it as YYYY-MM-DD" in message


def test_status_show_and_delete(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("---\ntitle: Dam\npublished: 2024-02-03\n---\nThe dam broke.")
    archive = ("--archive", str(tmp_path / "archive"))
    assert "1 added" in run("ingest", str(tmp_path / "a.md"), *archive)
    assert "1 unchanged" in run("ingest", str(tmp_path / "a.md"), *archive)
    status = json.loads(run("status", "--json", *archive))
    assert (status["articles"], status["passages"], status["first"]) == (1, 1, "2024-02-03")
    assert "2024-02-03 to 2024-02-03" in run("status", *archive)
    with Archive.open(tmp_path / "archive") as opened:
        (article,) = opened.articles()
    assert "The dam broke." in run("show", article.id, *archive)
    run("delete", article.id, *archive)
    assert json.loads(run("status", "--json", *archive))["articles"] == 0
    assert "error: the archive has no article" in run("show", article.id, *archive, code=1)


def test_a_web_address_is_fetched_or_said_to_be_refused(tmp_path: Path) -> None:
    archive = ("--archive", str(tmp_path / "archive"))
    output = run("ingest", "http://127.0.0.1:9/a", *archive, code=1)
    assert "http://127.0.0.1:9/a: is refused: 127.0.0.1 is on this machine" in output
    assert "0 added, 0 changed, 0 unchanged, 1 failed" in output


def test_bad_records_are_named_and_the_rest_is_stored(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    good = json.dumps({"title": "A", "text": "A bridge closed.", "url": "https://x.example/1"})
    (tmp_path / "in" / "a.jsonl").write_text(f"{good}\n{{broken\n")
    (tmp_path / "in" / "b.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00truncated")
    output = run("ingest", str(tmp_path / "in"), "--archive", str(tmp_path / "archive"), code=1)
    assert "a.jsonl:2: is not JSON" in output
    assert "b.jsonl.gz:1: the file is damaged" in output
    assert "1 added, 0 changed, 0 unchanged, 2 failed" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ask", "x", "--archive", "/nowhere/at/all"), "there is no archive in /nowhere/at/all"),
        (("ingest", "/nowhere/at/all.txt"), "/nowhere/at/all.txt: does not exist"),
        (("ask", "x", "--archive", "{}", "--model", ""), "setting model is empty"),
    ],
)
def test_bad_input_is_one_sentence(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run(*(a.replace("{}", folder) for a in arguments), code=1)
    assert output.startswith("error: ")
    assert message in output
    assert output.count("\n") == 1


def test_an_unknown_setting_is_named(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("newsrag.toml").write_text("colour = 'red'")
    assert "unknown setting colour" in run("status", "--archive", folder, code=1)
    Path("newsrag.toml").write_text("embedding_model = 'other'")
    assert "made with embedding_model gt-all" in run("status", "--archive", folder, code=1)


def test_terminal_codes_in_articles_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "A \x1b[31mred\x1b[0m title\n\nThe dam \x1b]0;x\x07 \u202ebroke.\n"
    )
    archive = ("--archive", str(tmp_path / "archive"))
    run("ingest", str(tmp_path / "a.txt"), *archive)
    with Archive.open(tmp_path / "archive") as opened:
        (article,) = opened.articles()
    output = run("show", article.id, *archive)
    assert "broke" in output
    assert not set(output) & {"\x1b", "\x07", "\u202e"}


def test_an_interrupt_stops_cleanly_and_the_next_run_continues(tmp_path: Path) -> None:
    with (tmp_path / "many.jsonl").open("w") as file:
        for n in range(400):
            text = f"Story {n}. " + f"The council of town {n} met about the bridge. " * 60
            file.write(
                json.dumps({"title": f"T{n}", "text": text, "url": f"https://x.example/{n}"}) + "\n"
            )
    arguments = ("ingest", tmp_path / "many.jsonl", "--archive", tmp_path / "archive")
    # A shell that starts the tests in the background has them ignore interrupts.
    process = newsrag(*arguments, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    database = tmp_path / "archive" / "articles.sqlite-wal"
    deadline = time.monotonic() + 120
    while not (database.exists() and database.stat().st_size > 500_000):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, (output, errors)
    assert "The same command continues from here." in errors
    assert "Traceback" not in errors
    with Archive.open(tmp_path / "archive") as opened:
        before = opened.status()
    assert before.articles + before.pending < 400
    assert "0 failed" in run(*map(str, arguments))
    with Archive.open(tmp_path / "archive") as opened:
        after = opened.status()
    assert (after.articles, after.pending) == (400, 0)


def test_a_full_disk_is_one_sentence_and_the_archive_stays_sound(tmp_path: Path) -> None:
    """A limit on file size stands in for the full disk: writes fail the same way."""
    (tmp_path / "a.txt").write_text("Title\n\nThe dam broke on Monday.\n")
    (tmp_path / "b.txt").write_text("Title\n\n" + "A long story about the dam. " * 100_000)
    archive = ("--archive", tmp_path / "archive")
    run("ingest", *map(str, (tmp_path / "a.txt", *archive)))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    process = newsrag("ingest", tmp_path / "b.txt", *archive, preexec_fn=limit)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in errors
    assert "cannot be written" in errors
    with Archive.open(tmp_path / "archive") as opened:
        assert opened.status().articles == 1
        assert opened.ask("When did the dam break?", wording=False).status == "answered"


def test_the_docs_name_every_command_and_only_known_options() -> None:
    readme = (ROOT / "README.md").read_text()
    commands = sorted(typer.main.get_command(app).commands)
    assert {"ingest", "ask", "chat", "eval"} < set(commands)
    for command in commands:
        assert f"newsrag {command}" in readme
        run(command, "--help")
    options = set(re.findall(r"(?<=[\s`])--[a-z][a-z-]+", readme))
    known = set()
    for command in commands:
        result = RUNNER.invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        known |= set(re.findall(r"--[a-z][a-z-]+", result.output))
    assert options <= known, options - known
    assert API_KEY_VARIABLE in readme


def test_a_user_is_added_and_changed_with_the_password_typed_twice(tmp_path: Path) -> None:
    file = tmp_path / "users"

    def typed(text: str, code: int = 0) -> str:
        result = RUNNER.invoke(app, ["user", "ada", "--auth", str(file)], input=text)
        assert result.exit_code == code, (result.output, result.exception)
        assert "long enough" not in result.output
        return result.output

    assert "Added ada" in typed("long enough 1\nlong enough 1\n")
    before = file.read_text()
    assert "Changed ada" in typed("long enough 2\nlong enough 3\nlong enough 2\nlong enough 2\n")
    assert file.read_text() != before
    before = file.read_text()
    assert "too short" in typed("short\nshort\n", code=1)
    assert file.read_text() == before


def test_feedback_prints_rated_answers_as_json_lines_and_as_a_table(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    folder = tmp_path / "archive"
    said = "What was \x1b[31m said?"
    with make_archive(folder, embedder) as opened:
        kept = opened.conversations("ada")
        conversation = kept.new("said").id
        for number in range(2):
            at = datetime(2024, 5, 1, number, tzinfo=UTC)
            kept.save(conversation, Exchange(f"e{number}", said, Asked(), at))
        kept.rate(conversation, "e1", Feedback("down", "[bold]Not so.[/bold]"))
    (row,) = map(json.loads, run("feedback", "--json", "--archive", str(folder)).splitlines())
    assert (row["question"], row["thumb"]) == (said, "down")
    assert row["note"] == "[bold]Not so.[/bold]"
    table = run("feedback", "--archive", str(folder))
    assert "down" in table
    assert "[bold]Not so.[/bold]" in table
    assert "\x1b" not in table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "0.0.0.0"), "this machine only, not on 0.0.0.0"),
        (("--auth", "no-such-file"), "no-such-file: cannot be read as users"),
        (("--tls-cert", "cert.pem"), "--tls-cert and --tls-key belong together"),
        (("--tls-cert", "a.pem", "--tls-key", "b.pem"), "--tls-cert a.pem is not a file"),
    ],
)
def test_a_chat_that_cannot_be_served_is_one_sentence(
    folder: str, options: tuple[str, str], message: str
) -> None:
    output = run("chat", "--archive", folder, "--no-browser", "--port", "0", *options, code=1)
    assert message in " ".join(output.split())


def test_the_chat_answers_until_it_is_interrupted(folder: str) -> None:
    chat = newsrag(
        *("chat", "--archive", folder, "--no-llm", "--no-browser", "--port", "0"),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert chat.stdout
        url = re.search(r"http://\S+/", chat.stdout.readline())
        assert url
        assert httpx.get(f"{url[0]}health", trust_env=False).json()["status"] == "ok"
        chat.send_signal(signal.SIGINT)
        _, errors = chat.communicate(timeout=60)
    finally:
        chat.kill()
    assert chat.returncode == 0, errors
    assert "Traceback" not in errors
