"""Contacts and the summaries they carry: written once, packed as they stand, read again later."""

from __future__ import annotations

import hashlib
import json

import pytest
from msgspec.structs import replace

from stream import wire
from stream.core.outputs import Contact
from stream.wire import InvalidMessage, Reason
from stream.wire.packing import DICTIONARIES
from tests.unit.test_customers import T, contact_of, summary_of

SUMMARY = summary_of("c-小王", T, T + 1_234)
CONTACT = contact_of(SUMMARY)


def test_words_that_records_were_packed_with_never_change() -> None:
    """A record in `qa.customers` can be read only with the very dictionary it was packed with."""
    known = {number: hashlib.sha256(words).hexdigest() for number, words in DICTIONARIES.items()}
    assert known[1] == "f7e69bbd4c64d0acb6e8d854ccb3c4b9bc3918a823a1475562e8d6c2a2e5b101"


def test_summary_is_unpacked_as_it_was_written() -> None:
    document = wire.encode(SUMMARY)
    packed = wire.pack_summary(document)
    assert wire.unpack_summary(packed) == SUMMARY
    assert len(packed) < len(document) / 4


def test_contact_is_written_alike_with_its_summary_written_before() -> None:
    assert wire.encode_contact(CONTACT, wire.encode(SUMMARY)) == wire.encode(CONTACT)
    bare = json.loads(wire.encode_contact(CONTACT, None))
    assert bare["summary"] is None
    assert bare["opened_at"].endswith("+08:00")


def test_contact_is_read_with_its_summary_as_it_stands_there() -> None:
    contact, summary = wire.read_contact(wire.encode(CONTACT))
    assert contact == replace(CONTACT, summary=None)
    assert summary == wire.encode(SUMMARY)
    assert wire.read(Contact, wire.encode(CONTACT)) == CONTACT


def test_contact_without_a_summary_is_read() -> None:
    early = replace(CONTACT, summary=None, closed_at=None, outcome=None)
    assert wire.read_contact(wire.encode(early)) == (early, None)
    without = {name: value for name, value in json.loads(wire.encode(early)).items() if name != "summary"}
    assert wire.read_contact(json.dumps(without).encode()) == (early, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", Reason.NOT_JSON),
        (b"{", Reason.NOT_JSON),
        (b"[]", Reason.WRONG_TYPE),
        (b"{}", Reason.MISSING_FIELD),
        (wire.encode(CONTACT).replace(b'"revision":1,', b'"revision":"one",', 1), Reason.WRONG_TYPE),
    ],
)
def test_what_is_no_contact_is_refused(raw: bytes, reason: Reason) -> None:
    with pytest.raises(InvalidMessage) as refused:
        wire.read_contact(raw)
    assert refused.value.reason is reason
