"""The delivery ledger of the embedded runtime: in its one file, within its transactions."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.model import Notification, Outcome
from stream.runtime.local import LocalRuntime


class LocalLedger:
    """The dispatcher's ledger in the runtime's own store (``alerts.ledger.LedgerStore``)."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self._runtime = runtime

    async def put(self, entries: Sequence[Notification]) -> None:
        """Write entries; durable when it returns."""
        await self._runtime.write(lambda store: store.put_notifications(entries))

    async def load_open(self) -> list[Notification]:
        """Return every pending entry."""
        found: list[Notification] = await self._runtime.write(lambda store: store.open_notifications())
        return found

    async def seen(self, notification_ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcome of each known id."""
        found: dict[str, Outcome] = await self._runtime.write(lambda store: store.seen(notification_ids))
        return found

    async def told(self, alert_id: str, receiver: str) -> bool:
        """Return whether this receiver was told that this alert fires."""
        found: bool = await self._runtime.write(lambda store: store.told(alert_id, receiver))
        return found
