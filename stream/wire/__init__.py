"""Bytes to events and records to bytes, and nothing else of either.

``inbound`` decodes the wire contract, ``outbound`` encodes what we tell, ``files`` reads recorded
events line by line; ``mapping`` (imported by name: it brings YAML and JMESPath with it) turns foreign
payloads into events.
"""

from alerts.wire import DEFAULT_ZONE, rfc3339
from stream.wire.errors import InvalidMessage, Reason
from stream.wire.files import open_lines, read_events
from stream.wire.inbound import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_SKEW_MS,
    UNCHECKED,
    Unchecked,
    conversation_id,
    decode,
)
from stream.wire.outbound import (
    encode,
    encode_alert,
    encode_contact,
    encode_event,
    read,
    read_alert,
    read_contact,
)
from stream.wire.packing import pack_summary, unpack_summary

__all__ = [
    "DEFAULT_ZONE",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_SKEW_MS",
    "UNCHECKED",
    "InvalidMessage",
    "Reason",
    "Unchecked",
    "conversation_id",
    "decode",
    "encode",
    "encode_alert",
    "encode_contact",
    "encode_event",
    "open_lines",
    "pack_summary",
    "read",
    "read_alert",
    "read_contact",
    "read_events",
    "rfc3339",
    "unpack_summary",
]
