"""The load that isolation and latency are measured with, and its receiver that can fall ill."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
import pytest

from stream.bench import isolation, latency
from stream.bench.flow import COMPLAINTS, EVERYWHERE, HOT, Flow, Phase, arrived, latencies
from stream.bench.installation import partition_of
from stream.bench.openloop import Latencies
from stream.bench.webhooks import Receiver
from stream.bench.workload import Model

DAY = [
    Model("customer", "你好，请问有货吗？", False),
    Model("customer", "怎么还不发货，我等了三天了！", True),
    Model("agent", "亲，有货的，今天下单明天发。", False),
    Model("agent", "催什么催。", True),
]


class Topic:
    """Takes what is sent; a producer that needs no broker."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.events: list[dict[str, Any]] = []

    async def send(self, _topic: str, raw: bytes, *, key: bytes, partition: int) -> asyncio.Future[None]:
        assert partition == partition_of(key.decode())
        self.keys.append(key.decode())
        self.events.append(msgspec.json.decode(raw))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


async def _sent(phase: Phase) -> tuple[Topic, dict[str, float]]:
    topic = Topic()
    flow = Flow(SimpleNamespace(day=DAY), topic, "t", 5_000)  # type: ignore[arg-type]
    return topic, await flow.send(phase)


async def test_a_tenth_of_all_messages_is_in_the_hot_conversation_and_twenty_a_second_are_timed() -> None:
    phase = Phase("p", 1_000, 0.5, hot=0.1)
    topic, planned = await _sent(phase)
    assert len(topic.keys) == phase.total == 500
    assert Counter(topic.keys)[HOT] == 50
    assert len(planned) == COMPLAINTS * 0.5
    assert HOT not in planned
    assert set(planned) <= set(topic.keys)


async def test_every_message_has_an_id_of_its_own_and_the_time_planned_for_it() -> None:
    topic, planned = await _sent(Phase("p", 1_000, 0.3, hot=0.1))
    ids = [one["message_id"] for one in topic.events if one["type"] == "message"]
    assert len(set(ids)) == len(ids)
    at = {one["conversation_id"]: one["sent_at"] for one in topic.events if one["type"] == "message"}
    moments = [(moment, at[name]) for name, moment in planned.items()]
    (first, first_at), (last, last_at) = min(moments), max(moments)
    assert last_at - first_at == pytest.approx(1_000 * (last - first), abs=2)


async def test_a_partition_can_be_left_alone() -> None:
    topic, _ = await _sent(Phase("p", 1_000, 0.3, places=EVERYWHERE - {0}))
    assert {partition_of(key) for key in topic.keys} == EVERYWHERE - {0}


async def test_a_receiver_hangs_refuses_and_is_well_again_at_the_same_address() -> None:
    receiver = Receiver()
    body = msgspec.json.encode({"data": {"conversation_id": "c"}})
    async with receiver.listening() as url, aiohttp.ClientSession() as client:
        await receiver.hang()
        waiting = asyncio.create_task(client.post(url, data=body))
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
        assert receiver.requests == 0
        await receiver.heal()
        assert (await waiting).status == 200
        await receiver.refuse()
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post(url, data=body)
        await receiver.heal()
        assert (await client.post(url, data=body)).status == 200
        await arrived(receiver, {"c": 0.0})
        assert (receiver.requests, list(receiver.came)) == (2, ["c"])


def test_what_never_came_is_missing_from_the_latencies() -> None:
    receiver = Receiver()
    receiver.came = {"a": 12.5}
    assert latencies(receiver, {"a": 12.0, "b": 13.0}) == Latencies((0.5,), 1)


def test_isolation_is_the_others_99th_percentile_with_it_over_that_without() -> None:
    calm = [
        Latencies(tuple(n / 1000 for n in range(1, 51))),
        Latencies(tuple(n / 1000 for n in range(51, 101))),
    ]
    worse = [Latencies(tuple(3 * n / 1000 for n in range(1, 101)))]
    row = isolation.ratio(isolation.HOT, calm, worse)
    assert row.value == pytest.approx(3.0)
    assert row.held is False
    assert "p99 297 ms beside 99 without" in row.how


def test_one_alert_that_never_came_in_a_short_stretch_is_a_missed_figure() -> None:
    row = isolation.ratio(isolation.HOT, [Latencies((0.1,) * 50)], [Latencies((0.1,) * 49, 1)])
    assert row.held is False


def test_a_load_that_is_too_much_by_itself_judges_nothing() -> None:
    lost = [Latencies((0.1,) * 49, 1)]
    row = isolation.ratio(isolation.HOT, lost, lost)
    assert (row.value, row.held) == (None, None)
    assert "too much already" in row.why


def test_the_names_of_a_thousand_a_second_are_those_they_always_were() -> None:
    names = [figure.name for figure in latency.FIGURES]
    assert {"latency.p50", "latency.p99", "latency.max"} < set(names)
    assert [figure.name for figure in latency.FIGURES if figure.budget] == ["latency.p99"]
