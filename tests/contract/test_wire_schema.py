"""The published schemas and the AsyncAPI document, judged by validators that are not ours."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from stream import docs, wire
from stream.wire import schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ASYNCAPI_3 = Path(__file__).parent / "asyncapi" / "3.0.0.json.gz"


def published(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DOCS / "schema" / f"{name}.schema.json").read_text("utf-8"))
    return document


def examples() -> list[bytes]:
    """Return the JSON of every example of docs/events.md."""
    blocks = (DOCS / "events.md").read_text("utf-8").split("```json\n")[1:]
    return [block.split("```")[0].encode() for block in blocks]


def test_documents_are_as_the_types_say():
    """Run `make docs` where this fails."""
    assert docs.stale(DOCS) == []


@pytest.mark.parametrize("name", list(schema.RECORDS))
def test_schema_obeys_its_dialect(name):
    document = published(name)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)


def test_no_schema_is_left_over():
    assert {path.name for path in (DOCS / "schema").iterdir()} == {
        f"{name}.schema.json" for name in schema.RECORDS
    }


def test_asyncapi_document_obeys_the_official_schema():
    official = json.loads(gzip.decompress(ASYNCAPI_3.read_bytes()))
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))
    validator = jsonschema.Draft7Validator(official)
    assert [error.message for error in validator.iter_errors(document)] == []
    broken = document | {"operations": {"x": {"action": "shout"}}}
    assert not validator.is_valid(broken)


def test_asyncapi_references_lead_somewhere():
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for child in node.values():
                yield from references(child)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    found = set(references(document))
    assert found
    for reference in found:
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def test_asyncapi_payloads_are_the_published_schemas():
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))

    def bare(body: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in body.items() if key != "description"}

    for name in schema.RECORDS:
        for definition, body in published(name)["$defs"].items():
            text = json.dumps(bare(body)).replace("#/$defs/", "#/components/schemas/")
            assert bare(document["components"]["schemas"][definition]) == json.loads(text)


def test_examples_validate_and_decode():
    validator = jsonschema.Draft202012Validator(published("event"))
    assert examples()
    for raw in examples():
        validator.validate(json.loads(raw))
        assert wire.decode(raw, received_at=None).flags == ()


MINIMAL: dict[str, dict[str, Any]] = {
    "conversation.opened": {},
    "conversation.assigned": {"agent": "a-1", "group": "aftersales"},
    "conversation.transferred": {"from_agent": "a-1", "to_agent": "a-2", "reason": "换班"},
    "issue.opened": {"issue_id": "i-1", "category": "refund", "priority": "high"},
    "issue.handed_off": {"issue_id": "i-1", "to": "warehouse"},
    "issue.answered": {"issue_id": "i-1", "by": "warehouse"},
    "issue.paused": {"issue_id": "i-1", "reason": "customer_away"},
    "issue.resumed": {"issue_id": "i-1", "reason": "customer_back"},
    "issue.resolved": {"issue_id": "i-1"},
    "conversation.closed": {"by": "agent", "reason": "done"},
    "conversation.rated": {"score": 1, "scale": 5, "comment": "太慢"},
    "agent.status": {"agent": "a-1", "status": "away"},
    "order.created": {"order_id": "o-1", "product": "面霜", "amount": 99.5},
    "order.paid": {"order_id": "o-1"},
    "order.shipped": {"order_id": "o-1"},
    "order.refunded": {"order_id": "o-1", "reason": "过敏"},
    "tick": {},
}


@pytest.mark.parametrize("tag", list(MINIMAL))
def test_every_event_type_of_the_contract_decodes_and_validates(tag):
    document = {"type": tag, "conversation_id": "c-1", "at": "2026-11-11T20:00:03+08:00"} | MINIMAL[tag]
    jsonschema.Draft202012Validator(published("event")).validate(document)
    received = wire.decode(json.dumps(document).encode(), received_at=None)
    assert received.event.__struct_config__.tag == tag
    again = wire.decode(wire.encode_event(received.event), received_at=None)
    assert again == received


def test_no_event_type_is_forgotten():
    assert {"message", *MINIMAL} == set(schema.event_types())
