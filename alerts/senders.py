"""What the dispatcher sends through: one sender a receiver, opened and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from aiohttp.abc import AbstractResolver
from rich.console import Console

from alerts.config import AlertsConfig, ReceiverConfig, ReceiverType
from alerts.http import HttpSender
from alerts.model import Notification
from alerts.receivers import RECEIVERS
from alerts.receivers.console import ConsoleSender
from alerts.retry import Verdict


class Sender(Protocol):
    """Makes one attempt and says what came of it."""

    async def send(self, notification: Notification, now_ms: int) -> Verdict:
        """One attempt, bounded in time. May be cancelled. Raises only for faults of our own."""
        ...

    async def close(self) -> None:
        """Release what the sender holds."""
        ...


def open_senders(
    config: AlertsConfig, *, console: Console | None = None, resolver: AbstractResolver | None = None
) -> dict[str, Sender]:
    """A sender for each configured receiver, by name. Must be called inside a running event loop."""

    def opened(receiver: ReceiverConfig) -> Sender:
        if receiver.type is ReceiverType.CONSOLE:
            return ConsoleSender(config.zone, console)
        return HttpSender(receiver, RECEIVERS[receiver.type](receiver, config.zone), resolver)

    return {name: opened(receiver) for name, receiver in config.receivers.items()}


async def close_senders(senders: Iterable[Sender]) -> None:
    """Close them all, even if closing one fails."""
    await asyncio.gather(*(sender.close() for sender in senders), return_exceptions=True)
