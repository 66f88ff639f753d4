"""Any contact that anybody may have written: read in the short way and in the long, it is the same."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stream import wire
from stream.core.events import LAST_MS
from stream.core.outputs import Contact
from stream.wire import InvalidMessage
from tests.unit.test_customers import T, contact_of, summary_of

WRITTEN = wire.encode(contact_of(summary_of("c-小王", T, T + 1_234)))
VALUES = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        2.0,
        0.5,
        1e300,
        2**40,
        2**70,
        T,
        "",
        "agent",
        "counted",
        "2026-11-11T09:00:00Z",
        "2026-11-11T09:00:00",
        "2026-11-11T24:00:00+08:00",
        "1970-01-01T00:00:00+08:00",
        "9999-12-31T23:59:59-23:59",
        [],
        {},
        [1],
        {"name": "x"},
    ]
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place of a document as its owner and the key there."""
    if isinstance(value, dict):
        inner: list[tuple[Any, Any]] = [(value, key) for key in value]
    elif isinstance(value, list):
        inner = [(value, number) for number in range(len(value))]
    else:
        return []
    return inner + [place for owner, key in inner for place in places(owner[key])]


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """Draw a contact with up to three things changed, left out or added anywhere in it."""
    document = json.loads(WRITTEN)
    for _ in range(draw(st.integers(0, 3))):
        owner, key = draw(st.sampled_from(places(document)))
        match draw(st.sampled_from(["put", "leave out", "add"])):
            case "put":
                owner[key] = draw(VALUES)
            case "leave out":
                del owner[key]
            case _ if isinstance(owner, dict):
                owner["of a later version"] = draw(VALUES)
    return json.dumps(document, ensure_ascii=draw(st.booleans())).encode()


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Draw a contact with some bytes of it overwritten."""
    raw = bytearray(WRITTEN)
    at = draw(st.integers(0, len(raw) - 1))
    new = draw(
        st.sampled_from([b"\xff", b"\\ud800", b'"', b"{", b"}", b",", b"1", b'"x":"\xff",', b" ", b"e9"])
    )
    raw[at : at + draw(st.integers(0, 4))] = new
    return bytes(raw)


def fully(raw: bytes) -> Contact | None:
    """Return the contact as whoever reads all of it does, None where it is none."""
    try:
        return wire.read(Contact, raw)
    except InvalidMessage:
        return None


def storable(contact: Contact) -> bool:
    """Whether a customer's record could keep it: times up to a year past 2099, small numbers."""
    times = (contact.opened_at, contact.closed_at or 0)
    numbers = (contact.revision, contact.source_partition or 0)
    return all(0 <= at <= LAST_MS + 366 * 86_400_000 for at in times) and all(0 <= n < 2**31 for n in numbers)


@given(changed() | broken())
@example(WRITTEN.replace(b'"summary":', b'"more":"\xff","summary":'))
@example(WRITTEN.replace(b'"revision":', b'"more":"\xff","revision":'))
@example(WRITTEN.replace(b'"summary":', b'"summary":null,"was":'))
@example(WRITTEN.replace(b'"summary":', b'"more":"\\q","summary":'))
@example(WRITTEN.replace(b'"revision":', b'"more":1e999,"revision":', 2))
@example(re.sub(rb'"(opened_at|closed_at)":"([^"+]*)\+08:00"', rb'"\1":"\2"', WRITTEN))
@example(re.sub(rb'"(opened_at|closed_at)":"([^"+]*)\+08:00"', rb'"\1":"\2"', WRITTEN, count=2))
@example(WRITTEN.replace(b"+08:00", b"").replace(b'"summary":null', b'"summary":{}'))
@settings(max_examples=1_000, deadline=None)
def test_contact_is_taken_exactly_where_all_of_it_can_be_read(raw: bytes) -> None:
    whole = fully(raw)
    try:
        contact, summary = wire.read_contact(raw)
    except InvalidMessage:
        assert whole is None or not storable(whole)
        return
    assert whole is not None
    assert storable(whole)
    assert replace(whole, summary=None) == contact
    assert (summary is None) == (whole.summary is None)
    if summary is not None:
        assert wire.unpack_summary(wire.pack_summary(summary)) == whole.summary
