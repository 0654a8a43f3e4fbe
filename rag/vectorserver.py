"""Chroma servers that hold the vectors of archives: a collection for each edition of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag.errors import ArchiveError, ArchiveUnreachableError

if TYPE_CHECKING:
    import httpx
    from chromadb.api import ClientAPI

ARCHIVE_ID = "archive_id"
"""What the ledger calls the name that tells this archive from all others."""

STORE_PREFIX = "store_"

_VERSION = "1."
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 300.0
"""How long one answer may take: a server flushes its graph while a batch waits."""


@dataclass(frozen=True, slots=True)
class Place:
    """A collection on the server at a URL."""

    url: str
    collection: str


def store_key(edition: int) -> str:
    """What the ledger calls the URL of the server that has an edition's vectors."""
    return f"{STORE_PREFIX}{edition}"


def place_of(meta: Mapping[str, str], edition: int) -> Place | None:
    """Where an edition has its vectors, as the ledger says; None for a folder of the archive."""
    url = meta.get(store_key(edition))
    return Place(url, f"newsrag-{meta[ARCHIVE_ID]}-{edition}") if url else None


def connect(url: str) -> ClientAPI:
    """A client of the server.

    Raises `ArchiveUnreachableError`, and `ArchiveError` for a server of another version or kind.
    """
    import chromadb
    import httpx
    from chromadb.config import Settings as ChromaSettings

    with failures(url):
        answer = httpx.get(f"{url.rstrip('/')}/api/v2/version", timeout=_CONNECT_SECONDS)
        version = _version(answer)
        if not version:
            raise ArchiveError(f"{url} does not answer as a Chroma server of version {_VERSION}x")
        if not version.startswith(_VERSION):
            raise ArchiveError(
                f"the Chroma server at {url} has version {version}, but {_VERSION}x is needed"
            )
        parts = httpx.URL(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        client = chromadb.HttpClient(
            host=parts.host,
            port=port,
            ssl=parts.scheme == "https",
            settings=ChromaSettings(anonymized_telemetry=False),
        )
        # The library would wait for ever, and has no setting for it.
        client._server._session.timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)  # type: ignore[attr-defined]
        return client


def close(client: ClientAPI) -> None:
    """Release a client's connections, which its own `close` leaves open."""
    known: Any = client
    for part in (known, known._admin_client):
        part._server._session.close()
    known.close()


def ping(url: str) -> None:
    """Raises as `connect` does."""
    close(connect(url))


def has_collection(place: Place) -> bool:
    """Whether the server has it. Raises as `connect` does."""
    from chromadb.errors import NotFoundError

    client = connect(place.url)
    try:
        with failures(place.url), suppress(NotFoundError):
            client.get_collection(place.collection, embedding_function=None)
            return True
        return False
    finally:
        close(client)


def drop_collection(place: Place) -> None:
    """Delete it from the server, if it is there. Raises as `connect` does."""
    from chromadb.errors import NotFoundError

    client = connect(place.url)
    try:
        with failures(place.url), suppress(NotFoundError):
            client.delete_collection(place.collection)
    finally:
        close(client)


@contextmanager
def failures(url: str) -> Iterator[None]:
    """Whatever goes wrong between here and the server, as one `ArchiveError`."""
    import httpx

    try:
        yield
    except ArchiveError:
        raise
    except httpx.TransportError as error:
        late = isinstance(error, httpx.TimeoutException)
        what = "takes too long to answer" if late else "cannot be reached"
        raise ArchiveUnreachableError(f"the Chroma server at {url} {what}") from error
    except Exception as error:  # the client has no class of its own for what a server answers
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ArchiveError(f"the Chroma server at {url} refuses: {reason}") from error


def _version(answer: httpx.Response) -> str:
    """The version in a server's answer; empty where there is none."""
    with suppress(ValueError):
        if answer.is_success and isinstance(found := answer.json(), str):
            return found
    return ""
