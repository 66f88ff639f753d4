"""Records to bytes and back: what we tell the world, and what our own topics carry.

The same record always gives the same bytes: fields stand in the order of their type, keys of
mappings are sorted, times are RFC 3339 with milliseconds in the zone asked for, floats have four
decimals (no score is known better than that, and one more bit of noise must not change a file).

How each field is written follows from its annotation alone. The plan of a type is drawn up once, at
import, so that writing a finding is one copy and one pass of msgspec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from alerts.model import Alert
from alerts.wire import DEFAULT_ZONE, alert_from_document, alert_with_texts, rfc3339
from stream.core.events import LAST_MS, AnyEvent, At, Timer, millis
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.wire.errors import InvalidMessage, Reason
from stream.wire.inbound import explain
from stream.wire.twins import twin

DECIMALS: Final = 4
"""Scores come from a linear model on short texts; the fourth decimal is already beyond its knowledge."""

Record = Finding | Score | Summary | Contact | Timer
T = TypeVar("T", Finding, Score, Summary, Contact, Timer)

_Write = Callable[[Any, tzinfo], Any]
_Read = Callable[[Any], Any]

_NULL: Final = msgspec.Raw(b"null")
_CONTACT: Final = msgspec.json.Decoder(twin(Contact, summary=msgspec.Raw))
_SUMMARY: Final = msgspec.json.Decoder(twin(Summary))

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def encode(record: Record, zone: tzinfo = DEFAULT_ZONE) -> bytes:
    """Return a record as one JSON object, without a newline; the same record, the same bytes."""
    return _ENCODER.encode(_PLANS[type(record)].write(record, zone))


def encode_contact(contact: Contact, summary: bytes | None, zone: tzinfo = DEFAULT_ZONE) -> bytes:
    """Return a contact with its summary as ``encode`` wrote that: it is not written twice."""
    bare = _PLANS[Contact].write(msgspec.structs.replace(contact, summary=None), zone)
    if summary is not None:
        bare = msgspec.structs.replace(bare, summary=msgspec.Raw(summary))
    return _ENCODER.encode(bare)


def read_contact(raw: bytes) -> tuple[Contact, bytes | None]:
    """Return the contact of a record without its summary, and that as it stands there, checked.

    Raises:
        InvalidMessage: ``raw`` is no JSON, or no contact, or holds a summary that is none: it would be read
            only when the customer's day is settled, where nobody could refuse it any more.
    """
    try:
        contact, summary = _contact_of_ours(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _any_contact(raw)
    _check(contact)
    return contact, summary


def _contact_of_ours(raw: bytes) -> tuple[Contact, bytes | None]:
    """Return the contact and its summary, in a pass each; raises what msgspec does where that cannot be."""
    document = msgspec.structs.asdict(_CONTACT.decode(raw))
    carried, closed_at = document["summary"], document["closed_at"]
    summary = None if carried is None or carried == _NULL else bytes(carried)
    if summary is not None:
        _SUMMARY.decode(summary)
    document |= {
        "summary": None,
        "opened_at": millis(document["opened_at"]),
        "closed_at": None if closed_at is None else millis(closed_at),
    }
    return Contact(**document), summary


def _any_contact(raw: bytes) -> tuple[Contact, bytes | None]:
    """Return the contact and its summary, or say what is wrong with them."""
    fields = _load(raw, dict[str, msgspec.Raw])
    summary = fields.pop("summary", _NULL)
    document = {name: _decoded(msgspec.json.decode, value) for name, value in fields.items()}
    contact = _convert(Contact, document)
    _check(contact)
    if summary == _NULL:
        return contact, None
    read(Summary, bytes(summary))
    return contact, bytes(summary)


def _check(contact: Contact) -> None:
    """Refuse a contact that no customer's record could keep."""
    # Days are counted from the one to the other.
    if not all(0 <= at <= _LAST_CLOSE for at in (contact.opened_at, contact.closed_at or 0)):
        raise InvalidMessage(Reason.BAD_TIME, "time outside 1970 to 2099")
    if not all(0 <= one < _MOST for one in (contact.revision, contact.source_partition or 0)):
        raise InvalidMessage(Reason.BAD_VALUE, "a revision or a partition that cannot be")


def read(kind: type[T], raw: bytes) -> T:
    """Return the record that ``encode`` wrote. Unknown fields are ignored.

    Raises:
        InvalidMessage: ``raw`` is no JSON, or not such a record.
    """
    return _convert(kind, _load(raw))


def _convert(kind: type[T], document: dict[str, Any]) -> T:
    try:
        return msgspec.convert(_PLANS[kind].read(document), kind)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    except ValueError:
        raise InvalidMessage(Reason.BAD_TIME, "a time that is no RFC 3339 with an offset") from None


def encode_alert(alert: Alert, zone: tzinfo = DEFAULT_ZONE) -> bytes:
    """Return an alert as one JSON object, without a newline; the same alert, the same bytes."""
    return _ENCODER.encode(alert_with_texts(alert, zone))


def read_alert(raw: bytes) -> Alert:
    """Return the alert that ``encode_alert`` wrote. Unknown fields are ignored.

    Raises:
        InvalidMessage: ``raw`` is no JSON, or no alert.
    """
    document = _load(raw)
    try:
        return alert_from_document(document)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    except (ValueError, TypeError):
        raise InvalidMessage(Reason.BAD_TIME, "a time that is no RFC 3339 with an offset") from None


def encode_event(event: AnyEvent) -> bytes:
    """Return an event as one record of ``chat.messages``: what it does not say is left out."""
    return _ENCODER.encode(event)


def _load(raw: bytes, kind: Any = dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = _decoded(lambda text: msgspec.json.decode(text, type=kind), raw)
    return document


def _decoded(decode: Callable[[bytes | msgspec.Raw], Any], raw: bytes | msgspec.Raw) -> Any:
    """Return what a decoder makes of bytes that anybody may have written."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    except msgspec.DecodeError as error:
        raise InvalidMessage(Reason.NOT_JSON, str(error)) from None
    except UnicodeDecodeError:
        raise InvalidMessage(Reason.NOT_UTF8, "bytes that are no UTF-8") from None
    except RecursionError:
        raise InvalidMessage(Reason.TOO_DEEP, "nested too deep to be read") from None


_MOST: Final = 2**31
"""Beyond any revision or partition; larger numbers could not be kept in a customer's record."""

_LAST_CLOSE: Final = LAST_MS + 366 * 86_400_000
"""A conversation is closed later than its last event: by silence, at most a year of it by the settings."""


# Plans.


class _Plan:
    """How the fields of one struct are written and read, where that is not msgspec's own way."""

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        hints = get_type_hints(kind, include_extras=True)
        pairs = {name: _ways(hints[name]) for name in kind.__struct_fields__}
        self._writes = tuple((name, pair[0]) for name, pair in pairs.items() if pair)
        self._reads = tuple((name, pair[1]) for name, pair in pairs.items() if pair)

    def write(self, record: msgspec.Struct, zone: tzinfo) -> msgspec.Struct:
        """Return a copy whose values are as they stand on the wire."""
        changed = {}
        for name, way in self._writes:
            value = getattr(record, name)
            if value is not None:
                changed[name] = way(value, zone)
        # Structs do not check values against annotations, which lets a text stand for a time.
        return msgspec.structs.replace(record, **changed)

    def read(self, document: Any) -> Any:
        """Return the document with its values as the struct holds them."""
        if not isinstance(document, Mapping):
            return document  # msgspec.convert says what is wrong with it
        return {
            **document,
            **{name: way(document[name]) for name, way in self._reads if name in document},
        }


def _ways(hint: Any) -> tuple[_Write, _Read] | None:
    """Return how to write and read a value of an annotation, None where msgspec's way will do."""
    if hint == At:
        return _rfc3339, _to_millis
    if hint is float:
        return _to_decimals, _as_is
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _ways(args[0])
    if origin in (Union, UnionType):
        return _optional([arg for arg in args if arg is not NoneType])
    if origin in (tuple, list):
        return _many(args[0])
    if origin is dict:
        return _mapping(args[1])
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        plan = _Plan(hint)
        return plan.write, plan.read
    return None


def _optional(choices: list[Any]) -> tuple[_Write, _Read] | None:
    ways = _ways(choices[0]) if len(choices) == 1 else None
    if ways is None:
        return None
    write, read_ = ways
    return (
        lambda value, zone: None if value is None else write(value, zone),
        lambda value: None if value is None else read_(value),
    )


def _many(item: Any) -> tuple[_Write, _Read] | None:
    ways = _ways(item)
    if ways is None:
        return None
    write, read_ = ways
    return (
        lambda values, zone: [write(value, zone) for value in values],
        lambda values: [read_(value) for value in values] if isinstance(values, list) else values,
    )


def _mapping(item: Any) -> tuple[_Write, _Read] | None:
    ways = _ways(item)
    if ways is None:
        return None
    write, read_ = ways
    return (
        lambda values, zone: {name: write(value, zone) for name, value in values.items()},
        lambda values: (
            {name: read_(value) for name, value in values.items()} if isinstance(values, dict) else values
        ),
    )


# The units of a summary's response metrics name the same moments five times over; writing one anew takes
# thirty times as long. A batch's records fit.
_rfc3339 = lru_cache(maxsize=1024)(rfc3339)


def _to_millis(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    moment = msgspec.convert(value, datetime)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return millis(moment)


def _to_decimals(value: float, _zone: tzinfo) -> float:
    # float(): a whole number held as int must not look different. + 0.0: -0.0 is written 0.0.
    return round(float(value), DECIMALS) + 0.0


def _as_is(value: Any) -> Any:
    return value


_PLANS: Final[dict[type, _Plan]] = {kind: _Plan(kind) for kind in (Finding, Score, Summary, Contact, Timer)}
