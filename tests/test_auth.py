"""The file of users, their passwords, and what slows a guesser down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import bcrypt
import pytest

from ui import auth
from ui.auth import Attempts, AuthError, TooManyLoginsError, Users, read_users, write_user

PASSWORD = "tall ship, small anchor"


def line(name: str, password: str = PASSWORD, prefix: str = "$2y$") -> str:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return f"{name}:{hashed.replace('$2b$', prefix, 1)}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"# the desk\n\n{line('ada')}{line('bo', 'another password', '$2b$')}")
    return path


def check(users: Users, name: str, password: str) -> bool:
    return asyncio.run(users.check(name, password))


def test_only_the_right_password_of_a_known_user_opens(file: Path) -> None:
    users = Users(file)
    assert check(users, "ada", PASSWORD)
    assert check(users, "bo", "another password")
    for name, password in (
        ("ada", "another password"),
        ("ada", ""),
        ("ada", PASSWORD + " "),
        ("Ada", PASSWORD),
        ("", PASSWORD),
        ("nobody", PASSWORD),
        ("ada", PASSWORD + "\0"),
        ("ada", "x" * 73),
        ("# the desk", ""),
    ):
        assert not check(users, name, password), (name, password)
    users.close()


def test_a_password_that_is_too_long_is_wrong_and_not_cut(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(line("ada", "x" * 72))
    users = Users(file)
    assert check(users, "ada", "x" * 72)
    assert not check(users, "ada", "x" * 73)
    users.close()


def test_an_unknown_name_costs_the_same_work(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[bytes] = []
    real = bcrypt.checkpw

    def spying(password: bytes, hashed: bytes) -> bool:
        costs.append(hashed[4:6])
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", spying)
    users = Users(file)
    for name, password in (("ada", "wrong"), ("nobody", "wrong"), ("nobody", "x" * 100)):
        assert not check(users, name, password)
    assert costs == [b"04", b"04", b"04"]
    users.close()


def test_a_changed_file_counts_at_once_and_a_broken_one_does_not(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users = Users(file)
    old = users.stored("ada")
    file.write_text(line("ada", "a new password") + line("cy"))
    assert users.stored("ada") not in {old, None}
    assert users.stored("bo") is None
    assert check(users, "ada", "a new password")
    assert not check(users, "ada", PASSWORD)
    file.write_text("ada:secret\n")
    assert check(users, "cy", PASSWORD)
    file.unlink()
    assert check(users, "cy", PASSWORD)
    assert "line 1" in caplog.text
    assert "cannot be read" in caplog.text
    assert len(caplog.records) == 2
    users.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there are no users in it; add one with: newsrag user NAME --auth"),
        ("# nobody\n", "there are no users in it"),
        ("ada\n", "line 1: must be a name, a colon and a bcrypt hash"),
        ("\nada:secret\n", "line 2: must be"),
        ("ada:$apr1$aaaa$bbbb\n", "line 1: must be"),
        (line("ada").replace("$04$", "$99$"), "line 1: must be"),
        (line("a b"), "line 1: must be"),
        (":" + line("x").partition(":")[2], "line 1: must be"),
        (line("ada").strip() + ":more\n", "line 1: must be"),
        (line("ada") + line("ada"), "line 2: ada stands there twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(AuthError) as error:
        read_users(file)
    assert str(error.value).startswith(str(file))
    assert message in str(error.value)


def test_a_file_that_is_missing_or_not_text_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match=r"No such file.*newsrag user NAME"):
        read_users(tmp_path / "missing")
    (tmp_path / "users").write_bytes(b"\xff\xfe")
    with pytest.raises(AuthError, match="not UTF-8"):
        read_users(tmp_path / "users")


def test_a_user_is_added_then_changed_and_the_rest_stays(file: Path) -> None:
    before = read_users(file)
    file.chmod(0o644)
    assert write_user(file, "cy", "a password of cy") is True
    assert write_user(file, "ada", "a new password") is False
    after = read_users(file)
    assert list(after) == ["bo", "cy", "ada"]
    assert after["bo"] == before["bo"]
    assert after["ada"] != before["ada"]
    assert file.read_text().startswith("# the desk\n")
    assert after["cy"].startswith(b"$2y$12$")
    assert bcrypt.checkpw(b"a password of cy", after["cy"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "users")
    assert write_user(link, "ada", PASSWORD)
    assert link.is_symlink()
    assert (tmp_path / "users").stat().st_mode & 0o777 == 0o600
    assert list(read_users(link)) == ["ada"]


@pytest.mark.parametrize(
    ("name", "password", "message"),
    [
        ("a:b", PASSWORD, "cannot be a user's name"),
        ("", PASSWORD, "cannot be a user's name"),
        ("ada\n", PASSWORD, "cannot be a user's name"),
        ("#ada", PASSWORD, "cannot be a user's name"),
        ("x" * 65, PASSWORD, "cannot be a user's name"),
        ("ada", "short", "too short: it needs 8"),
        ("ada", "ö" * 37, "too long: 72 bytes"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    tmp_path: Path, name: str, password: str, message: str
) -> None:
    with pytest.raises(AuthError, match=message):
        write_user(tmp_path / "users", name, password)
    assert not (tmp_path / "users").exists()


def test_a_broken_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("ada:secret\n")
    with pytest.raises(AuthError, match="line 1"):
        write_user(file, "bo", PASSWORD)
    assert file.read_text() == "ada:secret\n"


def test_a_folder_that_is_missing_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match="cannot be written"):
        write_user(tmp_path / "none" / "users", "ada", PASSWORD)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.now += seconds
            await real(0)

        monkeypatch.setattr(auth.asyncio, "sleep", sleep)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def attempt(attempts: Attempts, clock: Callable[[], float], address: str, ok: bool) -> float:
    async with attempts.turn(address) as turn:
        turn.failed = not ok
        return clock()


def test_each_wrong_password_makes_the_next_wait_longer(clock: Clock) -> None:
    async def run() -> list[float]:
        attempts = Attempts(clock)
        return [await attempt(attempts, clock, "192.0.2.1", False) for _ in range(9)]

    times = asyncio.run(run())
    waits = [after - before for before, after in pairwise(times)]
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_at_once_is_no_faster(clock: Clock) -> None:
    async def run() -> list[float]:
        attempts = Attempts(clock)
        tries = [attempt(attempts, clock, "192.0.2.1", False) for _ in range(5)]
        return await asyncio.gather(*tries)

    assert sorted(asyncio.run(run())) == [0, 1, 3, 7, 15]


def test_a_right_password_ends_the_wait_and_others_never_wait(clock: Clock) -> None:
    async def run() -> None:
        attempts = Attempts(clock)
        for _ in range(3):
            await attempt(attempts, clock, "192.0.2.1", False)
        began = clock.now
        assert await attempt(attempts, clock, "192.0.2.2", True) == began
        assert await attempt(attempts, clock, "192.0.2.1", True) == began + 4
        assert await attempt(attempts, clock, "192.0.2.1", False) == began + 4
        assert await attempt(attempts, clock, "192.0.2.1", True) == began + 5

    asyncio.run(run())


def test_a_network_of_ipv6_is_one_guesser(clock: Clock) -> None:
    async def run() -> list[float]:
        attempts = Attempts(clock)
        addresses = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
        return [await attempt(attempts, clock, address, False) for address in addresses]

    assert asyncio.run(run()) == [0, 1, 1]


def test_many_who_wait_are_turned_away(clock: Clock) -> None:
    async def run() -> list[object]:
        attempts = Attempts(clock)
        tries = [attempt(attempts, clock, "192.0.2.1", False) for _ in range(25)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert await attempt(attempts, clock, "192.0.2.1", True) > 0
        return [one for one in results if isinstance(one, TooManyLoginsError)]

    assert len(asyncio.run(run())) == 5


def test_what_is_long_past_is_forgotten(clock: Clock) -> None:
    async def run() -> int:
        attempts = Attempts(clock)
        for number in range(50):
            await attempt(attempts, clock, f"192.0.2.{number}", False)
        clock.now += 3600
        await attempt(attempts, clock, "198.51.100.1", True)
        return len(attempts._addresses)

    assert asyncio.run(run()) == 0


def test_the_password_file_needs_no_rights_of_others(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        write_user(tmp_path / "users", "ada", PASSWORD)
    finally:
        os.umask(old)
    assert (tmp_path / "users").stat().st_mode & 0o777 == 0o600
