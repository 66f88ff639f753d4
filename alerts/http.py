"""The one place that speaks HTTP: a POST, its answer, and every way in which there is none.

No redirects, no cookies, no proxies from the environment, no decompression: what is sent goes to
the address that the guard has judged, and an answer cannot cost more than a few kilobytes.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from alerts.config import ReceiverConfig
from alerts.model import Notification, Reason
from alerts.net import AllowPrivate, may_connect
from alerts.receivers.base import Receiver, url_of
from alerts.retry import Answer, Verdict

ANSWER_LIMIT = 64 * 1024
"""Bytes of an answer that are read. Platforms answer in a hundred; an error page may be longer."""

KEEPALIVE_S = 15.0
"""Shorter than the idle time after which common proxies close a connection under our hands (60 s)."""

DNS_TTL_S = 30
"""How long a name's addresses are reused; each is judged at each connection all the same."""


class AddressRefusedError(OSError):
    """The address about to be connected to is private and nobody allowed it."""

    def __init__(self) -> None:
        # No address in the text: aiohttp joins differing texts into one anonymous OSError.
        super().__init__(errno.EACCES, "destination address refused")


class HttpSender:
    """Sends the notifications of one receiver, with connections of its own.

    To be made inside a running event loop; `close` it there. `resolver` replaces the system's.
    """

    def __init__(
        self, config: ReceiverConfig, receiver: Receiver, resolver: AbstractResolver | None = None
    ) -> None:
        self._receiver = receiver
        self._allow = config.allow_private.for_host(URL(url_of(config)).host or "")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=config.max_in_flight,
                resolver=resolver,
                ttl_dns_cache=DNS_TTL_S,
                keepalive_timeout=KEEPALIVE_S,
                socket_factory=lambda info: _guarded_socket(info, self._allow),
            ),
            timeout=aiohttp.ClientTimeout(total=config.timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": _user_agent()},
            auto_decompress=False,
            trust_env=False,
        )

    async def send(self, notification: Notification, now_ms: int) -> Verdict:
        """One attempt. Whatever the network does becomes a verdict; no secret is in it."""
        request = self._receiver.payload(notification, now_ms)
        try:
            async with self._session.post(
                # Encoded as it is: a second quoting would spoil a signature in the query.
                URL(request.url, encoded=True),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
            ) as response:
                return self._receiver.judge(response.status, response.headers, await _read(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _unanswered(error)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _guarded_socket(info: aiohttp.AddrInfoType, allow: AllowPrivate) -> socket.socket:
    """A socket for one address, made right before connecting to exactly that address.

    Here, and not in a resolver: literal addresses never see a resolver, and a name may lead
    elsewhere at the second lookup.
    """
    family, kind, protocol, _, address = info
    if not may_connect(str(address[0]), allow):
        raise AddressRefusedError
    return socket.socket(family, kind, protocol)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body; what came before it broke off, if it did.

    Once a status has arrived the receiver has had the message, so a broken body is for it to judge.
    """
    body = bytearray()
    try:
        while len(body) < ANSWER_LIMIT:
            chunk = await response.content.read(ANSWER_LIMIT - len(body))
            if not chunk:
                return bytes(body)
            body += chunk
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    # Unread or broken: this connection must not serve another request.
    response.close()
    return bytes(body)


def _unanswered(error: Exception) -> Verdict:
    """Why there was no answer, as a verdict. Nothing of the error's text is kept: it names the URL."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefusedError):
        return Verdict(Answer.PERMANENT, Reason.ADDRESS_REFUSED)
    for kinds, reason in _UNREACHABLE.items():
        if isinstance(error, kinds):
            return Verdict(Answer.UNREACHABLE, reason)
    if isinstance(error, ValueError):  # aiohttp.InvalidURL is one
        return Verdict(Answer.PERMANENT, Reason.INVALID_URL)
    return Verdict(Answer.UNREACHABLE, Reason.DISCONNECTED)


_UNREACHABLE: Mapping[tuple[type[Exception], ...], Reason] = {
    (TimeoutError, asyncio.TimeoutError, aiohttp.ServerTimeoutError): Reason.TIMEOUT,
    (aiohttp.ClientConnectorDNSError,): Reason.DNS,
    (aiohttp.ClientSSLError,): Reason.TLS,
    (aiohttp.ClientConnectorError,): Reason.CONNECT,
    (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError): Reason.DISCONNECTED,
}
"""In this order: some of these are subclasses of later ones."""


def _user_agent() -> str:
    try:
        return f"yanshao/{version('yanshao')}"
    except PackageNotFoundError:
        return "yanshao"
