"""A receiver of alerts to measure with: it notes when a conversation's first alert came, and can fall ill.

It shares the machine with the worker, so it does no more than a webhook needs: requests with a length, one
after another on connections that stay open. A server for everybody takes several times as long for each.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+) *\r\n", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class _Alert(msgspec.Struct):
    conversation_id: str


class _Webhook(msgspec.Struct):
    """What is read of a webhook's body."""

    data: _Alert


_WEBHOOK: Final = msgspec.json.Decoder(_Webhook)


class Receiver:
    """Takes webhooks on one port of this machine."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.requests = 0
        self.connections: set[asyncio.Transport] = set()
        self._well = True
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._server: asyncio.Server | None = None
        self._port = 0

    def take(self, connection: asyncio.Transport, body: bytes) -> None:
        """Answer 200 and note the time; not before it is well."""
        if not self._well:
            self._waiting.append((connection, body))
            return
        self.requests += 1
        self.came.setdefault(_WEBHOOK.decode(body).data.conversation_id, time.monotonic())
        if not connection.is_closing():
            connection.write(_OK)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen on a free port; yield the address."""
        await self._open()
        try:
            yield f"http://127.0.0.1:{self._port}/hook"
        finally:
            await self._close()

    async def hang(self) -> None:
        """Take requests and answer none."""
        self._well = False

    async def refuse(self) -> None:
        """Listen no more: whoever connects is refused."""
        await self._close()

    async def heal(self) -> None:
        """Answer again, what hangs too, at the same address."""
        self._well = True
        waiting, self._waiting = self._waiting, []
        for connection, body in waiting:
            self.take(connection, body)
        if self._server is None:
            await self._open()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", self._port, reuse_address=True
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._waiting.clear()
            for connection in tuple(self.connections):
                connection.close()
            await server.wait_closed()


class _Connection(asyncio.Protocol):
    """One connection: gives each request's body to the receiver."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver.connections.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._receiver.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (body := self._body()) is not None:
            self._receiver.take(self._transport, body)

    def _body(self) -> bytes | None:
        """Return the next request's body, None where it is not there yet; no length is no request for us."""
        end = self._read.find(_END)
        if end < 0:
            return None
        length = _LENGTH.search(self._read, 0, end + 2)
        if length is None:
            self._transport.abort()
            return None
        begins = end + len(_END)
        ends = begins + int(length[1])
        if len(self._read) < ends:
            return None
        body = bytes(self._read[begins:ends])
        del self._read[:ends]
        return body
