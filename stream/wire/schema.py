"""The published form of the contract: JSON Schemas and an AsyncAPI document, from the types.

``stream.docs`` writes them into ``docs/``; a test fails when they drift from the types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from alerts.model import Alert, AlertFinding, Owed
from stream.core.events import AnyEvent, Message, Timer
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.wire.errors import Reason

CONTRACT_VERSION: Final = "1.0.0"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

RECORDS: Final[Mapping[str, tuple[Any, str]]] = {
    "event": (AnyEvent, "A record of chat.messages"),
    "finding": (Finding, "A record of qa.findings, a line of findings.jsonl"),
    "alert": (Alert, "A record of qa.alerts, a line of alerts.jsonl"),
    "conversation": (Summary, "A record of qa.conversations, a line of conversations.jsonl"),
    "contact": (Contact, "A record of qa.contacts"),
    "score": (Score, "A line of scores.jsonl"),
    "timer": (Timer, "A record of qa.timers"),
}

_DATE_TIME: Final = {"type": "string", "format": "date-time"}
_AT: Final = {"type": "integer", "format": "date-time"}  # what msgspec makes of ``events.At``
_INTEGER: Final = {"type": "integer"}
_ALERT_TIMES: Final = {
    Alert: ("starts_at", "ends_at", "at"),
    AlertFinding: ("at",),
    Owed: ("since", "until"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of every record, by the record's name."""
    return {name: _schema(name, kind, title) for name, (kind, title) in RECORDS.items()}


def _schema(name: str, kind: Any, title: str) -> dict[str, Any]:
    (body,), definitions = _components((kind,), "#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": f"urn:yanshao:wire:1:{name}",
        "title": title,
        **body,
        "$defs": dict(sorted(definitions.items())),
    }


def _components(kinds: tuple[Any, ...], template: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return msgspec's schemas, with what it cannot know from the types put right."""
    bodies, definitions = msgspec.json.schema_components(kinds, ref_template=template)
    message = definitions.get(Message.__name__)
    if message is not None:
        # A message is the one event that may leave its type out.
        message["required"] = [field for field in message["required"] if field != "type"]
    for kind, fields in _ALERT_TIMES.items():
        properties = definitions.get(kind.__name__, {}).get("properties", {})
        for field in fields:
            if field in properties:
                properties[field] = _as_time(properties[field])
    for body in (*bodies, *definitions.values()):
        body.pop("discriminator", None)  # OpenAPI's word; AsyncAPI means another thing by it
        _name_times(body)
    return tuple(bodies), definitions


def _name_times(schema: Any) -> None:
    """Replace what an ``At`` is in the process by what it is on the wire, wherever it stands."""
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and schema.items() >= _AT.items():
        schema.update(_DATE_TIME)
    for child in children:
        _name_times(child)


def _as_time(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that is epoch milliseconds in ``alerts`` and RFC 3339 on the wire."""
    if "anyOf" in schema:
        return schema | {"anyOf": [_as_time(choice) for choice in schema["anyOf"]]}
    return _DATE_TIME if schema == _INTEGER else schema


# Channels: topic, what it is, the records on it, what its key is, and who writes it.
_CHANNELS: Final = (
    ("chat.messages", "Chat events.", "event", "conversation_id", "receive"),
    ("qa.findings", "What was detected.", "finding", "conversation_id", "send"),
    ("qa.alerts", "What people are told.", "alert", "conversation_id", "send"),
    (
        "qa.conversations",
        "Summaries of closed conversations. The highest revision is complete, whatever the order of records.",
        "conversation",
        "conversation_id",
        "send",
    ),
    (
        "qa.contacts",
        "Conversations as their customers see them. Who is not known goes by the conversation's id.",
        "contact",
        "customer_id",
        "send",
    ),
    ("qa.timers", "Clocks that came due; written and read by the workers.", "timer", None, "send"),
)


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the topics that others write or read."""
    payloads, definitions = _shared_components()
    used = {record for _, _, record, _, _ in _CHANNELS}
    channels = {topic: _channel(topic, about, record) for topic, about, record, _, _ in _CHANNELS}
    messages = {
        record: _message(record, payloads[record], key)
        for _, _, record, key, _ in _CHANNELS
        if record in used
    }
    operations = {
        f"{action}.{topic}": _operation(topic, action, record) for topic, _, record, _, action in _CHANNELS
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Yanshao",
            "version": CONTRACT_VERSION,
            "description": "Chat events in; findings, alerts, summaries and contacts out. "
            "Actions are Yanshao's own: it receives chat.messages and sends qa.alerts.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels | {"qa.dlq": _channel("qa.dlq", _DLQ_ABOUT, "dead_letter")},
        "operations": operations | {"send.qa.dlq": _operation("qa.dlq", "send", "dead_letter")},
        "components": {
            "messages": messages | {"dead_letter": _dead_letter()},
            "schemas": dict(sorted(definitions.items())),
        },
    }


def _shared_components() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of each record and the definitions they share.

    Definitions of one name are the same but for their description: ``alerts`` has a ``Severity`` of its
    own, for it knows nothing of detection.
    """
    payloads: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name, (kind, _) in RECORDS.items():
        (payloads[name],), found = _components((kind,), "#/components/schemas/{name}")
        definitions = found | definitions
    return payloads, definitions


_DLQ_ABOUT: Final = "Records that could not be used, untouched."


def _channel(topic: str, about: str, record: str) -> dict[str, Any]:
    return {
        "address": topic,
        "description": about,
        "messages": {record: {"$ref": f"#/components/messages/{record}"}},
    }


def _operation(topic: str, action: str, record: str) -> dict[str, Any]:
    # A topic's dots stay: a JSON pointer only escapes "~" and "/".
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{record}"}],
    }


def _message(record: str, payload: dict[str, Any], key: str | None) -> dict[str, Any]:
    binding: dict[str, Any] = {"bindingVersion": "0.5.0"}
    if key is not None:
        binding["key"] = {"type": "string", "description": f"the record's {key}, UTF-8"}
    return {
        "name": record,
        "title": RECORDS[record][1],
        "contentType": "application/json",
        "payload": payload,
        "bindings": {"kafka": binding},
    }


def _dead_letter() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "name": "dead_letter",
        "title": "A record that could not be used",
        "description": "Key and value are as they came; the headers say why and from where.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "required": ["reason", "topic", "partition", "offset"],
            "properties": {
                "reason": text | {"enum": [reason.value for reason in Reason]},
                "topic": text,
                "partition": text | {"description": "decimal"},
                "offset": text | {"description": "decimal"},
            },
        },
    }


def event_types() -> dict[str, type[msgspec.Struct]]:
    """Return the struct of every event type, in the contract's order."""
    return {str(kind.__struct_config__.tag): kind for kind in get_args(AnyEvent)}
