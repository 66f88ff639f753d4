"""Alerts as other programs and people read them: JSON with RFC 3339 times.

This is the alert record of the wire contract (`qa.alerts`, `alerts.jsonl`) and the `data` of a
webhook. Inside the process and in the ledger the structs of `alerts.model` are encoded as they are.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from alerts.model import Alert, AlertFinding

DEFAULT_ZONE = timezone(timedelta(hours=8))
"""China has one time zone and no summer time; the platforms served first are there."""

_ALERT_TIMES = ("starts_at", "ends_at", "at")
_OWED_TIMES = ("since", "until")

_SECONDS_END = len("2026-11-11T20:00:03")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def rfc3339(at_ms: int, zone: tzinfo = DEFAULT_ZONE) -> str:
    """`at_ms` (epoch milliseconds) with milliseconds and offset, as `2026-11-11T20:00:03.120+08:00`."""
    # From whole seconds: dividing by 1000 would round some milliseconds down.
    seconds, milliseconds = divmod(at_ms, 1000)
    until_seconds, offset = _to_the_second(seconds, zone)
    return f"{until_seconds}.{milliseconds:03d}{offset}"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int, zone: tzinfo) -> tuple[str, str]:
    """The moment before its fraction, and the offset behind it; records repeat a few moments many times."""
    text = datetime.fromtimestamp(seconds, zone).isoformat()
    return text[:_SECONDS_END], text[_SECONDS_END:]


def epoch_ms(value: str | int) -> int:
    """Epoch milliseconds of an RFC 3339 time with offset, or of epoch milliseconds themselves.

    Raises:
        ValueError: it is neither, or has no offset.
    """
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return (moment - _EPOCH) // _MILLISECOND


def alert_with_texts(alert: Alert, zone: tzinfo = DEFAULT_ZONE) -> Alert:
    """The alert with its times as the wire has them, for an encoder: structs do not check what they hold."""
    texts: dict[str, Any] = {
        field: rfc3339(at, zone) for field in _ALERT_TIMES if (at := getattr(alert, field)) is not None
    }
    findings = [replace(finding, at=rfc3339(finding.at, zone)) for finding in alert.findings]
    owed = alert.owed
    if owed is not None:
        owed = replace(owed, **{field: rfc3339(getattr(owed, field), zone) for field in _OWED_TIMES})
    return replace(alert, findings=findings, owed=owed, **texts)


def alert_document(alert: Alert, zone: tzinfo = DEFAULT_ZONE) -> dict[str, Any]:
    """The alert as a JSON object of the wire contract; `alert_from_document` reads it back."""
    document: dict[str, Any] = msgspec.to_builtins(alert_with_texts(alert, zone))
    return document


def alert_from_document(document: dict[str, Any]) -> Alert:
    """The alert that `alert_document` wrote. Unknown fields are ignored.

    Raises:
        ValueError: a field is missing or of the wrong type (msgspec.ValidationError is one).
    """
    times = {field: epoch_ms(document[field]) for field in _ALERT_TIMES if document.get(field) is not None}
    findings = [
        msgspec.convert(finding | {"at": epoch_ms(finding["at"])}, AlertFinding)
        if isinstance(finding, dict) and "at" in finding
        else finding
        for finding in document.get("findings", ())
    ]
    owed = document.get("owed")
    if isinstance(owed, dict):
        owed = owed | {field: epoch_ms(owed[field]) for field in _OWED_TIMES if field in owed}
    return msgspec.convert(document | times | {"findings": findings, "owed": owed}, Alert)


def encode_alert(alert: Alert, zone: tzinfo = DEFAULT_ZONE) -> bytes:
    """One line of `alerts.jsonl` or one record of `qa.alerts`, without the newline."""
    return msgspec.json.encode(alert_with_texts(alert, zone))


def decode_alert(data: bytes | str) -> Alert:
    """The alert in `data`.

    Raises:
        ValueError: it is no JSON, or no alert.
    """
    return alert_from_document(msgspec.json.decode(data, type=dict[str, Any]))
