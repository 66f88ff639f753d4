"""Which record of a changelog key is right, and that its head is where the state puts it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core import state as states
from stream.core.state import APPLIED, State
from stream.runtime.conversations import Applied
from stream.runtime.kafka import changelog
from stream.runtime.kafka.changelog import Replay
from stream.runtime.kafka.outputs import state_rows


def record(applied: Sequence[int], words: str = "") -> bytes:
    state = State(conversation_id="c-1", opened_at=1, last_at=2, last_words=words)
    state.applied = list(applied)
    return states.encode(state)


offsets = st.tuples(*(st.integers(-1, 2**40) for _ in APPLIED))


@given(offsets)
def test_head_of_a_state_record_holds_its_applied_offsets(applied: tuple[int, ...]) -> None:
    replay = Replay()
    replay.take([(b"c-1", record(applied))])
    ((_, raw),) = replay.states()
    assert states.decode(raw).applied == list(applied)
    assert replay._latest["c-1"].applied == applied
    assert not replay.gone()


@given(st.lists(offsets, min_size=1, max_size=12, unique_by=changelog.order), st.randoms())
def test_highest_offsets_win_in_any_order_of_the_log(log: list[tuple[int, ...]], chance: object) -> None:
    rows = [(b"c-1", record(applied)) for applied in log]
    chance.shuffle(rows)  # type: ignore[attr-defined]
    replay = Replay()
    replay.take(rows)
    ((_, raw),) = replay.states()
    assert tuple(states.decode(raw).applied) == max(log, key=changelog.order)


def test_messages_decide_before_timers_do() -> None:
    replay = Replay()
    replay.take([(b"c-1", record((10, 4, -1))), (b"c-1", record((9, 5, -1)))])
    ((_, raw),) = replay.states()
    assert states.decode(raw).applied == [10, 4, -1]
    assert replay.superseded == 1


def test_of_equal_offsets_the_later_record_counts() -> None:
    """A tick changes a state and no offset of it."""
    replay = Replay()
    replay.take([(b"c-1", record((3, -1, -1), "before")), (b"c-1", record((3, -1, -1), "after"))])
    ((_, raw),) = replay.states()
    assert states.decode(raw).last_words == "after"


def test_gone_conversation_keeps_its_offsets_and_has_no_state() -> None:
    replay = Replay()
    replay.take([(b"c-1", record((3, -1, -1))), (b"c-1", changelog.gone("c-1", (4, -1, -1)))])
    assert list(replay.states()) == []
    assert replay.gone() == {"c-1": (4, -1, -1)}


def test_older_state_does_not_bring_a_gone_conversation_back() -> None:
    replay = Replay()
    replay.take([(b"c-1", changelog.gone("c-1", (4, -1, -1))), (b"c-1", record((3, -1, -1)))])
    assert list(replay.states()) == []


def test_conversation_that_begins_again_is_there() -> None:
    replay = Replay()
    replay.take([(b"c-1", changelog.gone("c-1", (4, -1, -1))), (b"c-1", record((5, -1, -1)))])
    assert [name for name, _ in replay.states()] == ["c-1"]
    assert replay.gone() == {}


def test_tombstone_deletes() -> None:
    replay = Replay()
    replay.take([(b"c-1", record((3, -1, -1))), (b"c-1", None)])
    assert len(replay) == 0


def test_what_a_batch_changed_and_forgot_becomes_one_row_each() -> None:
    applied = Applied(changed={"a": b"1"}, forgotten={"b": (7, -1, -1), "c": (-1, -1, -1)})
    rows = {row.key: row.value for row in state_rows(applied)}
    assert rows == {b"a": b"1", b"b": changelog.gone("b", (7, -1, -1)), b"c": None}


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x91\x01", b"{}"])
def test_foreign_record_is_refused(raw: bytes) -> None:
    with pytest.raises(Exception, match=r".+"):
        Replay().take([(b"c-1", raw)])
