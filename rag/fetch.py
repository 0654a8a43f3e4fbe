"""One page from the web, and nothing that is not on the web.

An address comes from outside, and what it leads to may be chosen to reach a service on this
machine or in its network. So the name is resolved once, what it resolves to is checked, and the
connection goes to that checked address, at every redirect anew; proxies are passed by.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.errors import SourceError

if TYPE_CHECKING:
    import httpx

MAX_CHARACTERS = 2000
MAX_BYTES = 10 * 1024 * 1024
MAX_SECONDS = 20.0
MAX_REDIRECTS = 5
_CONNECT_SECONDS = 5.0
"""For one address; a host may have another one that can be reached."""

AGENT = "newsrag"
"""The name under which sites know this program, also in their robots.txt."""

_KINDS = {"text/html": True, "application/xhtml+xml": True, "text/plain": False}
_FEED_KINDS = {
    "application/rss+xml",
    "application/atom+xml",
    "application/rdf+xml",
    "application/xml",
    "text/xml",
}
_HEADERS = {"User-Agent": AGENT, "Accept": ", ".join((*_KINDS, *sorted(_FEED_KINDS)))}
_UNCHANGED = 304
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Page:
    """What stood at an address. `url` is where the redirects ended, without a fragment.

    `is_xml` says that it is told to be XML, as feeds are. `etag` and `modified` are what tells this
    version from a later one, as the server gave it.
    """

    url: str
    data: bytes
    is_html: bool
    charset: str | None
    is_xml: bool = False
    etag: str = ""
    modified: str = ""


class StatusError(SourceError):
    """The server answered with a status that is no success."""

    def __init__(self, place: str, reason: str, status: int) -> None:
        super().__init__(place, reason)
        self.status = status


def is_url(text: str) -> bool:
    """Whether a text is meant as the address of a page."""
    return text.lower().startswith(("http://", "https://"))


def fetch(url: str, *, allow_private: bool = False) -> Page:
    """Read one page of HTML, plain text or XML, in bounded time and space.

    Addresses of this machine and of private networks are refused unless `allow_private`. Raises
    `SourceError`, whose place is `url` in printable characters; `StatusError` for an answer that
    is no success.
    """
    page = fetch_if_changed(url, "", "", allow_private=allow_private)
    assert page is not None
    return page


def fetch_if_changed(
    url: str, etag: str, modified: str, *, allow_private: bool = False
) -> Page | None:
    """`fetch`, but None where the server says that the version of these two still stands."""
    place = "".join(c if c.isprintable() else "\ufffd" for c in url)
    if len(url) > MAX_CHARACTERS:
        raise SourceError(f"{place[:100]}…", f"is longer than {MAX_CHARACTERS:,} characters")
    known = {"If-None-Match": etag, "If-Modified-Since": modified}
    headers = {name: value for name, value in known.items() if value}
    # A thread of its own: the caller's may be running an event loop already.
    with ThreadPoolExecutor(1, thread_name_prefix="newsrag-fetch") as thread:
        try:
            return thread.submit(asyncio.run, _within_time(url, headers, allow_private)).result()
        except _RefusedError as refusal:
            if refusal.status == _UNCHANGED and headers:
                return None
            if refusal.status:
                raise StatusError(place, str(refusal), refusal.status) from refusal
            raise SourceError(place, str(refusal)) from refusal


class _RefusedError(Exception):
    """Why a page is not read, as the end of a sentence that starts with its address."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


async def _within_time(url: str, headers: dict[str, str], allow_private: bool) -> Page:
    import httpx

    try:
        async with asyncio.timeout(MAX_SECONDS), _client(allow_private) as client:
            return await _get(client, url, headers)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise _RefusedError("cannot be read: it takes too long to answer") from error
    except (httpx.InvalidURL, ValueError) as error:
        raise _RefusedError("is not a valid web address") from error
    except httpx.HTTPError as error:
        raise _RefusedError(f"cannot be read: {_first_line(error)}") from error


@asynccontextmanager
async def _client(allow_private: bool) -> AsyncIterator[httpx.AsyncClient]:
    """A client that connects to checked addresses only.

    It keeps no connection: one that was made for a name must not serve another name.
    """
    import httpx

    class Checked(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            url = request.url
            host = url.raw_host.decode("ascii")
            addresses = await _resolve(host, url.port or _PORTS[url.scheme])
            if not allow_private and not all(map(_is_public, addresses)):
                raise _RefusedError(
                    f"is refused: {host} is on this machine or in a private network"
                )
            for number, address in enumerate(addresses, 1):
                connected = httpx.Request(
                    request.method,
                    url.copy_with(host=str(address)),
                    headers=request.headers,  # with the name as the host
                    extensions={**request.extensions, "sni_hostname": host},
                )
                try:
                    return await super().handle_async_request(connected)
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if number == len(addresses):
                        raise
            raise AssertionError("a name resolves to at least one address")

    transport = Checked(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
    waits = httpx.Timeout(None, connect=_CONNECT_SECONDS)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=waits) as client:
        yield client


async def _get(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> Page:
    import httpx

    target = httpx.URL(url)
    _check_form(target)
    request = client.build_request("GET", target, headers=_HEADERS | headers)
    for _ in range(MAX_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        try:
            if response.next_request is None:
                return await _read(response)
            request = response.next_request
            _check_form(request.url)
        finally:
            await response.aclose()
    raise _RefusedError(f"redirects more than {MAX_REDIRECTS} times")


async def _read(response: httpx.Response) -> Page:
    if not response.is_success:
        status = response.status_code
        raise _RefusedError(f"answers with status {status}", status)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _KINDS and kind not in _FEED_KINDS:
        raise _RefusedError(f"is {kind or 'of an unnamed kind'}, not HTML or plain text")
    data = bytearray()
    async for part in response.aiter_bytes():
        data += part
        if len(data) > MAX_BYTES:
            raise _RefusedError(f"is larger than {MAX_BYTES:,} bytes")
    url = str(response.url.copy_with(fragment=None))
    return Page(
        url,
        bytes(data),
        is_html=_KINDS.get(kind, False),
        charset=response.charset_encoding,
        is_xml=kind in _FEED_KINDS,
        etag=response.headers.get("ETag", ""),
        modified=response.headers.get("Last-Modified", ""),
    )


def _check_form(url: httpx.URL) -> None:
    if url.scheme not in _PORTS:
        raise _RefusedError(f"is refused: it leads to an address of kind {url.scheme!r}, not http")
    if not url.host or not 0 < (url.port or _PORTS[url.scheme]) < 65536:
        raise _RefusedError("is not a valid web address")
    if url.userinfo:
        raise _RefusedError("is refused: it has a user name or a password in it")


async def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _RefusedError(f"cannot be read: there is no host {host}") from error
    return list(dict.fromkeys(ipaddress.ip_address(place[0]) for *_, place in found))


def _is_public(address: Address) -> bool:
    """Whether an address is of the public internet, as are all that it carries in itself."""
    if isinstance(address, ipaddress.IPv6Address):
        nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        wrapped = (address.ipv4_mapped, address.sixtofour, nat64, *(address.teredo or ()))
        if carried := [inner for inner in wrapped if inner is not None]:
            return all(map(_is_public, carried))
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _first_line(error: Exception) -> str:
    """What went wrong on one line: messages of the network libraries may be empty or long."""
    return " ".join(str(error).split())[:200] or type(error).__name__
