"""The state record: compact, versioned, readable by the releases before and after."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stream.core import state as states
from stream.core.state import VERSION, State, UnsupportedVersionError


def sample() -> State:
    state = State("c-1", 1, 2, attributes={"shop_id": "s-1"}, seen=bytes(range(16)))
    state.intern("first_response")
    return state


def test_what_was_written_is_read_back() -> None:
    assert states.decode(states.encode(sample())) == sample()


def test_record_of_a_newer_release_is_refused() -> None:
    raw = msgspec.msgpack.encode([VERSION + 1, ["c-1", "whatever that release knows"]])
    with pytest.raises(UnsupportedVersionError, match=f"version {VERSION + 1}"):
        states.decode(raw)


def test_record_of_an_older_release_is_migrated_step_by_step() -> None:
    def first(fields: list[Any]) -> list[Any]:
        return [fields[0], fields[1] * 1_000, *fields[2:]]  # seconds became milliseconds

    def second(fields: list[Any]) -> list[Any]:
        return [*fields[:2], fields[1], *fields[2:]]  # last_at came between

    raw = msgspec.msgpack.encode([VERSION, ["c-1", 7]])
    read = states.decode(raw, version=VERSION + 2, migrations={VERSION: first, VERSION + 1: second})
    assert read == State("c-1", 7_000, 7_000)


def test_fields_that_a_later_release_added_are_skipped() -> None:
    version, fields = msgspec.msgpack.decode(states.encode(sample()))
    assert states.decode(msgspec.msgpack.encode([version, [*fields, "new", {"and": "more"}]])) == sample()


def test_fields_that_an_earlier_release_did_not_have_get_their_defaults() -> None:
    raw = msgspec.msgpack.encode([VERSION, ["c-1", 1, 2]])
    assert states.decode(raw) == State("c-1", 1, 2)


@pytest.mark.parametrize("raw", [b"", b"\x92", b"\x92\x01\xc0", b"\x01", b"{}"])
def test_bytes_that_are_no_record_are_refused(raw: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, msgspec.ValidationError, TypeError, ValueError)):
        states.decode(raw)


def test_a_count_that_was_taken_back_leaves_nothing() -> None:
    state = sample()
    state.count("finding.ola", 2)
    state.count("finding.ola", -2)
    assert state.counts == {}
