"""Records of the partition's source topics, and what they are to its processor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream import wire
from stream.core.events import Timer
from stream.core.state import Source
from stream.runtime.conversations import Input
from stream.runtime.customers import Contacted
from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.inbox import Fed
from stream.runtime.kafka.versions import refuse_newer


def decode(source: Source, record: Record, *, live: bool) -> Input | Contacted:
    """Return what a record asks to be applied.

    `live` stamps messages with their receipt, the broker's own.

    Raises:
        InvalidMessage: The record cannot be used.
        WorkerExit: It is of our own topics, and a newer release wrote it.
    """
    raw = record.value or b""
    if record.headers and source is not Source.MESSAGES:
        refuse_newer(record, f"qa.{source.name.lower()}")
    match source:
        case Source.MESSAGES:
            received_at = record.timestamp if live else None
            received = wire.decode(raw, received_at=received_at, key=record.key)
            return Input(received, source, record.offset)
        case Source.TIMERS:
            return Input(wire.read(Timer, raw), source, record.offset)
        case _:
            contact, summary = wire.read_contact(raw)
            return Contacted(contact, b"" if summary is None else wire.pack_summary(summary), record.offset)


def record_of(
    source: Source, offset: int, fed: Sequence[Fed], sources: Mapping[str, Source]
) -> tuple[Fed, Record]:
    """Return the record at an offset of a source, and the batch it came with.

    Raises:
        LookupError: None of the batches has it.
    """
    for one in fed:
        if sources[one.batch.topic] is source:
            for record in one.batch.records:
                if record.offset == offset:
                    return one, record
    raise LookupError(f"no record at offset {offset}")
