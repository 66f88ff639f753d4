"""The alert processor: who is told of each alert, as records of the receivers' own topics.

A worker that finds alerts and may route them does so at once (`outputs`) and marks them; here are those of
workers that may not, and of other programs. No state is kept: an alert gives the same notifications with
the same ids, so reading one again after a crash is harmless; the ledger knows them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from alerts import policy
from alerts.config import AlertsConfig
from stream import wire
from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.outputs import is_routed, notification_row
from stream.runtime.kafka.publisher import Confirmation, Publisher, Row, confirm
from stream.runtime.kafka.versions import refuse_newer
from stream.wire import InvalidMessage, Reason

logger = logging.getLogger(__name__)

BATCH_RECORDS = 500
"""Alerts planned together: they are far fewer than messages, and one round trip serves them all."""


class AlertProcessor:
    """Reads `qa.alerts`, writes `qa.notify.<receiver>`; acknowledges what is confirmed."""

    name = "alerts to plan"

    def __init__(
        self,
        names: Names,
        publisher: Publisher,
        config: Callable[[], AlertsConfig],
        inbox: Inbox,
        *,
        poison_limit: int,
        dead: Callable[[Reason], None],
    ) -> None:
        self.inbox = inbox
        self._names = names
        self._publisher = publisher
        self._config = config
        self._poison_limit = poison_limit
        self._poison = 0
        self._dead = dead
        self._open = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def resume(self) -> None:
        """Take alerts (again)."""
        self.inbox.moving = True
        self._open.set()

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing more and finish what is under way; whether that was possible in time."""
        self._open.clear()
        self.inbox.moving = False
        self.inbox.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Process for ever.

        Raises:
            WorkerExit: The broker does not confirm, or too many records in a row are no alerts.
        """
        while True:
            await self._open.wait()
            await self.inbox.arrival()
            fed = self.inbox.take(BATCH_RECORDS) if self._open.is_set() else []
            if not fed:
                continue
            self._quiet.clear()
            await confirm(await self._plan(fed))
            for one in fed:
                one.acknowledge()
            self._quiet.set()

    async def _plan(self, fed: Sequence[Fed]) -> list[Confirmation]:
        config = self._config()
        rows: dict[str, list[Row]] = {}
        confirmations: list[Confirmation] = []
        for one in fed:
            for record in one.batch.records:
                refuse_newer(record, one.batch.topic)
                if is_routed(record.headers):
                    continue
                try:
                    alert = wire.read_alert(record.value or b"")
                except InvalidMessage as problem:
                    confirmations.append(await self._bury(one, record, problem))
                    continue
                self._poison = 0
                for notification in policy.plan(config, alert).notifications:
                    topic = self._names.notify(notification.receiver)
                    rows.setdefault(topic, []).append(notification_row(notification))
        for topic, batch in rows.items():
            confirmations += await self._publisher.send(topic, 0, batch)
        return confirmations

    async def _bury(self, fed: Fed, record: object, problem: InvalidMessage) -> Confirmation:
        self._poison += 1
        batch = fed.batch
        if self._poison > self._poison_limit:
            raise WorkerExit(Exit.POISON, f"{self._poison} records in a row of {batch.topic} are no alerts")
        self._dead(problem.reason)
        return await self._publisher.dead_letter(
            record,  # type: ignore[arg-type]  # a feed.Record
            batch.topic,
            batch.partition,
            problem.reason,
            [("detail", problem.detail.encode())],
        )
