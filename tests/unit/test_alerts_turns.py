"""What the dispatcher costs between two notifications: the loop's turns, which are long where it is busy."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from alerts.config import AlertsConfig, ReceiverConfig, ReceiverType, Secret
from alerts.dispatcher import Dispatcher
from alerts.ledger import MemoryLedger
from alerts.metrics import NoMetrics
from alerts.model import Notification
from alerts.retry import ACCEPTED, Verdict
from alerts.testing import ManualClock, sample_alert, sample_notification


class Turns:
    """A sender that notes in which turn of the loop it was called."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.turn = 0

    async def send(self, _: Notification, __: int) -> Verdict:
        self.sent.append(self.turn)
        return ACCEPTED

    async def close(self) -> None:
        pass

    async def count(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


@pytest.fixture
def sender() -> Turns:
    return Turns()


def dispatcher(sender: Turns) -> Dispatcher:
    hook = ReceiverConfig("hook", ReceiverType.WEBHOOK, Secret("https://x"), max_in_flight=1)
    return Dispatcher(
        AlertsConfig({"hook": hook}),
        MemoryLedger(),
        {"hook": sender},
        clock=ManualClock(),
        metrics=NoMetrics(),
        rng=Random(1),
    )


def entries(count: int) -> list[Notification]:
    return [sample_notification(sample_alert(f"c-{number}")) for number in range(count)]


async def test_the_next_notification_follows_in_the_third_turn_after_a_slot_is_free(sender: Turns) -> None:
    """The end of the one before, the lane, the sending: a turn each."""
    delivery = dispatcher(sender)
    counting = asyncio.create_task(sender.count())
    await delivery.accept(entries(20))
    await delivery.idle()
    counting.cancel()
    between = [later - earlier for earlier, later in zip(sender.sent, sender.sent[1:], strict=False)]
    assert max(between) <= 3
    await delivery.stop(1)


async def test_a_lane_without_work_has_one_task_and_none_beside_it(sender: Turns) -> None:
    delivery = dispatcher(sender)
    await delivery.accept(entries(1))
    await delivery.idle()
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task.get_name() for task in others] == ["alerts to hook"]
    await delivery.stop(1)
