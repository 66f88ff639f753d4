"""An alert's notifications leave with the alert where its worker may route it, and are not made again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from alerts import policy
from alerts.config import AlertsConfig
from alerts.model import Alert, Notification
from alerts.testing import sample_alert
from stream.runtime.conversations import Applied
from stream.runtime.kafka import outputs
from stream.runtime.kafka.feed import RecordBatch
from stream.runtime.kafka.inbox import Fed, Inbox
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.planning import AlertProcessor
from stream.runtime.kafka.publisher import Confirmation, Row

NAMES = Names()
CONFIG = AlertsConfig(receivers={}, routes=(), default_receivers=("hook", "robot"))


class Written:
    """A publisher that keeps what it is given; all of it is confirmed."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}

    async def send(self, topic: str, _: int, rows: Iterable[Row]) -> list[Confirmation]:
        self.rows.setdefault(topic, []).extend(rows)
        return [confirmed()]

    async def send_singly(
        self, topic: str, rows: Iterable[Row], partition: int | None = None
    ) -> list[Confirmation]:
        return await self.send(topic, partition or 0, rows)

    def notifications(self) -> list[Notification]:
        return [
            msgspec.json.decode(row.value or b"", type=Notification)
            for topic, rows in self.rows.items()
            if NAMES.receiver(topic) is not None
            for row in rows
        ]


def confirmed() -> Confirmation:
    future = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def route(alert: Alert) -> Sequence[Notification]:
    return policy.plan(CONFIG, alert).notifications


async def told(alert: Alert, route: outputs.Route | None) -> Written:
    written = Written()
    applied = Applied(records=[alert])
    await outputs.tell(written, NAMES, 3, applied, UTC, 4, route)  # type: ignore[arg-type]
    return written


async def planned(rows: Sequence[Row]) -> Written:
    """What the alert processor makes of records of `qa.alerts`."""
    written = Written()
    inbox = Inbox(lambda _: None, lambda _: None)
    processor = AlertProcessor(
        NAMES,
        written,  # type: ignore[arg-type]
        lambda: CONFIG,
        inbox,
        poison_limit=1,
        dead=lambda _: None,
    )
    acknowledged = asyncio.Event()
    records: list[Any] = [
        SimpleNamespace(offset=place, key=row.key, value=row.value, headers=row.headers)
        for place, row in enumerate(rows)
    ]
    event = SimpleNamespace(value=RecordBatch(NAMES.alerts, 3, records), ack=acknowledged.set)
    processor.resume()
    await inbox.put(Fed(event))
    task = asyncio.create_task(processor.run())
    await acknowledged.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return written


@pytest.fixture
def alert() -> Alert:
    return sample_alert()


async def test_a_worker_that_may_route_writes_notifications_beside_the_alert(alert: Alert) -> None:
    written = await told(alert, route)
    assert [one.receiver for one in written.notifications()] == ["hook", "robot"]
    assert [row.key for row in written.rows[NAMES.alerts]] == [alert.conversation_id.encode()]


async def test_what_was_routed_is_not_routed_again(alert: Alert) -> None:
    written = await told(alert, route)
    assert (await planned(written.rows[NAMES.alerts])).rows == {}


async def test_an_alert_of_a_worker_that_may_not_route_is_routed_by_one_that_may(alert: Alert) -> None:
    written = await told(alert, None)
    assert written.notifications() == []
    assert [one.receiver for one in (await planned(written.rows[NAMES.alerts])).notifications()] == [
        "hook",
        "robot",
    ]


async def test_both_ways_make_the_same_notifications(alert: Alert) -> None:
    """A release that knows one way only may share the work with one that knows both: ids are the same."""
    directly = (await told(alert, route)).notifications()
    by_record = (await planned((await told(alert, None)).rows[NAMES.alerts])).notifications()
    assert directly == by_record
