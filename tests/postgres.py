"""A PostgreSQL server for tests: a cluster of its own, on a free port, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

PASSWORD = "not/a secret@all"
MISSING = "PostgreSQL's server is not here: apt-get install postgresql"


def programs() -> Path | None:
    """Where PostgreSQL's server programs are; Debian keeps them from the PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


class PostgresServer:
    """As the user `postgres` where the tests are run by root, since it refuses root."""

    def __init__(self, bin_folder: Path, *, durable: bool = False) -> None:
        self._bin = bin_folder
        self._user = "postgres" if os.getuid() == 0 else None
        self._durable = durable
        self._folder = Path(tempfile.mkdtemp(prefix="newsrag-postgres-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        try:
            password = self._folder / "password"
            password.write_text(PASSWORD)
            if self._user:
                shutil.chown(self._folder, self._user, self._user)
                shutil.chown(password, self._user)
            self._run(
                "initdb", "--username=news", f"--pwfile={password}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C", "--no-sync",
            )  # fmt: skip
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def _run(self, program: str, *arguments: str) -> None:
        command = [self._bin / program, f"--pgdata={self._folder / 'data'}", *arguments]
        log = self._folder / "log"
        user = {"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}
        with log.open("a") as out:  # no pipe: the server would keep it open
            done = subprocess.run(
                command, cwd=self._folder, stdout=out, stderr=out, check=False, **user
            )  # type: ignore[call-overload]
        assert done.returncode == 0, log.read_text()

    def start(self) -> None:
        # What the tests kill are its clients, so it need not wait for the disk.
        fsync = "on" if self._durable else "off"
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c fsync={fsync}"
        self._run("pg_ctl", "start", "--wait", f"--options={options} -c unix_socket_directories=''")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def database(self, *, encoding: str = "UTF8") -> str:
        """The URL of a new, empty database; the password is in PGPASSWORD."""
        import psycopg

        name = f"news{uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://news@127.0.0.1:{self.port}/{name}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
