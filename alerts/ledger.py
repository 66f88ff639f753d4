"""The durable list of notifications: what a store must promise, and the one kept in memory.

Any store must pass `alerts.testing.LedgerContract`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from alerts.model import AlertStatus, Notification, Outcome


class LedgerStore(Protocol):
    """Where notifications outlive the process.

    Calls may overlap: receivers work side by side. Each method may raise what its medium raises; the
    dispatcher then treats the call as not having happened and repeats it, so all writes are whole
    records under a fixed key. Final entries are kept at least as long as the longest retry horizon
    after they became final (default 24 h), so that a replayed alert is recognised; a store forgets
    older ones by itself.
    """

    async def put(self, entries: Sequence[Notification]) -> None:
        """Write the entries, all or none, each replacing the one with its `notification_id`.

        Durable when it returns: they survive kill -9 and, where the medium can, loss of power.
        """
        ...

    async def load_open(self) -> list[Notification]:
        """Every entry whose outcome is `pending`, in any order. Called once, before anything else."""
        ...

    async def seen(self, notification_ids: Sequence[str]) -> dict[str, Outcome]:
        """The outcome of each of the ids that the ledger knows; unknown ids are left out."""
        ...

    async def told(self, alert_id: str, receiver: str) -> bool:
        """Whether a `firing` notification of this alert to this receiver was `delivered`."""
        ...


class MemoryLedger:
    """A ledger that forgets with the process: for tests and for `replay`."""

    def __init__(self, entries: Iterable[Notification] = ()) -> None:
        self.entries: dict[str, Notification] = {}
        self._told: set[tuple[str, str]] = set()
        for entry in entries:
            self._keep(entry)

    async def put(self, entries: Sequence[Notification]) -> None:
        """Keep the entries."""
        for entry in entries:
            self._keep(entry)

    async def load_open(self) -> list[Notification]:
        """Every pending entry, in the order first written."""
        return [entry for entry in self.entries.values() if entry.open]

    async def seen(self, notification_ids: Sequence[str]) -> dict[str, Outcome]:
        """The outcome of each known id."""
        return {id_: self.entries[id_].outcome for id_ in notification_ids if id_ in self.entries}

    async def told(self, alert_id: str, receiver: str) -> bool:
        """Whether this receiver was told that this alert fires."""
        return (alert_id, receiver) in self._told

    def _keep(self, entry: Notification) -> None:
        self.entries[entry.notification_id] = entry
        if entry.status is AlertStatus.FIRING and entry.outcome is Outcome.DELIVERED:
            self._told.add((entry.alert_id, entry.receiver))
