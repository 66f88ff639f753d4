"""Random records: our decoder and the published schema agree on what is an event."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream import wire
from stream.core.events import LAST_MS, ContentKind, Level, Mode, Presence, Received, Role
from stream.wire import InvalidMessage, Reason
from stream.wire.inbound import MAX_AGE_MS, MAX_SKEW_MS, mend_surrogates

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "event.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
OPTIONAL = st.none() | TEXT
TIMES = st.integers(0, LAST_MS) | st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(2099, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, wire.DEFAULT_ZONE]),
).map(lambda moment: moment.isoformat())
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def enum(kind: Any) -> st.SearchStrategy[str]:
    return st.sampled_from([item.value for item in kind])


SHARED: dict[str, Any] = {
    "shop_id": OPTIONAL,
    "channel": OPTIONAL,
    "group": OPTIONAL,
    "customer": st.none() | st.fixed_dictionaries({}, optional={"id": OPTIONAL, "tier": OPTIONAL}),
    "attributes": st.none() | st.dictionaries(TEXT, JSON, max_size=3),
}
OF_CONVERSATION: dict[str, Any] = {"conversation_id": IDS, "at": TIMES}
MESSAGES = st.fixed_dictionaries(
    {
        "conversation_id": IDS,
        "message_id": IDS,
        "sent_at": TIMES,
        "sender": st.fixed_dictionaries(
            {"role": enum(Role)},
            optional={"id": OPTIONAL, "name": OPTIONAL, "mode": enum(Mode), "level": st.none() | enum(Level)},
        ),
        "content": st.fixed_dictionaries({}, optional={"kind": enum(ContentKind), "text": TEXT}),
    },
    optional=SHARED | {"type": st.just("message")},
)


def events(tag: str, required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"type": st.just(tag)} | required, optional=SHARED | optional)


ISSUE = OF_CONVERSATION | {"issue_id": IDS}
NUMBERS = st.floats(-1e9, 1e9, allow_nan=False) | st.integers(-(10**9), 10**9)
ORDER = {"order_id": OPTIONAL, "product": OPTIONAL, "amount": st.none() | NUMBERS, "reason": OPTIONAL}
OTHERS = st.one_of(
    events("conversation.opened", OF_CONVERSATION, {}),
    events("conversation.assigned", OF_CONVERSATION, {"agent": OPTIONAL, "level": st.none() | enum(Level)}),
    events("conversation.transferred", OF_CONVERSATION, {"to_group": OPTIONAL, "reason": OPTIONAL}),
    events("issue.opened", ISSUE, {"category": OPTIONAL, "priority": OPTIONAL}),
    events("issue.handed_off", ISSUE, {"to": OPTIONAL}),
    events("issue.answered", ISSUE, {"by": OPTIONAL}),
    events("issue.paused", ISSUE, {"reason": OPTIONAL}),
    events("issue.resumed", ISSUE, {"reason": OPTIONAL}),
    events("issue.resolved", ISSUE, {}),
    events("conversation.closed", OF_CONVERSATION, {"by": OPTIONAL, "reason": OPTIONAL}),
    events(
        "conversation.rated",
        OF_CONVERSATION | {"score": NUMBERS},
        {"scale": st.floats(0.5, 100), "comment": OPTIONAL},
    ),
    events("agent.status", {"at": TIMES, "agent": TEXT, "status": enum(Presence)}, {"conversation_id": IDS}),
    *(events(f"order.{step}", OF_CONVERSATION, ORDER) for step in ("created", "paid", "shipped", "refunded")),
    st.fixed_dictionaries({"type": st.just("tick"), "at": TIMES}),
)
EVENTS = MESSAGES | OTHERS


def outcome(raw: bytes, **arguments: Any) -> Received | InvalidMessage:
    """Return what ``decode`` gives or raises; anything but these two fails the test."""
    try:
        return wire.decode(raw, **({"received_at": None} | arguments))
    except InvalidMessage as refusal:
        return refusal


def dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


@given(EVENTS)
def test_event_of_the_contract_decodes_validates_and_comes_back(document):
    VALIDATOR.validate(document)
    received = wire.decode(dumped(document), received_at=None)
    assert received.flags == ()
    again = wire.decode(wire.encode_event(received.event), received_at=None)
    assert again == received


@st.composite
def mutated(draw: Any) -> Any:
    """Draw an event with one thing changed somewhere, of another type or value."""
    document = json.loads(dumped(draw(EVENTS)))
    places = [(document, key) for key in document]
    for inner in ("sender", "content", "customer"):
        if isinstance(document.get(inner), dict):
            places += [(document[inner], key) for key in document[inner]]
    owner, key = draw(st.sampled_from(places))
    if draw(st.booleans()):
        del owner[key]
    else:
        owner[key] = draw(
            st.none()
            | st.booleans()
            | st.integers(-10, 10)
            | st.sampled_from([[], {}, "", "boss", "x" * 257, "x" * 5000, 0.5, [1], {"role": "agent"}])
        )
    return document


def judged_by_format_alone(document: Any) -> bool:
    """Whether its time is a text: of those the schema says the format, which validators need not check."""
    return any(isinstance(document.get(field), str) for field in ("at", "sent_at"))


@given(mutated())
@settings(max_examples=300)
def test_schema_and_decoder_agree_on_changed_events(document):
    found = outcome(dumped(document))
    if isinstance(found, Received):
        assert VALIDATOR.is_valid(document)
    elif not (found.reason is Reason.BAD_TIME and judged_by_format_alone(document)):
        assert not VALIDATOR.is_valid(document), found


@given(st.binary(max_size=300))
@example(b'"')
@example(b'{"type":"message","x":"\\ud800')
def test_any_bytes_are_decoded_or_refused(raw):
    found = outcome(raw, received_at=0, key=raw)
    assert isinstance(found, Received) or found.reason in Reason


@given(MESSAGES, st.data())
def test_damaged_bytes_are_decoded_or_refused(document, data):
    raw = bytearray(dumped(document))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    found = outcome(bytes(raw))
    assert isinstance(found, Received) or found.reason in Reason


@given(st.integers(0, LAST_MS), st.integers(0, LAST_MS))
def test_time_is_clamped_only_when_it_is_ahead(t, received_at):
    raw = b'{"type":"tick","at":%d}' % t
    received = wire.decode(raw, received_at=received_at)
    assert received.t == (received_at if t > received_at + MAX_SKEW_MS else t)
    assert bool(received.flags) == (t > received_at + MAX_SKEW_MS or t < received_at - MAX_AGE_MS)
    assert wire.decode(raw, received_at=None).t == t


@given(st.text(max_size=30))
def test_mending_touches_nothing_but_halves_of_pairs(text):
    """The standard library writes halves as escapes; read back, they are the only difference."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    mended = msgspec.json.decode(mend_surrogates(json.dumps(text).encode()))
    pairs = any("\ud800" <= char <= "\udfff" for char in text)
    assert (mended == text) if not pairs else ("\ufffd" in mended or mended == whole)


@given(st.lists(TEXT.filter(lambda line: "\n" not in line and "\r" not in line), max_size=20))
def test_every_line_that_is_not_blank_is_read_once(lines):
    raw = [line.encode() for line in lines]
    found = list(wire.read_events(io.BytesIO(b"\n".join(raw))))
    expected = [
        (number, line)
        for number, line in enumerate(raw, start=1)
        if line and not line.isspace() and line != b"\xef\xbb\xbf"
    ]
    assert [(n, line.removeprefix(b"\xef\xbb\xbf") if n == 1 else line) for n, line in expected] == found
