"""Why a record could not be used: one closed list for headers, metric labels and tests."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a record was refused. The value is the dead letter's ``reason`` header."""

    TOO_LARGE = "too_large"  # more than 64 KiB
    NOT_JSON = "not_json"  # no JSON, not one JSON value, or NaN and Infinity, which JSON has not
    NOT_UTF8 = "not_utf8"  # bytes that are no UTF-8 in a field we read
    TOO_DEEP = "too_deep"  # brackets nested deeper than any event needs
    WRONG_TYPE = "wrong_type"  # a field, or the record itself, of another JSON type than the contract's
    MISSING_FIELD = "missing_field"  # a required field is not there
    BAD_VALUE = "bad_value"  # right type, value not allowed: unknown role, empty or over-long id
    BAD_TIME = "bad_time"  # no RFC 3339 time with an offset, or outside 1970 to 2099
    UNKNOWN_TYPE = "unknown_type"  # an event type this version does not have
    KEY_MISMATCH = "key_mismatch"  # the Kafka key is absent or is not the conversation's id
    NOT_MAPPED = "not_mapped"  # a foreign payload from which the mapping could not make an event
    INTERNAL = "internal"  # our own fault: set by a runtime, with the traceback in its log


class InvalidMessage(Exception):  # noqa: N818 - the project's word for "their data, not our fault"
    """A record that cannot be used; it goes to the dead letters and is never retried.

    ``detail`` names field paths and types only. It never holds a value from the record, so it may
    be logged and answered over HTTP.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
