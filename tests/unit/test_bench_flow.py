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
from stream.bench.flow import COMPLAINTS, CONCURRENT, EVERYWHERE, HOT, Flow, Phase, arrived, latencies
from stream.bench.installation import partition_of
from stream.bench.openloop import Latencies
from stream.bench.webhooks import Receiver
from stream.bench.workload import Model, Pace, traffic

DAY = [
    Model("customer", "你好，请问有货吗？", False),
    Model("customer", "怎么还不发货，我等了三天了！", True),
    Model("agent", "亲，有货的，今天下单明天发。", False),
    Model("agent", "催什么催。", True),
]


class Batch:
    """Records for one partition; three of them are a full one."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, bytes]] = []

    def append(self, *, key: bytes, value: bytes, timestamp: None) -> object | None:
        assert timestamp is None
        if len(self.rows) == 3:
            return None
        self.rows.append((key.decode(), value))
        return self


class Topic:
    """Takes what is sent; a producer that needs no broker. Each batch is confirmed a turn later."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.on_the_way: Counter[int] = Counter()

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, _topic: str, *, partition: int) -> asyncio.Task[None]:
        assert batch.rows
        assert {partition_of(key) for key, _ in batch.rows} == {partition}
        assert self.on_the_way[partition] == 0, "batches of a partition go one after another"
        self.on_the_way[partition] += 1
        self.keys += [key for key, _ in batch.rows]
        self.events += [msgspec.json.decode(raw) for _, raw in batch.rows]
        return asyncio.create_task(self._confirm(partition))

    async def _confirm(self, partition: int) -> None:
        await asyncio.sleep(0)
        self.on_the_way[partition] -= 1


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


async def test_messages_of_a_conversation_are_sent_in_their_order_with_nothing_left_out() -> None:
    topic, _ = await _sent(Phase("p", 2_000, 0.3, hot=0.25))
    hot = [int(one["message_id"].rpartition("-")[2]) for one in topic.events if one["conversation_id"] == HOT]
    assert hot == sorted(hot)
    assert len(hot) == 150
    ordinary = [one for one in topic.events if not one["conversation_id"].startswith(("p-", HOT))]
    chats = traffic(DAY, 5_000, concurrent=CONCURRENT, pace=Pace(0, 0.001))
    expected = [_without_time(msgspec.json.decode(raw)) for raw in chats.records[: len(ordinary)]]
    by_key = {key: [one for one in expected if one["conversation_id"] == key] for key in set(chats.keys)}
    for key, events in by_key.items():
        assert [_without_time(one) for one in ordinary if one["conversation_id"] == key] == events


def _without_time(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in ("sent_at", "at")}


async def test_what_the_broker_refuses_ends_the_load_though_it_takes_what_comes_later() -> None:
    class RefusingOnce(Topic):
        refused = False

        async def _confirm(self, partition: int) -> None:
            self.on_the_way[partition] -= 1
            if not self.refused:
                self.refused = True
                raise ConnectionError(partition)

    flow = Flow(SimpleNamespace(day=DAY), RefusingOnce(), "t", 100)  # type: ignore[arg-type]
    with pytest.raises(ConnectionError):
        await flow.send(Phase("p", 1_000, 0.1))


async def test_a_receiver_takes_requests_in_pieces_and_several_at_once() -> None:
    receiver = Receiver()
    requests = []
    for name in ("a", "b", "c"):
        body = msgspec.json.encode({"type": "x", "data": {"conversation_id": name, "title": "x"}})
        requests.append(b"POST /hook HTTP/1.1\r\nHost: x\r\nCONTENT-LENGTH: %d\r\n\r\n%b" % (len(body), body))
    whole = b"".join(requests)
    async with receiver.listening() as url:
        port = int(url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for at in range(0, len(whole), 37):
            writer.write(whole[at : at + 37])
            await writer.drain()
        async with asyncio.timeout(5):
            for _ in requests:
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        writer.close()
    assert (receiver.requests, list(receiver.came)) == (3, ["a", "b", "c"])


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
