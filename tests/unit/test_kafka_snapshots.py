"""When a snapshot is refused, when one is written, and that nothing is written of memory that is gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.core import state as states
from stream.core.book import EMPTY_BOOK
from stream.core.limits import DEFAULT_LIMITS, Limits
from stream.core.standing import Standing
from stream.core.state import Clock, State
from stream.runtime.conversations import DERIVATION, Conversations, Held, Knowledge
from stream.runtime.kafka import recovery, snapshots
from stream.runtime.kafka.changelog import Coverage
from stream.runtime.kafka.recovery import Origin, StateLog
from stream.runtime.kafka.snapshots import Image, RefusedError, Wanted
from stream.runtime.kafka.tail import Log
from stream.settings import Kafka
from stream.testing import eventually

DAY_MS = 86_400_000
NOW = 10 * DAY_MS
KNOWLEDGE = Knowledge(EMPTY_BOOK, None)  # type: ignore[arg-type]


def conversation(name: str) -> State:
    return State(conversation_id=name, opened_at=0, last_at=0)


def image(*names: str) -> Image:
    conversations = Conversations(source_partition=0)
    for name in names:
        conversations.load(KNOWLEDGE, name, states.encode(conversation(name)))
    return Image(*conversations.image(), 5, NOW)


def write(path: Path, what: Image) -> None:
    snapshots.write(path, what, topic="qa.state", topic_id="one", partition=0, derived="d")


WANTED = Wanted("qa.state", "one", 0, "d", NOW - DAY_MS, NOW + 1)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (replace(WANTED, topic="other.qa.state"), "another topic"),
        (replace(WANTED, topic_id="two"), "deleted and made again"),
        (replace(WANTED, partition=1), "another topic"),
        (replace(WANTED, not_before=NOW + 1), "older than"),
        (replace(WANTED, not_after=NOW - 1), "future"),
    ],
)
def test_file_of_another_or_of_another_time_is_refused(tmp_path: Path, wanted: Wanted, says: str) -> None:
    path = snapshots.path_of(tmp_path, 0)
    write(path, image("a"))
    assert snapshots.read(path, WANTED) == image("a")
    with pytest.raises(RefusedError, match=says):
        snapshots.read(path, wanted)


def test_file_of_a_newer_release_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = snapshots.path_of(tmp_path, 0)
    with monkeypatch.context() as newer:
        newer.setattr(snapshots, "FORMAT", snapshots.FORMAT + 1)
        write(path, image("a"))
    with pytest.raises(RefusedError, match="format 2"):
        snapshots.read(path, WANTED)


def test_another_derivation_decodes_every_record_again(tmp_path: Path) -> None:
    path = snapshots.path_of(tmp_path, 0)
    write(path, image("a", "b"))
    found = snapshots.read(path, replace(WANTED, derived="e"))
    conversations = Conversations(source_partition=0)
    for name, held in found.held.items():
        assert held.due_at is None
        conversations.adopt(KNOWLEDGE, name, held)
    assert conversations.image()[0] == image("a", "b").held


def test_what_was_given_out_comes_due_again_after_a_start(tmp_path: Path) -> None:
    conversations = Conversations(source_partition=0)
    conversations.load(KNOWLEDGE, "a", states.encode(conversation("a")))
    [timer] = conversations.take_due(NOW)
    assert conversations.next_due() is None
    path = snapshots.path_of(tmp_path, 0)
    write(path, Image(*conversations.image(), 5, NOW))
    again = Conversations(source_partition=0)
    for name, held in snapshots.read(path, WANTED).held.items():
        again.adopt(KNOWLEDGE, name, held)
    assert again.take_due(NOW) == [timer]


def test_derivation_has_a_new_number_where_anything_of_it_is_new() -> None:
    """Worked by hand. Where this fails, raise `DERIVATION` and write down what is derived now."""
    state = conversation("c")
    state.names = ["leg:warehouse", "rule:x", "first_response"]
    state.running = [
        Clock(kind=0, number=1, policy=0, started_at=1_000, moments=[500, 900], fired=1),
        Clock(kind=1, number=1, policy=0, started_at=0, moments=[9_000]),
    ]
    state.settled = [
        Clock(
            kind=2, number=1, policy=0, started_at=10, moments=[20], fired=1, state=states.ClockState.BREACHED
        )
    ]
    raw = states.encode(state)
    conversations = Conversations(source_partition=0)
    conversations.load(KNOWLEDGE, "c", raw)
    stands = (("leg", Standing.WARNED), ("first_response", Standing.BREACHED))
    assert conversations.image()[0]["c"] == Held(
        raw, 1_900, "leg:warehouse#1", stands, (), (("first_response", 30),)
    )
    assert DERIVATION == 1
    assert list(msgspec.structs.asdict(conversations.image()[0]["c"])) == [
        "raw", "due_at", "due_id", "open", "alerts", "overdue",
    ]  # fmt: skip


def test_derivation_is_another_with_other_limits() -> None:
    assert snapshots.derived_by(DEFAULT_LIMITS) == snapshots.derived_by(Limits())
    assert snapshots.derived_by(DEFAULT_LIMITS) != snapshots.derived_by(Limits(idle_close_ms=1))


def test_old_and_unfinished_files_are_deleted(tmp_path: Path) -> None:
    for number in range(2):
        write(snapshots.path_of(tmp_path, number), image("a"))
    os.utime(snapshots.path_of(tmp_path, 0), (1, 1))
    (tmp_path / "state-1.snapshot.77.part").touch()
    (tmp_path / "of somebody else").touch()
    assert snapshots.purge(tmp_path, 2_000) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"state-1.snapshot", "of somebody else"}
    assert snapshots.purge(tmp_path / "not there", 2_000) == 0


@pytest.mark.parametrize(
    ("first", "end", "fits"), [(0, 5, True), (5, 5, True), (6, 9, False), (0, 4, False), (0, 0, False)]
)
def test_snapshot_whose_offset_the_log_has_not_is_not_used(first: int, end: int, fits: bool) -> None:
    found = image("a")
    log = Log(None, None, first, end)
    assert StateLog._fitting(0, found, log) is (found if fits else None)


def test_coverage_stays_where_others_wrote_until_it_was_looked_at() -> None:
    covered = Coverage()
    covered.reach(10, 1)
    covered.confirmed(10, 3, 2)
    assert (covered.offset, covered.end, covered.at, covered.sound) == (10, 13, 2, True)
    covered.confirmed(13, 2, 3)
    assert (covered.offset, covered.end, covered.at, covered.sound) == (13, 15, 3, True)
    covered.confirmed(16, 2, 4)
    assert (covered.offset, covered.end, covered.at, covered.sound) == (13, 18, 3, False)
    covered.confirmed(18, 1, 5)
    assert (covered.offset, covered.end, covered.sound) == (13, 19, False)
    covered.looked_at(18)
    assert (covered.offset, covered.at, covered.sound) == (18, 5, True)
    covered.confirmed(25, 1, 6)
    covered.looked_at(19)
    assert (covered.offset, covered.sound) == (19, False), "what stands before 25 was not looked at"


class Partition:
    """As the keeper sees a processor."""

    def __init__(self, found: Callable[[], Any]) -> None:
        self.number = 0
        self.covered = Coverage()
        self.running = True
        self._found = found

    async def image(self) -> tuple[Image, int] | None:
        found = self._found()
        if found is None:
            await asyncio.Event().wait()
        return found or None


def state_log(folder: Path, failed: Callable[[], None] = lambda: None, topic_id: str = "one") -> StateLog:
    return StateLog(
        Kafka(),
        Origin("qa.state", topic_id, DAY_MS),
        folder,
        limits=lambda: DEFAULT_LIMITS,
        now_ms=lambda: NOW,
        failed=failed,
    )


async def test_keeper_writes_of_memory_that_is_there_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "LOOK_S", 0.001)
    monkeypatch.setattr(recovery, "QUIET_S", 0.01)
    answers: list[Any] = [None, (), (image("a"), 7)]  # never quiet, no more there, there
    asked = 0

    def found() -> Any:
        nonlocal asked
        asked += 1
        assert not snapshots.path_of(tmp_path, 0).exists()
        return answers.pop(0)

    part = Partition(found)
    task = asyncio.create_task(state_log(tmp_path).keep(lambda: [part]))
    await eventually(snapshots.path_of(tmp_path, 0).exists, "the file")
    task.cancel()
    assert asked == 3


async def test_disk_that_takes_nothing_is_counted_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    failures: list[None] = []
    log = state_log(tmp_path / "a file" / "below", lambda: failures.append(None))
    await log.finish([Partition(lambda: (image("a"), 7))])
    assert failures == [None]


async def test_without_an_id_of_the_topic_nothing_is_kept(tmp_path: Path) -> None:
    log = state_log(tmp_path, topic_id="")
    await log.finish([Partition(lambda: (image("a"), 7))])
    async with asyncio.timeout(1):
        await log.keep(list)
    assert not snapshots.path_of(tmp_path, 0).exists()
