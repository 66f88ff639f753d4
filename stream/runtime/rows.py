"""Output records as rows of the embedded runtime's store."""

from __future__ import annotations

from datetime import tzinfo

from msgspec.structs import replace

from alerts.model import Alert
from stream import wire
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.runtime.conversations import Record
from stream.runtime.store import RecordRow


def row_of(record: Record, zone: tzinfo) -> RecordRow:
    """Return an output record as a row of the store."""
    if isinstance(record, Alert):
        body = wire.encode_alert(record, zone)
        return RecordRow("alert", record.alert_id, record.conversation_id, record.at, body)
    if isinstance(record, Contact):
        record = replace(record, summary=None)  # it has a row of its own
    body = wire.encode(record, zone)
    if isinstance(record, Finding):
        return RecordRow("finding", record.finding_id, record.conversation_id, record.at, body)
    if isinstance(record, Score):
        return RecordRow("score", record.message_id, record.conversation_id, 0, body)
    if isinstance(record, Summary):
        return RecordRow(
            "conversation", record.conversation_id, record.conversation_id, record.closed_at, body
        )
    if isinstance(record, Contact):
        return RecordRow("contact", record.key, record.conversation_id, record.opened_at, body)
    raise TypeError(type(record).__name__)
