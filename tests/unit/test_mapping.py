"""Mapping files: foreign payloads as their makers document them, and every fault of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stream import wire
from stream.core.events import (
    AnyEvent,
    ContentKind,
    ConversationAssigned,
    ConversationClosed,
    ConversationOpened,
    ConversationTransferred,
    Customer,
    Message,
    Mode,
    Role,
    millis,
)
from stream.wire import InvalidMessage, Reason, mapping

MINIMAL = """\
mapping: 1
events:
  - type: message
    fields:
      conversation_id: chat
      message_id: id
      sent_at: at
      sender.role: {const: customer}
      content.text: text
"""


def parsed(text: str) -> mapping.Mapping:
    return mapping.parse(text, source="m.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(mapping.MappingError) as caught:
        parsed(text)
    return list(caught.value.problems)


def one(found: list[AnyEvent]) -> Any:
    assert len(found) == 1
    # What was mapped is a record like any other.
    received = wire.decode(wire.encode_event(found[0]), received_at=None)
    assert wire.conversation_id(received.event) == wire.conversation_id(found[0])
    return found[0]


# Chatwoot, after the webhook payloads of its documentation.

CHATWOOT_CONVERSATION: dict[str, Any] = {
    "additional_attributes": {"browser": {"browser_name": "Chrome"}, "referer": "http://shop.example"},
    "can_reply": True,
    "channel": "Channel::WebWidget",
    "id": 10,
    "inbox_id": 1,
    "contact_inbox": {"id": 12, "contact_id": 14, "inbox_id": 1, "source_id": "405f1d30"},
    "messages": [{"id": 120, "content": "留个邮箱", "message_type": 3, "created_at": 1627063369}],
    "meta": {
        "sender": {"id": 14, "name": "little-haze-776", "type": "contact"},
        "assignee": {"id": 1, "name": "客服一", "type": "user", "availability_status": "online"},
    },
    "status": "open",
    "unread_count": 1,
    "agent_last_seen_at": 0,
    "timestamp": 1627063369,
}
CHATWOOT_MESSAGE: dict[str, Any] = {
    "id": 118,
    "content": "在吗",
    "created_at": "2021-07-23T18:02:48.000Z",
    "message_type": "incoming",
    "content_type": "text",
    "private": False,
    "content_attributes": {},
    "source_id": None,
    "sender": {"id": 14, "name": "little-haze-776", "avatar": "", "type": "contact"},
    "inbox": {"id": 1, "name": "售后"},
    "conversation": CHATWOOT_CONVERSATION,
    "account": {"id": 1, "name": "小店"},
    "event": "message_created",
}


def chatwoot(document: dict[str, Any], **changes: Any) -> list[AnyEvent]:
    return mapping.load("chatwoot").apply(json.dumps(document | changes).encode())


def test_chatwoot_message_of_a_customer():
    event = one(chatwoot(CHATWOOT_MESSAGE))
    assert isinstance(event, Message)
    assert (event.conversation_id, event.message_id, event.shop_id) == ("10", "118", "1")
    assert (event.channel, event.group, event.customer) == ("Channel::WebWidget", "售后", Customer("14"))
    assert (event.sender.role, event.sender.id, event.content.text) == (Role.CUSTOMER, "14", "在吗")
    assert millis(event.at) == 1_627_063_368_000


@pytest.mark.parametrize(
    ("sender", "message_type", "role", "mode"),
    [
        (
            {"id": 1, "name": "客服一", "email": "a@example.com", "type": "user"},
            "outgoing",
            Role.AGENT,
            Mode.HUMAN,
        ),
        ({"id": 1, "name": "客服一", "email": "a@example.com"}, "outgoing", Role.AGENT, Mode.HUMAN),
        ({"id": 2, "name": "机器人", "type": "agent_bot"}, "outgoing", Role.BOT, Mode.HUMAN),
        (None, "template", Role.BOT, Mode.AUTO_REPLY),
        ({"id": 14, "name": "x"}, "incoming", Role.CUSTOMER, Mode.HUMAN),
    ],
)
def test_chatwoot_roles(sender, message_type, role, mode):
    event = one(chatwoot(CHATWOOT_MESSAGE, sender=sender, message_type=message_type))
    assert (event.sender.role, event.sender.mode) == (role, mode)


@pytest.mark.parametrize(
    "changes", [{"private": True}, {"message_type": "activity"}, {"event": "message_updated"}]
)
def test_chatwoot_notes_activities_and_updates_are_no_messages(changes):
    assert chatwoot(CHATWOOT_MESSAGE, **changes) == []


def test_chatwoot_picture_has_a_kind_and_no_text():
    attachments = [{"id": 3, "file_type": "image", "data_url": "http://shop.example/a.png"}]
    event = one(chatwoot(CHATWOOT_MESSAGE, content=None, attachments=attachments))
    assert (event.content.kind, event.content.text) == (ContentKind.IMAGE, "")


def test_chatwoot_message_of_an_older_version():
    event = one(
        chatwoot(
            CHATWOOT_MESSAGE,
            id="1",
            created_at="2020-03-03 13:05:57 UTC",
            conversation={"display_id": "1", "additional_attributes": {}},
        )
    )
    assert (event.conversation_id, millis(event.at)) == ("1", 1_583_240_757_000)


def test_chatwoot_conversation_created():
    event = one(chatwoot(CHATWOOT_CONVERSATION, event="conversation_created", created_at=1627063300))
    assert isinstance(event, ConversationOpened)
    assert (event.conversation_id, millis(event.at), event.customer) == (
        "10",
        1_627_063_300_000,
        Customer("14"),
    )


def test_chatwoot_conversation_resolved():
    event = one(
        chatwoot(
            CHATWOOT_CONVERSATION,
            event="conversation_status_changed",
            status="resolved",
            updated_at=1627063400.25,
        )
    )
    assert isinstance(event, ConversationClosed)
    assert (millis(event.at), event.reason) == (1_627_063_400_250, "resolved")
    assert isinstance(one(chatwoot(CHATWOOT_CONVERSATION, event="conversation_resolved")), ConversationClosed)
    assert chatwoot(CHATWOOT_CONVERSATION, event="conversation_status_changed", status="pending") == []


def test_chatwoot_assignee():
    changed = [{"assignee_id": {"previous_value": None, "current_value": 1}}]
    event = one(chatwoot(CHATWOOT_CONVERSATION, event="conversation_updated", changed_attributes=changed))
    assert isinstance(event, ConversationAssigned)
    assert event.agent == "1"
    others = [{"priority": {"previous_value": None, "current_value": "high"}}]
    assert chatwoot(CHATWOOT_CONVERSATION, event="conversation_updated", changed_attributes=others) == []


# Rasa, after the event broker's documentation and the tracker's events.

RASA = {"sender_id": "user-7", "timestamp": 1528402837.617099, "metadata": {"a key": "a value"}}


def rasa(**fields: Any) -> list[AnyEvent]:
    return mapping.load("rasa").apply(json.dumps(RASA | fields).encode())


def test_rasa_user():
    event = one(
        rasa(
            event="user",
            text="我要退货",
            parse_data={"intent": {"name": "refund", "confidence": 0.9}, "entities": [], "text": "我要退货"},
            input_channel="rest",
            message_id="3f2c",
        )
    )
    assert isinstance(event, Message)
    assert (event.conversation_id, event.message_id, event.sender.role) == ("user-7", "3f2c", Role.CUSTOMER)
    assert (event.content.text, event.channel, millis(event.at)) == ("我要退货", "rest", 1_528_402_837_617)


def test_rasa_bot_message_has_the_same_id_whenever_it_is_read():
    bot = {"event": "bot", "text": "好的", "data": {"buttons": None, "attachment": None}}
    event = one(rasa(**bot))
    assert event == one(rasa(**bot))
    assert (event.sender.role, event.message_id) == (Role.BOT, "bot-1528402837.617099")
    picture = one(rasa(event="bot", text=None, data={"image": "http://shop.example/a.png"}))
    assert (picture.content.kind, picture.content.text) == (ContentKind.IMAGE, "")


def test_rasa_session_pause_and_restart():
    assert isinstance(one(rasa(event="session_started")), ConversationOpened)
    assert isinstance(one(rasa(event="pause")), ConversationTransferred)
    assert isinstance(one(rasa(event="restart")), ConversationClosed)


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "action", "name": "action_listen", "policy": None, "confidence": None},
        {"event": "slot", "name": "order", "value": "x-1"},
        {"event": "user", "text": "/session_start"},
    ],
)
def test_rasa_actions_slots_and_commands_are_no_events(fields):
    assert rasa(**fields) == []


# The language.


def test_shipped_mappings_are_found_by_name():
    assert mapping.shipped() == ("chatwoot", "rasa")
    assert all(mapping.load(name).rules for name in mapping.shipped())


def test_several_events_from_one_payload_in_order():
    text = """\
mapping: 1
events:
  - type: conversation.opened
    where: first
    fields: {conversation_id: chat, at: {path: t, unit: s}}
  - type: message
    each: lines
    where: item.text
    fields:
      conversation_id: payload.chat
      message_id: {path: item.no, prefix: our-}
      sent_at: {path: item.t, unit: s}
      sender.role: {path: item.from, values: {buyer: customer, "1": agent}, default: system}
      content.text: item.text
      channel: {const: ours}
      attributes.order_id: payload.order
"""
    payload = {
        "chat": 7,
        "first": True,
        "t": 1.5,
        "order": {"no": 3},
        "lines": [
            {"no": 1, "t": 2, "from": "buyer", "text": "a"},
            {"no": 2, "t": 3, "from": "buyer", "text": ""},
            {"no": "3", "t": 4, "from": 1, "text": "b"},
            {"no": "4", "t": 5, "from": "nobody", "text": "c"},
        ],
    }
    found = parsed(text).apply(payload)
    assert [millis(event.at) for event in found] == [1500, 2000, 4000, 5000]
    messages = [event for event in found if isinstance(event, Message)]
    assert [event.sender.role for event in messages] == [Role.CUSTOMER, Role.AGENT, Role.SYSTEM]
    assert [event.message_id for event in messages] == ["1", "our-3", "our-4"]
    assert messages[0].attributes == {"order_id": {"no": 3}}


def test_times_without_an_offset_get_the_zone_of_the_file():
    text = MINIMAL.replace("sent_at: at", "sent_at: {path: at, zone: '+08:00'}")
    payload = {"chat": "c", "id": "m", "at": "2026-11-11 20:00:03", "text": "x"}
    assert millis(one(parsed(text).apply(payload)).at) == 1_794_398_403_000
    with pytest.raises(InvalidMessage, match="timezone"):
        parsed(MINIMAL).apply(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", Reason.NOT_JSON),
        (b'{"a": "\xff"}', Reason.NOT_UTF8),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b" " * (mapping.MAX_PAYLOAD + 1), Reason.TOO_LARGE),
        (b"{}", Reason.NOT_MAPPED),
        (b"[]", Reason.NOT_MAPPED),
        (b"7", Reason.NOT_MAPPED),
        (b'{"chat": [], "id": "m", "at": 1, "text": "x"}', Reason.NOT_MAPPED),
        (b'{"chat": true, "id": "m", "at": 1, "text": "x"}', Reason.NOT_MAPPED),
        (b'{"chat": "c", "id": "m", "at": "soon", "text": "x"}', Reason.NOT_MAPPED),
        (b'{"chat": "c", "id": "m", "at": 1e300, "text": "x"}', Reason.NOT_MAPPED),
        (b'{"chat": "", "id": "m", "at": 1, "text": "x"}', Reason.NOT_MAPPED),
    ],
)
def test_payload_that_cannot_be_mapped_is_refused(payload, reason):
    with pytest.raises(InvalidMessage) as caught:
        parsed(MINIMAL).apply(payload)
    assert caught.value.reason == reason


def test_refusal_names_event_and_field_and_no_value():
    with pytest.raises(InvalidMessage) as caught:
        parsed(MINIMAL).apply({"chat": "c", "id": "m", "at": 1, "text": {"secret": "13800138000"}})
    assert caught.value.detail.startswith("events.0 (message): $.content.text: Expected `str`")
    assert "13800138000" not in caught.value.detail


def test_payload_cannot_make_events_without_end():
    text = MINIMAL.replace("    fields:", "    each: lines\n    fields:").replace("chat", "item")
    text = text.replace("message_id: id", "message_id: item").replace("at: at", "at: {const: 5}")
    text = text.replace("content.text: text", "content.text: {const: x}")
    assert len(parsed(text).apply({"lines": ["m"] * mapping.MAX_EVENTS})) == mapping.MAX_EVENTS
    with pytest.raises(InvalidMessage, match="more than 1000 events"):
        parsed(text).apply({"lines": ["m"] * (mapping.MAX_EVENTS + 1)})


@pytest.mark.parametrize("key", ["where", "each", "conversation_id"])
def test_expression_that_does_not_fit_the_payload_refuses_it(key):
    """To go on with null would let the event vanish where it is a `where`."""
    text = MINIMAL.replace("conversation_id: chat", "conversation_id: join('-', chat)")
    if key != "conversation_id":
        text = MINIMAL.replace("    fields:", f"    {key}: starts_with(chat, 'x')\n    fields:")
    with pytest.raises(InvalidMessage, match=f"{key}: the expression does not fit") as caught:
        parsed(text).apply({"chat": 5, "id": "m", "at": 1, "text": "x"})
    assert caught.value.reason == Reason.NOT_MAPPED


def test_half_a_surrogate_pair_in_a_foreign_text_is_mended():
    event = one(parsed(MINIMAL).apply(b'{"chat": "c", "id": "m", "at": 1, "text": "\\ud800!"}'))
    assert event.content.text == "\ufffd!"


def test_all_faults_are_told_at_once_with_their_lines():
    text = """\
mapping: 2
events:
  - type: mesage
  - type: message
    wher: x
    where: 'a ='
    fields:
      conversation_id: {pth: x}
      sender.rol: x
      sent_at: {path: t, unit: h, zone: x}
      sent_at: y
      attributes.anything: x
"""
    told = [problem.split(": ", 1) for problem in problems(text)]
    assert told == [["m.yaml:11", "events.1.fields.sent_at: the same key twice"]]
    text = text.replace("      sent_at: y\n", "")
    assert problems(text) == [
        "m.yaml:1: mapping: expected mapping: 1, the version of this format",
        "m.yaml:3: events.0.type: no event type; did you mean 'message'?",
        "m.yaml:5: events.1.wher: unknown key; did you mean 'where'?",
        "m.yaml:6: events.1.where: no JMESPath: Bad jmespath expression: Unknown token '=':",
        "m.yaml:7: events.1.fields: message needs message_id",
        "m.yaml:7: events.1.fields: message needs content",
        "m.yaml:7: events.1.fields: message needs sender.role",
        "m.yaml:8: events.1.fields.conversation_id.pth: unknown key; did you mean 'path'?",
        "m.yaml:8: events.1.fields.conversation_id: needs either path or const",
        "m.yaml:9: events.1.fields.sender.rol: message has no field 'rol'; did you mean 'role'?",
        "m.yaml:10: events.1.fields.sent_at.unit: expected s, ms or us",
        "m.yaml:10: events.1.fields.sent_at.zone: expected an offset such as +08:00",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected mapping: 1"),
        ("[]", "expected keys"),
        ("mapping: 1\nevents: []", "expected a list of 1 to 64 events"),
        ("mapping: 1\nevents: [5]", "no event type"),
        ("mapping: 1\nevents: [{type: tick}]", "expected fields"),
        (MINIMAL.replace("chat", "x" * 1001), "at most 1000 characters"),
        (MINIMAL.replace("chat", "(" * 900), "no JMESPath"),
        (MINIMAL.replace("{const: customer}", "{path: a, const: b}"), "needs either path or const"),
        (MINIMAL.replace("{const: customer}", "{path: a, values: [b]}"), "expected values of theirs"),
    ],
)
def test_file_that_is_no_mapping_is_refused(text, told):
    assert any(told in problem for problem in problems(text))


def test_missing_file_is_told(tmp_path):
    with pytest.raises(mapping.MappingError, match="cannot be read: FileNotFoundError"):
        mapping.load(tmp_path / "none.yaml")


def test_file_is_loaded_by_its_path(tmp_path):
    path = tmp_path / "ours.yaml"
    path.write_text(MINIMAL)
    assert mapping.load(path).source == str(path)


def test_mapping_of_the_documentation_is_valid():
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
    assert parsed(text.split("```yaml\n")[1].split("```")[0]).rules
