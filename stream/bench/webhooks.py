"""A receiver of alerts to measure with: it notes when a conversation's first alert came, and can fall ill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web


class Receiver:
    """Takes webhooks on one port of this machine."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.requests = 0
        self._well = asyncio.Event()
        self._well.set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def take(self, request: web.Request) -> web.Response:
        """Answer 200 and note the time; not before it is well."""
        body = await request.read()
        await self._well.wait()
        now = time.monotonic()
        self.requests += 1
        self.came.setdefault(msgspec.json.decode(body)["data"]["conversation_id"], now)
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen on a free port; yield the address."""
        await self._open()
        try:
            yield f"http://127.0.0.1:{self._port}/hook"
        finally:
            self._well.set()
            await self._close()

    async def hang(self) -> None:
        """Take requests and answer none."""
        self._well.clear()

    async def refuse(self) -> None:
        """Listen no more: whoever connects is refused."""
        await self._close()

    async def heal(self) -> None:
        """Answer again, what hangs too, at the same address."""
        self._well.set()
        if self._runner is None:
            await self._open()

    async def _open(self) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/hook", self.take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
