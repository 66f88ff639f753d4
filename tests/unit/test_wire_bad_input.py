"""Every row of the table of bad input in docs/events.md, and only those."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream import wire
from stream.core.events import ConversationRated, Flag, Message
from stream.wire import InvalidMessage, Reason

DOCS = Path(__file__).parents[2] / "docs" / "events.md"

RECEIVED_AT = 1_794_398_403_120  # 2026-11-11T20:00:03.120+08:00
WEEK = 7 * 24 * 3600 * 1000
MESSAGE: dict[str, Any] = {
    "type": "message",
    "conversation_id": "c-8",
    "message_id": "m-1",
    "sent_at": RECEIVED_AT,
    "sender": {"role": "customer"},
    "content": {"text": "怎么还不发货"},
}


def record(**changes: Any) -> bytes:
    """Return the message above with fields replaced; None leaves the field out."""
    document = MESSAGE | changes
    return msgspec.json.encode({key: value for key, value in document.items() if value is not None})


def spliced(before: bytes, after: bytes) -> bytes:
    raw = record()
    assert before in raw
    return raw.replace(before, after, 1)


def padded(size: int) -> bytes:
    raw = record()
    return raw + b" " * (size - len(raw))


def nested(depth: int) -> bytes:
    """Return a record whose deepest bracket is the ``depth``-th."""
    inner = depth - 2  # the record's own and that of the attributes
    return spliced(b'"message",', b'"message","attributes":{"a":' + b"[" * inner + b"]" * inner + b"},")


def attribute(raw: bytes) -> bytes:
    return spliced(b'"message",', b'"message","attributes":{"a":' + raw + b"},")


def timed(raw: bytes) -> bytes:
    return spliced(b'"sent_at":%d' % RECEIVED_AT, b'"sent_at":' + raw)


LIVE: dict[str, Any] = {"received_at": RECEIVED_AT}
REPLAY: dict[str, Any] = {"received_at": None}

CASES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "empty record": (b"", LIVE),
    "malformed JSON": (b'{"type": message}', LIVE),
    "JSON cut off": (record()[:-7], LIVE),
    "two JSON values in one record": (record() + record(), LIVE),
    "NaN or Infinity": (attribute(b"NaN"), LIVE),
    "control character inside a text": (attribute(b'"a\x07b"'), LIVE),
    "byte-order mark in front": (b"\xef\xbb\xbf" + record(), LIVE),
    "the same key twice": (record()[:-1] + b',"message_id":"m-2"}', LIVE),
    "bytes that are no UTF-8, in a field that is read": (attribute(b'"\xff"'), LIVE),
    "bytes that are no UTF-8, in an unknown field": (spliced(b'"message",', b'"message","x":"\xff",'), LIVE),
    "half a surrogate pair (`\\ud800`)": (attribute(b'"\\ud800!"'), LIVE),
    "a whole surrogate pair (`\\ud83d\\ude00`)": (attribute(b'"\\ud83d\\ude00"'), LIVE),
    "64 KiB exactly": (padded(wire.MAX_BYTES), LIVE),
    "64 KiB and one byte": (padded(wire.MAX_BYTES + 1), LIVE),
    "nested 32 deep": (nested(wire.MAX_DEPTH), LIVE),
    "nested deeper than 32": (nested(wire.MAX_DEPTH + 1), LIVE),
    "5,000 brackets inside a text": (attribute(b'"\\"' + b"[" * 5000 + b'"'), LIVE),
    "an array instead of an object": (b"[" + record() + b"]", LIVE),
    "a number instead of an object": (b"7", LIVE),
    "number as id": (record(conversation_id=8), LIVE),
    "null as id": (spliced(b'"conversation_id":"c-8"', b'"conversation_id":null'), LIVE),
    "text instead of the sender object": (record(sender="customer"), LIVE),
    "no conversation_id": (record(conversation_id=None), LIVE),
    "no message_id": (record(message_id=None), LIVE),
    "no time": (record(sent_at=None), LIVE),
    "no sender": (record(sender=None), LIVE),
    "no role": (record(sender={}), LIVE),
    "no content": (record(content=None), LIVE),
    "no type": (record(type=None), LIVE),
    "an event type's own field missing": (
        b'{"type":"issue.opened","conversation_id":"c","at":%d}' % RECEIVED_AT,
        LIVE,
    ),
    "empty conversation_id": (record(conversation_id=""), LIVE),
    "conversation_id of 257 characters": (record(conversation_id="x" * 257), LIVE),
    "unknown role": (record(sender={"role": "boss"}), LIVE),
    "unknown content kind": (record(content={"kind": "hologram"}), LIVE),
    "number too large for any float": (attribute(b"1e999"), LIVE),
    "rating scale of zero": (
        b'{"type":"conversation.rated","conversation_id":"c","at":%d,"score":1,"scale":0}' % RECEIVED_AT,
        LIVE,
    ),
    "unknown event type": (record(type="message.deleted"), LIVE),
    "type that is no text": (record(type=7), LIVE),
    "unknown fields": (record(weather="rain", nested={"a": [1]}), LIVE),
    "time without an offset": (timed(b'"2026-11-11T20:00:03"'), LIVE),
    "text that is no time": (timed(b'"yesterday"'), LIVE),
    "leap second (`23:59:60`)": (timed(b'"2026-12-31T23:59:60Z"'), LIVE),
    "time as a float": (timed(b"1794398403120.5"), LIVE),
    "time before 1970": (timed(b'"1969-12-31T23:59:59Z"'), LIVE),
    "time after 2099": (timed(b'"2100-01-01T00:00:00Z"'), LIVE),
    "microseconds instead of milliseconds": (timed(b"%d" % (RECEIVED_AT * 1000)), LIVE),
    "five minutes ahead of receipt": (timed(b"%d" % (RECEIVED_AT + 300_000)), LIVE),
    "more than five minutes ahead of receipt": (timed(b"%d" % (RECEIVED_AT + 300_001)), LIVE),
    "far ahead, in a replay": (timed(b'"2099-12-31T23:59:59.999Z"'), REPLAY),
    "a week behind receipt": (timed(b"%d" % (RECEIVED_AT - WEEK)), LIVE),
    "more than a week behind receipt": (timed(b"%d" % (RECEIVED_AT - WEEK - 1)), LIVE),
    "epoch seconds instead of milliseconds": (timed(b"%d" % (RECEIVED_AT // 1000)), LIVE),
    "key absent": (record(), LIVE | {"key": None}),
    "key empty": (record(), LIVE | {"key": b""}),
    "key of another conversation": (record(), LIVE | {"key": b"c-9"}),
    "tick with any key": (b'{"type":"tick","at":%d}' % RECEIVED_AT, LIVE | {"key": b"whatever"}),
}


def table() -> dict[str, str]:
    """Return the rows of the document: input and outcome."""
    section = DOCS.read_text("utf-8").split("## Bad input")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {name: outcome for name, outcome in rows if name not in ("input", "---")}


def test_every_row_has_a_case_and_every_case_a_row():
    assert list(table()) == list(CASES)


@pytest.mark.parametrize("name", list(CASES))
def test_outcome_is_as_documented(name):
    raw, arguments = CASES[name]
    outcome = table()[name]
    if refused := re.fullmatch(r"refused: `(\w+)`", outcome):
        with pytest.raises(InvalidMessage) as caught:
            wire.decode(raw, **arguments)
        assert caught.value.reason == Reason(refused[1])
    else:
        assert outcome.startswith("accepted")
        flags = tuple(Flag(flag) for flag in re.findall(r"flag `(\w+)`", outcome))
        assert wire.decode(raw, **arguments).flags == flags


@pytest.mark.parametrize("name", list(CASES))
def test_refusal_tells_nothing_of_the_record(name):
    raw, arguments = CASES[name]
    secret = "小明13800138000"
    for field in ("c-8", "m-1", "怎么还不发货", "boss", "hologram", "message.deleted", "yesterday"):
        raw = raw.replace(f'"{field}"'.encode(), f'"{secret}"'.encode())
    said = ""
    try:
        wire.decode(raw, **arguments)
    except InvalidMessage as refusal:
        said = str(refusal)
    assert secret not in said


def message(raw: bytes, **arguments: Any) -> Message:
    event = wire.decode(raw, **arguments).event
    assert isinstance(event, Message)
    return event


def test_half_a_pair_becomes_the_replacement_character():
    event = message(attribute(b'"\\\\ud800 \\uDC00 \\ud800\\ud83d\\ude00"'), received_at=None)
    assert event.attributes == {"a": "\\ud800 \ufffd \ufffd😀"}


def test_skewed_time_is_the_time_of_receipt():
    raw, arguments = CASES["more than five minutes ahead of receipt"]
    assert wire.decode(raw, **arguments).t == RECEIVED_AT


def test_old_time_is_kept():
    raw, arguments = CASES["more than a week behind receipt"]
    assert wire.decode(raw, **arguments).t == RECEIVED_AT - WEEK - 1


def test_last_of_the_same_key_counts():
    raw, arguments = CASES["the same key twice"]
    assert message(raw, **arguments).message_id == "m-2"


def test_outcome_does_not_depend_on_our_own_depth():
    def deep(levels: int) -> Reason | None:
        if levels:
            return deep(levels - 1)
        try:
            wire.decode(nested(wire.MAX_DEPTH), received_at=None)
        except InvalidMessage as refusal:
            return refusal.reason
        return None

    assert deep(0) is None
    assert deep(700) is None


def test_typed_and_untyped_messages_are_the_same():
    typed = wire.decode(record(), received_at=RECEIVED_AT, key=b"c-8")
    assert typed == wire.decode(record(type=None), received_at=RECEIVED_AT, key=b"c-8")
    assert isinstance(typed.event, Message)
    assert typed.t == RECEIVED_AT


def test_type_may_stand_last():
    raw = b'{"score":4,"at":"2026-11-11T20:00:03+08:00","conversation_id":"c","type":"conversation.rated"}'
    event = wire.decode(raw, received_at=None, key=b"c").event
    assert isinstance(event, ConversationRated)
    assert (event.score, event.scale, wire.conversation_id(event)) == (4.0, 5.0, "c")


def test_status_of_an_agent_belongs_to_no_conversation():
    raw = b'{"type":"agent.status","at":5,"agent":"a","status":"away"}'
    assert wire.conversation_id(wire.decode(raw, received_at=None, key=b"a").event) is None


def test_unicode_key_is_compared_as_utf8():
    raw = record(conversation_id="会话-8")
    assert wire.decode(raw, received_at=RECEIVED_AT, key="会话-8".encode()).flags == ()


def test_times_of_both_forms_are_the_same_moment():
    written = wire.decode(timed(b'"2026-11-11T12:00:03.120999Z"'), received_at=RECEIVED_AT)
    assert written.t == RECEIVED_AT
