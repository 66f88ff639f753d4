"""The receiver of the alerts, and the account of them: what the core expects beside what came."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from alerts.model import AlertStatus
from stream.runtime.clock import WallClock

SETTLED: Final = 30_000
"""Alerts that are remembered after both sides named them, for those that are told again at a higher step:
those of ten minutes at fifty a second. A chat lasts as long, and the warm-up longer."""


@dataclass(slots=True)
class _Early:
    at: int
    over: bool = False


@dataclass
class Accounts:
    """Alerts by id. What both sides named is counted and forgotten before long: it does not grow."""

    expected: dict[str, int] = field(default_factory=dict)
    """Named by the core and not received, with when they began (epoch milliseconds)."""
    matched: int = 0
    _early: dict[str, _Early] = field(default_factory=dict)
    _settled: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def expect(self, alert_id: str, at: int) -> None:
        """The core says that this alert fires."""
        if alert_id in self._settled:
            return
        if self._early.pop(alert_id, None) is None:
            self.expected.setdefault(alert_id, at)
        else:
            self._settle(alert_id)

    def receive(self, alert_id: str, at: int, *, firing: bool) -> None:
        """The receiver was told."""
        if alert_id in self._settled:
            return
        if not firing:
            if alert_id in self._early:
                self._early[alert_id].over = True
        elif self.expected.pop(alert_id, None) is None:
            self._early.setdefault(alert_id, _Early(at))
        else:
            self._settle(alert_id)

    def missing(self) -> list[str]:
        """Return what the core named and nobody was told of."""
        return sorted(self.expected)

    def unfounded(self, until: int) -> list[str]:
        """Return what was told, began before ``until``, goes on, and the core did not name.

        What was told too soon and taken back has ended: a clock may speak before an answer is read.
        """
        return sorted(name for name, one in self._early.items() if one.at < until and not one.over)

    def taken_back(self, until: int) -> int:
        """Return how many were told too soon and have ended."""
        return sum(one.at < until and one.over for one in self._early.values())

    def _settle(self, alert_id: str) -> None:
        self.matched += 1
        self._settled[alert_id] = None
        if len(self._settled) > SETTLED:
            self._settled.popitem(last=False)


class Receiver:
    """Answers webhooks with 200, hands them to the accounts, and knows how late they were."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.requests = 0
        self._late: list[float] = []

    def take_lateness(self) -> list[float]:
        """Return how many seconds after its moment each alert came, of those since the last call."""
        late, self._late = self._late, []
        return late

    async def take(self, request: web.Request) -> web.Response:
        """Take one."""
        data: dict[str, Any] = msgspec.json.decode(await request.read())["data"]
        self.requests += 1
        firing = data["status"] == AlertStatus.FIRING
        began = datetime.fromisoformat(data["starts_at"]).timestamp() * 1000
        self._accounts.receive(data["alert_id"], round(began), firing=firing)
        if firing:
            at = datetime.fromisoformat(data["at"]).timestamp()
            self._late.append(WallClock().now_ms() / 1000 - at)
        return web.Response()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen on a free port of this machine; yield the address."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/hook", self.take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        finally:
            await runner.cleanup()
