"""Bytes to events and records to bytes, and nothing else of either.

``inbound`` decodes the wire contract, ``outbound`` encodes what we tell, ``files`` reads recorded
events line by line; ``mapping`` (imported by name: it brings YAML and JMESPath with it) turns foreign
payloads into events.
"""

from stream.wire.errors import InvalidMessage, Reason
from stream.wire.inbound import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_SKEW_MS,
    UNCHECKED,
    Unchecked,
    conversation_id,
    decode,
)

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_SKEW_MS",
    "UNCHECKED",
    "InvalidMessage",
    "Reason",
    "Unchecked",
    "conversation_id",
    "decode",
]
