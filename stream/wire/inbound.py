"""Bytes to events: decodes one record of the wire contract and settles its business time.

What becomes of every kind of bad input is tabled in ``docs/events.md``; each row there is a test.

Theory of operation. Nearly all traffic is messages, and a message may leave ``type`` out. msgspec
accepts a lone tagged struct without its tag, so the ``Message`` decoder reads both forms in one pass
with no look at the type first. Only when it refuses is the tagged union asked, which knows the other
types. Everything that mends or explains is on the slow path behind both.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

import msgspec

from stream.core.events import LAST_MS, AnyEvent, Flag, Message, Received, Tick, millis
from stream.wire.errors import InvalidMessage, Reason

MAX_BYTES: Final = 64 * 1024
"""Design §3. Bytes of one record; the longest chat message of any platform is a tenth of it."""

MAX_DEPTH: Final = 32
"""Nested brackets. The contract's own fields need 3; ``attributes`` may hold what they like, but a
state record and every output must be able to nest them once more without a recursion error."""

MAX_SKEW_MS: Final = 5 * 60 * 1000
"""Design §2, Time: how far ahead of receipt a sender's clock may run before ``t`` is clamped."""

MAX_AGE_MS: Final = 7 * 24 * 60 * 60 * 1000
"""Older than this at receipt is flagged. A week covers a long outage's backlog; what lies behind it
is an old file sent as if live, or epoch seconds sent for milliseconds (January 1970)."""

_BOM: Final = b"\xef\xbb\xbf"

_MESSAGE: Final = msgspec.json.Decoder(Message)
_ANY: Final = msgspec.json.Decoder(AnyEvent)


class Unchecked(Enum):
    """Says that a record has no key to check, which is not the same as an absent key (None)."""

    UNCHECKED = "unchecked"


UNCHECKED: Final = Unchecked.UNCHECKED


def decode(raw: bytes, *, received_at: int | None, key: bytes | Unchecked | None = UNCHECKED) -> Received:
    """Return the event in ``raw`` with its business time settled.

    Args:
        raw: one JSON object of the wire contract, UTF-8, at most 64 KiB.
        received_at: epoch milliseconds of receipt; a time more than 5 minutes ahead of it is clamped
            to it. None on the ``stream`` driver, whose clock is the events themselves.
        key: the Kafka key, which must be the conversation's id; not checked where there is none.

    Raises:
        InvalidMessage: the record cannot be used; the reason says why.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidMessage(Reason.TOO_LARGE, f"{len(raw)} bytes, at most {MAX_BYTES}")
    # No record is deeper than it has opening brackets: counting clears nearly all of them.
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
        _check_depth(raw)
    flags: tuple[Flag, ...] = ()
    event: AnyEvent
    try:
        event = _MESSAGE.decode(raw)
    except msgspec.ValidationError:
        try:
            event = _ANY.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            event, flags = _decode_slowly(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        event, flags = _decode_slowly(raw)
    if key is not UNCHECKED:
        _check_key(event, key)
    t = millis(event.at)
    if not 0 <= t <= LAST_MS:
        raise InvalidMessage(Reason.BAD_TIME, "time outside 1970 to 2099")
    if received_at is not None and not received_at - MAX_AGE_MS <= t <= received_at + MAX_SKEW_MS:
        flag = Flag.OLD if t < received_at else Flag.CLOCK_SKEW
        return Received(event, min(t, received_at), (*flags, flag))
    return Received(event, t, flags)


def conversation_id(event: AnyEvent) -> str | None:
    """Return the conversation an event belongs to; None for a tick and for an agent's own status."""
    return None if isinstance(event, Tick) else event.conversation_id


def _check_key(event: AnyEvent, key: bytes | None) -> None:
    """Refuse a record whose key is not its conversation's id.

    Ticks and statuses without a conversation go to every partition, so any key will do for them.
    """
    owner = conversation_id(event)
    if owner is not None and (key is None or owner.encode() != key):
        raise InvalidMessage(Reason.KEY_MISMATCH, "no key" if not key else "key is not the conversation_id")


def _decode_slowly(raw: bytes) -> tuple[AnyEvent, tuple[Flag, ...]]:
    """Decode what the fast way refused: something to mend, or a fault to name."""
    try:
        return _decode_any(raw), ()
    except InvalidMessage as refusal:
        mended = mend_surrogates(raw.removeprefix(_BOM))
        if refusal.reason is not Reason.NOT_JSON or mended == raw:
            raise
        return _decode_any(mended), (Flag.BAD_UNICODE,) if _bad_surrogates(raw) else ()


def _decode_any(raw: bytes) -> AnyEvent:
    try:
        return _MESSAGE.decode(raw)
    except UnicodeDecodeError:
        raise InvalidMessage(Reason.NOT_UTF8, "bytes that are no UTF-8") from None
    except msgspec.ValidationError as error:
        as_message = error
    except msgspec.DecodeError as error:
        # msgspec says where JSON broke off, and quotes nothing of the record.
        raise InvalidMessage(Reason.NOT_JSON, str(error)) from None
    try:
        event: AnyEvent = _ANY.decode(raw)
    except UnicodeDecodeError:
        raise InvalidMessage(Reason.NOT_UTF8, "bytes that are no UTF-8") from None
    except msgspec.ValidationError as error:
        # Without a type it was meant as a message, and that is the fault worth telling.
        untyped = str(error) == _NO_TYPE
        raise explain(as_message if untyped else error) from None
    except msgspec.DecodeError as error:
        raise InvalidMessage(Reason.NOT_JSON, str(error)) from None
    return event


# msgspec's wording (0.20 to 0.22); tests/unit/test_wire_bad_input.py fails when it changes.
_NO_TYPE: Final = "Object missing required field `type`"
_PATH: Final = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def explain(error: msgspec.ValidationError) -> InvalidMessage:
    """Return the refusal that ``error`` stands for, with nothing of the record in its text.

    msgspec quotes the offending value of an enum or tag; everything else in its messages comes from
    the types: names, bounds and the path.
    """
    match = _PATH.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else ("", "$")
    if what.startswith("Object missing required field"):
        return InvalidMessage(Reason.MISSING_FIELD, f"{path}: {what}")
    if what.startswith("Invalid value"):
        return InvalidMessage(Reason.UNKNOWN_TYPE, f"{path}: no event type of this version")
    if what.startswith("Invalid enum value"):
        return InvalidMessage(Reason.BAD_VALUE, f"{path}: not one of the allowed values")
    if path in ("$.sent_at", "$.at", "$.until") or what.startswith("Invalid RFC3339"):
        return InvalidMessage(Reason.BAD_TIME, f"{path}: {what}")
    if what.startswith("Number out of range") or re.match(r"Expected `\w+` (of length )?[<>]", what):
        return InvalidMessage(Reason.BAD_VALUE, f"{path}: {what}")
    return InvalidMessage(Reason.WRONG_TYPE, f"{path}: {what}")


_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[{]|[\]}]")


def _check_depth(raw: bytes) -> None:
    """Refuse nesting beyond ``MAX_DEPTH``, the same at any depth of our own call stack."""
    depth = 0
    for bracket in _BRACKET.findall(_QUOTED.sub(b"", raw)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise InvalidMessage(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH}")


# A whole pair, half of one, or any other escape: taken in turn, so that the second backslash of
# an escaped backslash never starts an escape.
_ESCAPE: Final = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend_surrogates(raw: bytes) -> bytes:
    r"""Return ``raw`` with every escaped half of a surrogate pair replaced by ``\ufffd``."""
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match["half"] else match[0], raw)


def _bad_surrogates(raw: bytes) -> bool:
    return mend_surrogates(raw) != raw
