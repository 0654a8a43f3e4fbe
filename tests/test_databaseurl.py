"""The address of a database; nothing here connects to one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rag import ArchiveError, Settings, SettingsError
from rag import postgres as adapter
from rag.databaseurl import VARIABLE, without_password
from rag.store import Store

SECRETS = [
    "postgresql://news:hunter2@127.0.0.1:1/name",
    "postgres://news:hunter2@[::1]:1/name?sslmode=require",
    "postgresql:///name?host=/run&password=hunter2",
    "postgresql://news:x@hunter2@127.0.0.1:1/name",
    "postgresql://news:x/hunter2@127.0.0.1:1/name",
    "postgresql://news:x#hunter2@127.0.0.1:1/name",
    "postgresql://news:12?hunter2@127.0.0.1:1/name",
    "postgresql://news:hunter2",
    "hunter2",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_password_is_refused_and_never_repeated(secret: str, monkeypatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings(database=secret)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__ or ''}"
    monkeypatch.setenv(VARIABLE, secret)
    with pytest.raises((ArchiveError, SettingsError)) as refused:  # no such host, or no URL
        Store(tmp_path / "archive", "m", 1000)
    assert "hunter2" not in str(refused.value)
    assert not (tmp_path / "archive" / "database.json").exists()


def test_what_is_shown_of_a_url_connects_as_it_does() -> None:
    for same in (
        "postgresql://news@host:1/name",
        "postgresql:///name?host=%2Frun&port=5",
        "postgresql://[::1]:5432/name",
        "postgresql://one:1,two:2/name?target_session_attrs=read-write",
    ):
        assert without_password(same) == same
    assert without_password("postgres://a:b@h/n?sslpassword=c&x=y") == "postgresql://a@h/n?x=y"


def test_without_the_driver_its_installation_is_named(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    adapter._driver.cache_clear()
    try:
        with pytest.raises(ArchiveError, match=r"constraints.txt -e '.\[postgres\]'"):
            Store(tmp_path / "archive", "m", 1000, database="postgresql://host/name")
    finally:
        adapter._driver.cache_clear()
