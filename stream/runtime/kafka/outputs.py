"""What a batch came to, as records: outputs for the world, states for the changelog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo

import msgspec

from alerts.model import Alert, Notification
from stream import wire
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.runtime.conversations import Applied
from stream.runtime.customers import Told
from stream.runtime.kafka import changelog
from stream.runtime.kafka.customers import partition_of
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.publisher import Confirmation, Headers, Publisher, Row

Route = Callable[[Alert], Sequence[Notification]]

ROUTED: Headers = (("yanshao-routed", b"1"),)
"""Marks an alert whose notifications were written beside it: whoever routes alerts leaves it alone."""


def is_routed(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Return whether an alert's notifications were written by whoever wrote the alert."""
    return any(name == ROUTED[0][0] for name, _ in headers)


def notification_row(notification: Notification) -> Row:
    """Return a notification as a record, of its receiver's topic and of the ledger alike."""
    return Row(notification.notification_id.encode(), msgspec.json.encode(notification))


async def tell(
    publisher: Publisher,
    names: Names,
    number: int,
    applied: Applied,
    zone: tzinfo,
    partitions: int,
    route: Route | None = None,
) -> list[Confirmation]:
    """Hand the outputs over; their partition is the conversation's, that of contacts the customer's.

    With a route an alert's notifications go along, which spares them the way through `qa.alerts`.

    Raises:
        stream.runtime.kafka.exits.WorkerExit: The broker takes nothing.
    """
    rows: dict[str, list[Row]] = {}
    contacts: dict[int, list[Row]] = {}
    notices: dict[str, list[Row]] = {}
    told: tuple[Summary | None, bytes] = (None, b"")
    for record in applied.records:
        if isinstance(record, Score):
            continue
        if isinstance(record, Contact):
            row = Row(record.key.encode(), _contact(record, told, zone))
            contacts.setdefault(partition_of(record.key, partitions), []).append(row)
            continue
        key = record.conversation_id.encode()
        if isinstance(record, Alert):
            headers: Headers = ()
            if route is not None:
                headers = ROUTED
                for notification in route(record):
                    topic = names.notify(notification.receiver)
                    notices.setdefault(topic, []).append(notification_row(notification))
            rows.setdefault(names.alerts, []).append(Row(key, wire.encode_alert(record, zone), headers))
        elif isinstance(record, Finding):
            rows.setdefault(names.findings, []).append(Row(key, wire.encode(record, zone)))
        elif isinstance(record, Summary):
            told = record, wire.encode(record, zone)
            rows.setdefault(names.conversations, []).append(Row(key, told[1]))
    confirmations: list[Confirmation] = []
    for topic, batch in rows.items():
        confirmations += await publisher.send(topic, number, batch)
    for partition, contact_rows in contacts.items():
        confirmations += await publisher.send_singly(names.contacts, contact_rows, partition)
    for topic, batch in notices.items():
        # One partition for the alerts of all: a whole batch would wait for those of the others.
        confirmations += await publisher.send_singly(topic, batch, 0)
    return confirmations


def _contact(contact: Contact, told: tuple[Summary | None, bytes], zone: tzinfo) -> bytes:
    """Return a contact's record; as a rule its summary is what was told just before, written already."""
    summary = contact.summary
    if summary is None:
        return wire.encode_contact(contact, None, zone)
    # Of two summaries in one step only the later was told.
    written = told[1] if summary is told[0] else wire.encode(summary, zone)
    return wire.encode_contact(contact, written, zone)


async def tell_amended(publisher: Publisher, names: Names, told: Told, zone: tzinfo) -> list[Confirmation]:
    """Hand over the summaries that customers' contacts changed, each to its conversation's partition.

    Raises:
        stream.runtime.kafka.exits.WorkerExit: The broker takes nothing.
    """
    confirmations: list[Confirmation] = []
    for summary, partition in ((one.summary, one.source_partition) for one in told.amended):
        row = Row(summary.conversation_id.encode(), wire.encode(summary, zone))
        confirmations += await publisher.send_singly(names.conversations, [row], partition)
    return confirmations


def state_rows(applied: Applied) -> list[Row]:
    """Return the changelog's rows: the new states, and gone records of what was forgotten."""
    rows = [Row(name.encode(), raw) for name, raw in applied.changed.items()]
    for name, offsets in applied.forgotten.items():
        kept = any(offset >= 0 for offset in offsets)
        rows.append(Row(name.encode(), changelog.gone(name, offsets) if kept else None))
    return rows
