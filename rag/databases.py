"""Where an archive has its articles: in its folder (SQLite), or in PostgreSQL, as it has noted."""

from __future__ import annotations

import json
import platform
from contextlib import closing
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

from rag.database import MOVED, Database
from rag.databaseurl import from_environment, without_password
from rag.errors import ArchiveError
from rag.ledgerfile import FILE_NAME, LedgerFile
from rag.postgres import PostgresDatabase

NOTE = "database.json"


def holds_archive(folder: Path) -> bool:
    """Whether a folder is that of an archive."""
    return (folder / FILE_NAME).exists() or (folder / NOTE).exists()


def open_database(folder: Path, setting: str = "", *, adopt: bool = False) -> Database:
    """The database of the archive in a folder, made when there is none yet.

    `setting` is the URL of a PostgreSQL database; the folder notes it, without a password, so that
    it need not be given again. Without one, that of the environment counts, but for an archive that
    has its articles in the folder. Such a database belongs to one folder, which has its indexes;
    with `adopt`, this one becomes it, and its indexes must be made. Raises `ArchiveError`.
    """
    url = setting or from_environment()
    noted = _noted(folder)
    is_file = noted is None and (folder / FILE_NAME).exists()
    if (noted is None and not url) or (is_file and not setting):
        return LedgerFile(folder / FILE_NAME)
    if is_file:
        raise ArchiveError(
            f"the archive in {folder} has its articles in {FILE_NAME}; bring them to "
            f"{without_password(url)} with: newsrag move --archive {folder} --database URL"
        )
    database = PostgresDatabase(url or (noted or {})["url"])
    try:
        _claim(database, folder, adopt=adopt)
    except BaseException:
        database.close()
        raise
    return database


def _claim(database: PostgresDatabase, folder: Path, *, adopt: bool) -> None:
    """See that the database and the folder belong together; a new one is noted."""
    owner, place = database.owner()
    noted = _noted(folder)  # after the look at the owner: another process may be making it
    if noted is not None and noted["id"] == owner:
        if noted["url"] != database.place:
            _note(folder, database, owner)
        return
    if adopt and not owner and noted is None:
        raise ArchiveError(f"there is no archive in {database.place}")
    if adopt and owner:
        mine = uuid4().hex
        _note(folder, database, mine)
        database.own(mine, _place(folder), owner)
        return
    if not owner:
        mine = noted["id"] if noted else _id(folder)
        _note(folder, database, mine)
        if database.own(mine, _place(folder)) or database.owner()[0] == mine:
            return
        (folder / NOTE).unlink(missing_ok=True)
    raise ArchiveError(
        f"the indexes of {database.place} are those in {place or 'another folder'}; to have them "
        f"here instead: newsrag repair --archive {folder} --database {database.place}"
    )


def move(folder: Path, setting: str) -> None:
    """Bring the articles of an archive from its SQLite file to an empty PostgreSQL database.

    Hold the archive's write lock, and open it anew afterwards. Killed at any moment, the archive is
    in the one or in the other, whole. Raises `ArchiveError`.
    """
    url = setting or from_environment()
    if _noted(folder) is not None:
        raise ArchiveError(f"the archive in {folder} has its articles in PostgreSQL already")
    if not url:
        raise ArchiveError("say where to move it: --database postgresql://USER@HOST:PORT/NAME")
    with closing(PostgresDatabase(url)) as database:
        mine = _id(folder)
        owner, place = database.owner()
        if owner not in {"", mine}:  # its own, where an earlier move was killed
            raise ArchiveError(f"{database.place} already has the archive in {place}")
        database.fill_from(folder / FILE_NAME, mine, _place(folder))
        with closing(LedgerFile(folder / FILE_NAME)) as before, before.transaction() as db:
            # Whoever has the file open, or waits to write to it, is told.
            db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", (MOVED, "1"))
        _note(folder, database, mine)
    for name in (FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        (folder / name).unlink(missing_ok=True)


def _noted(folder: Path) -> dict[str, str] | None:
    try:
        values = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return {"url": str(values["url"]), "id": str(values["id"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{folder / NOTE} cannot be read: {error}") from error


def _note(folder: Path, database: PostgresDatabase, mine: str) -> None:
    partial = folder / f"{NOTE}.partial"
    try:
        partial.write_text(json.dumps({"url": database.place, "id": mine}), encoding="utf-8")
        partial.replace(folder / NOTE)
    except OSError as error:
        raise ArchiveError(f"{folder / NOTE} cannot be written: {error.strerror}") from error


def _id(folder: Path) -> str:
    """The same for all processes that make this archive at once."""
    return uuid5(NAMESPACE_URL, _place(folder)).hex


def _place(folder: Path) -> str:
    return f"{folder.resolve()} on {platform.node()}"
