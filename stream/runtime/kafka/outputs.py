"""What a batch came to, as records: outputs for the world, states for the changelog."""

from __future__ import annotations

from datetime import tzinfo

from alerts.model import Alert
from stream import wire
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.runtime.conversations import Applied
from stream.runtime.kafka import changelog
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.publisher import Confirmation, Publisher, Row


async def tell(
    publisher: Publisher, names: Names, number: int, applied: Applied, zone: tzinfo
) -> list[Confirmation]:
    """Hand the outputs over; their partition is the conversation's, contacts go by customer.

    Raises:
        stream.runtime.kafka.exits.WorkerExit: The broker takes nothing.
    """
    rows: dict[str, list[Row]] = {}
    contacts: list[Row] = []
    for record in applied.records:
        if isinstance(record, Score):
            continue
        if isinstance(record, Contact):
            contacts.append(Row(record.key.encode(), wire.encode(record, zone)))
            continue
        key = record.conversation_id.encode()
        if isinstance(record, Alert):
            rows.setdefault(names.alerts, []).append(Row(key, wire.encode_alert(record, zone)))
        elif isinstance(record, Finding):
            rows.setdefault(names.findings, []).append(Row(key, wire.encode(record, zone)))
        elif isinstance(record, Summary):
            rows.setdefault(names.conversations, []).append(Row(key, wire.encode(record, zone)))
    confirmations: list[Confirmation] = []
    for topic, batch in rows.items():
        confirmations += await publisher.send(topic, number, batch)
    if contacts:
        confirmations += await publisher.send_singly(names.contacts, contacts)
    return confirmations


def state_rows(applied: Applied) -> list[Row]:
    """Return the changelog's rows: the new states, and gone records of what was forgotten."""
    rows = [Row(name.encode(), raw) for name, raw in applied.changed.items()]
    for name, offsets in applied.forgotten.items():
        kept = any(offset >= 0 for offset in offsets)
        rows.append(Row(name.encode(), changelog.gone(name, offsets) if kept else None))
    return rows
