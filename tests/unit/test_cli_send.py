"""How `yanshao send` plans: times, ids, pace. Nothing is sent here."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import wire
from stream.runtime.send import Plan, Planned, Unusable, planned

NOW = 1_800_000_000_000
START = 1_794_358_800_000


def _event(after_ms: int, number: int = 0, conversation: str = "c-1", **more: Any) -> bytes:
    event = {
        "type": "message",
        "conversation_id": conversation,
        "message_id": f"m-{number}",
        "sent_at": START + after_ms,
        "sender": {"role": "customer", "id": "u-1"},
        "content": {"text": "在吗"},
    }
    return json.dumps(event | more).encode()


def _plan(lines: Sequence[bytes], plan: Plan) -> list[Planned]:
    found = []
    for event in planned(enumerate(lines, 1), plan, NOW):
        assert isinstance(event, Planned)
        found.append(event)
    return found


def _times(events: Sequence[Planned]) -> list[int]:
    return [wire.decode(event.raw, received_at=None).t - NOW for event in events]


def test_as_recorded_the_first_is_now_and_gaps_stay() -> None:
    events = _plan([_event(0), _event(1500), _event(60_000)], Plan("~r"))
    assert _times(events) == [0, 1500, 60_000]
    assert [event.after_ms for event in events] == [0, 1500, 60_000]


def test_speed_shortens_gaps_and_times_alike() -> None:
    events = _plan([_event(0), _event(1500), _event(60_000)], Plan("~r", speed=10))
    assert _times(events) == [0, 150, 6_000]
    assert [event.after_ms for event in events] == [0, 150, 6_000]


def test_rate_spaces_evenly_whatever_was_recorded() -> None:
    events = _plan([_event(0), _event(1500), _event(60_000)], Plan("~r", rate=100))
    assert [event.after_ms for event in events] == [0, 10, 20]
    assert _times(events) == [0, 10, 20]


def test_rate_beside_speed_is_a_ceiling() -> None:
    lines = [_event(0), _event(1), _event(2), _event(5_000)]
    events = _plan(lines, Plan("~r", rate=100, speed=1))
    assert [event.after_ms for event in events] == [0, 10, 20, 5_000]


def test_late_event_stays_late_by_as_much() -> None:
    events = _plan([_event(0), _event(10_000), _event(4_000), _event(11_000)], Plan("~r"))
    assert _times(events) == [0, 10_000, 4_000, 11_000]
    assert [event.after_ms for event in events] == [0, 10_000, 10_000, 11_000]


def test_ids_of_conversation_message_and_issue_get_the_suffix_and_nothing_else() -> None:
    issue = {
        "type": "issue.opened",
        "conversation_id": "c-1",
        "issue_id": "i-1",
        "at": START,
        "extra": {"a": [1]},
    }
    message, opened = _plan([_event(0, 7), json.dumps(issue).encode()], Plan("~r"))
    assert json.loads(message.raw) == json.loads(_event(0, 7)) | {
        "conversation_id": "c-1~r",
        "message_id": "m-7~r",
        "sent_at": wire.rfc3339(NOW),
    }
    assert json.loads(opened.raw) == issue | {
        "conversation_id": "c-1~r",
        "issue_id": "i-1~r",
        "at": wire.rfc3339(NOW),
    }
    assert (message.key, opened.key) == ("c-1~r", "c-1~r")


def test_tick_is_shifted_and_goes_to_everybody() -> None:
    tick = json.dumps({"type": "tick", "at": START + 5000}).encode()
    _, planned_tick = _plan([_event(0), tick], Plan("~r"))
    assert (planned_tick.broadcast, planned_tick.key) == (True, None)
    assert _times([planned_tick]) == [5000]


def test_recorded_keeps_every_byte_of_every_line() -> None:
    lines = [_event(0), b"nope", b'{"type":"tick","at":1}', b'{"conversation_id":5}', _event(9)]
    events = _plan(lines, Plan("~r", recorded=True))
    assert [event.raw for event in events] == lines
    assert [event.key for event in events] == ["c-1", None, None, None, "c-1"]
    assert [event.broadcast for event in events] == [False, False, True, False, False]
    assert {event.after_ms for event in events} == {0.0}


def test_recorded_can_be_paced() -> None:
    lines = [_event(0), b"nope", _event(1000)]
    assert [e.after_ms for e in _plan(lines, Plan("", rate=10, recorded=True))] == [0, 100, 200]
    assert [e.after_ms for e in _plan(lines, Plan("", speed=2, recorded=True))] == [0, 0, 500]


def test_line_that_is_no_event_has_no_time_and_is_named() -> None:
    found = list(planned([(3, b"nope"), (4, _event(0))], Plan("~r"), NOW))
    assert isinstance(found[0], Unusable)
    assert (found[0].line, found[0].reason) == (3, "not_json")
    assert isinstance(found[1], Planned)


def test_half_a_surrogate_pair_is_mended_as_the_door_does() -> None:
    raw = _event(0).replace(json.dumps("在吗").encode(), rb'"\ud83d"')
    (event,) = _plan([raw], Plan("~r"))
    assert json.loads(event.raw)["content"]["text"] == "\ufffd"


@given(
    gaps=st.lists(st.integers(0, 100_000), min_size=1, max_size=30),
    speed=st.one_of(st.none(), st.floats(0.1, 1000)),
    rate=st.one_of(st.none(), st.floats(0.1, 10_000)),
)
def test_plan_never_goes_back_and_never_exceeds_the_rate(
    gaps: list[int], speed: float | None, rate: float | None
) -> None:
    moments = [sum(gaps[: size + 1]) for size in range(len(gaps))]
    events = _plan([_event(moment, number) for number, moment in enumerate(moments)], Plan("", rate, speed))
    after = [event.after_ms for event in events]
    least = 1000 / rate if rate else 0.0
    assert after[0] == 0
    assert all(later - earlier >= least * (1 - 1e-9) for earlier, later in itertools.pairwise(after))
    assert all(abs(t - moment) <= 1 for t, moment in zip(_times(events), after, strict=True))


@pytest.mark.parametrize("line", [b"", b"[]", b"\xff"])
def test_recorded_takes_any_line(line: bytes) -> None:
    assert _plan([line], Plan("", recorded=True))[0].raw == line
