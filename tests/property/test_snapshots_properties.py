"""A snapshot and the changelog's tail come to what the whole changelog comes to, whatever happened between.

A worker writes batches to its changelog; a batch of its own may be written twice, and another worker, stopped
past its session, may write between any two. At any moment at which nothing is under way it may keep a
snapshot, at any later one it may die.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core import state as states
from stream.core.state import State
from stream.runtime.conversations import Held
from stream.runtime.kafka import changelog, snapshots
from stream.runtime.kafka.changelog import Coverage, Replay, adds_nothing
from stream.runtime.kafka.snapshots import Image, RefusedError, Wanted

KEYS = ("a", "b", "c")
WANTED = Wanted("qa.state", "id-1", 0, "d", 0, 10**6)

Row = tuple[bytes, bytes | None]


def record(name: str, rank: int, words: str) -> bytes:
    state = State(conversation_id=name, opened_at=0, last_at=0, applied=[rank, -1, -1], last_words=words)
    return states.encode(state)


def held(raw: bytes) -> Held:
    return Held(raw, 7, "idle", (), (), ())


@dataclass
class Model:
    """One partition of the changelog, and the worker that owns it."""

    log: list[Row] = field(default_factory=list)
    memory: dict[str, Held] = field(default_factory=dict)
    gone: dict[str, tuple[int, ...]] = field(default_factory=dict)
    covered: Coverage = field(default_factory=Coverage)
    clock: int = 0

    def rank(self, name: str) -> int:
        if name in self.gone:
            return self.gone[name][0]
        return states.decode(self.memory[name].raw).applied[0] if name in self.memory else -1

    def write(self, changes: list[tuple[str, str, int]], times: int) -> None:
        """Apply and confirm a batch of our own; only the last of several copies is known to us."""
        self.clock += 1
        rows: dict[str, bytes | None] = {}
        for name, what, up in changes:
            rank = self.rank(name) + up
            if what == "state":
                raw = record(name, rank, f"ours {self.clock}")
                self.memory[name] = held(raw)
                self.gone.pop(name, None)
                rows[name] = raw
            elif what == "gone" and name in self.memory:
                del self.memory[name]
                self.gone[name] = (rank, -1, -1)
                rows[name] = changelog.gone(name, self.gone[name])
            elif what == "tombstone" and name in self.gone:
                del self.gone[name]
                rows[name] = None
        if not rows:
            return
        for _ in range(times):
            begin = len(self.log)
            self.log += [(name.encode(), raw) for name, raw in rows.items()]
        self.covered.confirmed(begin, len(rows), self.clock)

    def interfere(self, name: str, what: str, rank: int) -> None:
        """Let somebody else write."""
        raw = {"state": record(name, rank, "theirs"), "gone": changelog.gone(name, (rank, -1, -1))}
        self.log.append((name.encode(), raw.get(what)))

    def image(self) -> Image:
        image = Image(dict(self.memory), dict(self.gone), self.covered.offset, self.covered.at)
        if not self.covered.sound and adds_nothing(image, self.log[image.offset : self.covered.end]):
            self.covered.looked_at(self.covered.end)
            image.offset = self.covered.offset
        return image


def whole(log: list[Row], image: Image | None = None) -> tuple[dict[str, bytes], dict[str, tuple[int, ...]]]:
    replay = Replay()
    begin = 0
    if image is not None:
        replay.begin_with(image)
        begin = image.offset
    replay.take(log[begin:])
    raw = {name: one.raw for name, one in replay.held()} | dict(replay.states())
    for name in KEYS:
        assert replay.state(name) == raw.get(name)
    return raw, dict(replay.gone())


def kept(image: Image, path: Path) -> Image:
    snapshots.write(path, image, topic="qa.state", topic_id="id-1", partition=0, derived="d")
    return snapshots.read(path, WANTED)


names = st.sampled_from(KEYS)
kinds = st.sampled_from(["state", "state", "gone", "tombstone"])
changes = st.lists(st.tuples(names, kinds, st.integers(0, 2)), min_size=1, max_size=4)
happenings = st.one_of(
    st.tuples(st.just("write"), changes, st.sampled_from([1, 1, 1, 2])),
    st.tuples(st.just("interfere"), names, kinds, st.integers(0, 12)),
    st.tuples(st.just("keep")),
)


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield snapshots.path_of(Path(folder), 0)


@given(st.lists(happenings, max_size=25))
def test_snapshot_and_tail_are_the_whole_changelog(path: Path, story: list[tuple[object, ...]]) -> None:
    model = Model()
    image: Image | None = None
    for what, *arguments in story:
        if what == "write":
            model.write(*arguments)  # type: ignore[arg-type]
        elif what == "interfere":
            model.interfere(*arguments)  # type: ignore[arg-type]
        else:
            image = kept(model.image(), path)
    assert whole(model.log, image) == whole(model.log)


@given(st.lists(changes, min_size=1, max_size=12), st.data())
def test_alone_in_its_changelog_a_worker_reads_one_batch_again_at_most(
    stories: list[list[tuple[str, str, int]]], data: st.DataObject
) -> None:
    model = Model()
    for story in stories:
        before = len(model.log)
        model.write(story, 1)
        if len(model.log) > before:
            assert model.image().offset == before
    assert model.covered.sound
    assert model.covered.end == len(model.log)


@given(st.integers(0, 4), st.integers(0, 3), st.data())
def test_file_that_is_not_whole_is_refused(
    path: Path, held_count: int, gone: int, data: st.DataObject
) -> None:
    image = Image(
        {f"h-{n}": held(record(f"h-{n}", n, "words")) for n in range(held_count)},
        {f"g-{n}": (n, -1, -1) for n in range(gone)},
        5,
        1,
    )
    assert kept(image, path) == image
    whole_file = path.read_bytes()
    at = data.draw(st.integers(0, len(whole_file) - 1))
    flipped = bytearray(whole_file)
    flipped[at] ^= data.draw(st.integers(1, 255))
    for broken in (whole_file[:at], bytes(flipped), whole_file + b"\0"):
        path.write_bytes(broken)
        with pytest.raises(RefusedError):
            snapshots.read(path, WANTED)


def test_writer_that_dies_at_any_block_leaves_the_old_file(path: Path) -> None:
    many = {f"h-{n}": held(record(f"h-{n}", n, "new")) for n in range(3 * snapshots.ROWS)}
    old = Image({"old": held(record("old", 1, "old"))}, {}, 1, 1)
    kept(old, path)
    for survived in range(4):
        left = iter([True] * survived)
        with pytest.raises(snapshots.Interrupted):
            snapshots.write(
                path, Image(many, {}, 9, 9), topic="qa.state", topic_id="id-1", partition=0, derived="d",
                go_on=lambda left=left: next(left, False),  # type: ignore[misc]
            )  # fmt: skip
        assert snapshots.read(path, WANTED) == old
        assert list(path.parent.iterdir()) == [path]
