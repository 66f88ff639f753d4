"""Co-partitioning and fencing, without a broker; `tests/integration` has both with one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.cluster import ClusterMetadata
from hypothesis import given
from hypothesis import strategies as st

from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.membership import PATIENCE_S, CoPartitioner, Heartbeats
from stream.runtime.kafka.names import Names, Role

TOGETHER = [Names().messages, Names().timers, Names().contacts]


class Cluster(ClusterMetadata):  # type: ignore[misc]
    """Topics with so many partitions."""

    def __init__(self, counts: dict[str, int]) -> None:
        super().__init__()
        self._counts = counts

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._counts[topic]))


def assign(
    members: dict[str, set[str]], partitions: int, before: dict[str, Any] | None = None
) -> dict[str, dict[str, set[int]]]:
    """One round of the group: what each member gets, by topic."""
    topics = {topic for subscription in members.values() for topic in subscription}
    counts = {topic: 1 if "notify" in topic else partitions for topic in topics}
    apps = {}
    metadata = {}
    for member, subscription in members.items():
        app = faust.App("app", broker="kafka://unused", canonical_url=f"http://{member}:6066")
        assignor = CoPartitioner(app, replicas=1)
        if before and member in before:
            assignor.on_assignment(before[member])
        apps[member] = assignor
        metadata[member] = assignor.metadata(subscription)
    given = next(iter(apps.values())).assign(Cluster(counts), metadata)
    if before is not None:
        before.clear()
        before.update(given)
    return {
        member: {topic: set(numbers) for topic, numbers in assignment.assignment}
        for member, assignment in given.items()
    }


members = st.dictionaries(
    st.text("abcdefghijklmnop", min_size=1, max_size=6),
    st.sets(st.sampled_from(list(Role)), min_size=1),
    min_size=1,
    max_size=6,
)


@given(members, st.integers(1, 13))
def test_one_worker_owns_a_number_in_all_topics_that_belong_together(
    roles: dict[str, set[Role]], partitions: int
) -> None:
    """Whatever roles the other workers have, and however many there are."""
    names = Names()
    before: dict[str, Any] = {}
    for present in (roles, dict(itertools.islice(roles.items(), max(1, len(roles) - 1))), roles):
        subscriptions = {name: set(names.read_by(of, ["hook", "night"])) for name, of in present.items()}
        given = assign(subscriptions, partitions, before)
        owners = [name for name, of in present.items() if Role.CONVERSATIONS in of]
        for one in given.values():
            assert len({frozenset(one.get(topic, set())) for topic in TOGETHER}) == 1
        if owners:
            owned = [number for name in owners for number in given[name].get(names.messages, set())]
            assert sorted(owned) == list(range(partitions)), "each partition once"
        delivering = [name for name, of in present.items() if Role.DELIVERY in of]
        if delivering:
            for receiver in ("hook", "night"):
                owned = [n for name in delivering for n in given[name].get(names.notify(receiver), set())]
                assert owned == [0]


class Coordinator:
    """The group's side of heartbeats, as aiokafka has it: it forgets its member id at a no."""

    def __init__(self) -> None:
        self.member_id = "w0-1"
        self.answer: bool | Exception = True

    async def _do_heartbeat(self) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def app(self) -> Any:
        consumer = SimpleNamespace(_coordinator=self)
        return SimpleNamespace(consumer=SimpleNamespace(_thread=SimpleNamespace(_consumer=consumer)))


class Ticking:
    """A clock that each look moves on."""

    def __init__(self, step: float = 0.0) -> None:
        self.at = 100.0
        self.step = step

    def __call__(self) -> float:
        self.at += self.step
        return self.at


async def test_worker_is_sure_of_its_partitions_for_half_its_session() -> None:
    now = Ticking()
    beats = Heartbeats(10.0, now)
    now.at = 105.0
    await asyncio.wait_for(beats.sure(), 0.01)
    now.at = 105.1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(beats.sure(), 0.01)


async def test_worker_goes_on_when_a_broker_that_was_gone_still_knows_it() -> None:
    now, group = Ticking(), Coordinator()
    beats = Heartbeats(10.0, now)
    beats.observe(group.app())
    now.at = 114.0
    group.answer = False
    assert await group._do_heartbeat() is False
    waiting = asyncio.create_task(beats.sure())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    group.answer = True
    # What aiokafka calls is the watched one; the class's own answers it.
    await group._do_heartbeat()
    await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("raises", [False, True])
async def test_worker_that_the_group_expelled_is_fenced(raises: bool) -> None:
    now, group = Ticking(), Coordinator()
    beats = Heartbeats(10.0, now)
    beats.observe(group.app())
    now.at = 114.0
    group.member_id = ""
    group.answer = OSError() if raises else False
    with contextlib.suppress(OSError):
        await group._do_heartbeat()
    with pytest.raises(WorkerExit) as ending:
        await asyncio.wait_for(beats.sure(), 0.01)
    assert ending.value.code is Exit.FENCED
    beats.good()
    await asyncio.wait_for(beats.sure(), 0.01)


async def test_worker_that_nobody_answers_is_fenced_in_the_end() -> None:
    now = Ticking(step=PATIENCE_S / 2)
    beats = Heartbeats(10.0, now)
    with pytest.raises(WorkerExit) as ending:
        await asyncio.wait_for(beats.sure(), 1)
    assert ending.value.code is Exit.FENCED


def test_names_have_the_prefix_once_and_lead_back_to_the_receiver() -> None:
    names = Names("shop.")
    assert names.messages == "shop.chat.messages"
    assert names.receiver(names.notify("night")) == "night"
    assert names.receiver(names.alerts) is None
    assert Names().messages == "chat.messages"


def test_faust_runs_its_compiled_stream_which_leaves_skipped_batches_unacknowledged() -> None:
    """Its Python twin acknowledges a batch of an older generation that it skips, and so commits over it."""
    assert faust.streams._CStreamIterator is not None
