"""Wire contract, version 1: the events that come in.

One JSON object a record, told apart by ``type``. Types here are the single source of the
published JSON Schema and AsyncAPI document (``docs/``). Unknown fields are ignored, so a chat
system may send more than we read. ``stream.wire`` turns bytes into these values and settles
the business time; nothing here does I/O.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

# 256 characters: longer than any platform's identifier we know (Taobao's encrypted buyer ids are
# about 100), short enough that a state record's key cannot outgrow the state.
Id = Annotated[str, Meta(min_length=1, max_length=256)]
Label = Annotated[str, Meta(max_length=256)]
# A department, reason or comment a person typed.
Note = Annotated[str, Meta(max_length=4096)]
# The end of 2099, UTC. Beyond it lie only mistakes (microseconds sent for milliseconds), and a clock
# or a time zone's offset may be added to any time that is let in without leaving datetime's range.
LAST_MS = 4_102_444_799_999
# RFC 3339 with an offset, or epoch milliseconds from 1970 on.
Instant = Annotated[datetime, Meta(tz=True)] | Annotated[int, Meta(ge=0, le=LAST_MS)]

# For records we make ourselves: epoch milliseconds in the process, RFC 3339 on the wire. ``extra``
# tells ``stream.wire``, the schema tells the reader.
At = Annotated[
    int, Meta(extra_json_schema={"type": "string", "format": "date-time"}, extra={"on_wire": "rfc3339"})
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def millis(instant: Instant) -> int:
    """Return an instant as integer milliseconds since the epoch, UTC, rounded down."""
    if isinstance(instant, int):
        return instant
    return (instant - _EPOCH) // _MILLISECOND


class Role(StrEnum):
    """Who wrote a message."""

    CUSTOMER = "customer"
    AGENT = "agent"
    BOT = "bot"
    SYSTEM = "system"


class Mode(StrEnum):
    """How a message of the service side came about; platforms count them differently."""

    HUMAN = "human"
    ASSIST = "assist"
    AUTO_REPLY = "auto_reply"
    AUTO_WELCOME = "auto_welcome"


class Level(StrEnum):
    """An agent's experience."""

    NOVICE = "novice"
    TEMPORARY = "temporary"
    REGULAR = "regular"


class ContentKind(StrEnum):
    """What a message carries."""

    TEXT = "text"
    IMAGE = "image"
    CARD = "card"
    FILE = "file"
    EMOJI = "emoji"
    OTHER = "other"


class Presence(StrEnum):
    """An agent's presence."""

    ONLINE = "online"
    AWAY = "away"
    LEFT = "left"


class Sender(Struct, gc=False, frozen=True, omit_defaults=True):
    """Who wrote a message, and how."""

    role: Role
    id: Label | None = None
    name: Label | None = None
    mode: Mode = Mode.HUMAN
    level: Level | None = None


class Content(Struct, gc=False, frozen=True, omit_defaults=True):
    """What a message carries; ``text`` is empty for pictures and files."""

    kind: ContentKind = ContentKind.TEXT
    text: str = ""


class Customer(Struct, gc=False, frozen=True, omit_defaults=True):
    """The customer's id and tier, as the chat system knows them."""

    id: Label | None = None
    tier: Label | None = None


class Event(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """What every event may carry. An attribute once given holds for the rest of the conversation."""

    shop_id: Label | None = None
    channel: Label | None = None
    group: Label | None = None
    customer: Customer | None = None
    attributes: dict[str, Any] | None = None


class ConversationEvent(Event, gc=False, frozen=True, kw_only=True):
    """An event of one conversation, at a moment."""

    conversation_id: Id
    at: Instant


class Message(Event, gc=False, frozen=True, kw_only=True, tag="message"):
    """Somebody said something."""

    conversation_id: Id
    message_id: Id
    at: Instant = field(name="sent_at")
    sender: Sender
    content: Content


class ConversationOpened(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="conversation.opened"):
    """A customer came in."""


class ConversationAssigned(
    ConversationEvent, gc=False, frozen=True, kw_only=True, tag="conversation.assigned"
):
    """An agent took the conversation."""

    agent: Label | None = None
    level: Level | None = None


class ConversationTransferred(
    ConversationEvent, gc=False, frozen=True, kw_only=True, tag="conversation.transferred"
):
    """The conversation went to another agent or group."""

    from_agent: Label | None = None
    to_agent: Label | None = None
    from_group: Label | None = None
    to_group: Label | None = None
    reason: Note | None = None


class IssueOpened(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="issue.opened"):
    """A customer problem was recorded."""

    issue_id: Id
    category: Label | None = None
    priority: Label | None = None


class IssueHandedOff(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="issue.handed_off"):
    """An issue now waits for a department."""

    issue_id: Id
    to: Label | None = None


class IssueAnswered(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="issue.answered"):
    """The party that owed an answer gave it."""

    issue_id: Id
    by: Label | None = None


class IssuePaused(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="issue.paused"):
    """An issue waits for something its clocks must not count."""

    issue_id: Id
    reason: Note | None = None


class IssueResumed(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="issue.resumed"):
    """An issue's clocks count again."""

    issue_id: Id
    reason: Note | None = None


class IssueResolved(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="issue.resolved"):
    """An issue was solved."""

    issue_id: Id


class ConversationClosed(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="conversation.closed"):
    """The conversation ended."""

    by: Label | None = None
    reason: Note | None = None


class ConversationRated(ConversationEvent, gc=False, frozen=True, kw_only=True, tag="conversation.rated"):
    """The customer rated the service: ``score`` out of ``scale``."""

    score: float
    scale: Annotated[float, Meta(gt=0)] = 5.0
    comment: Note | None = None


class AgentStatus(Event, gc=False, frozen=True, kw_only=True, tag="agent.status"):
    """An agent came, paused or left; with a conversation id it concerns that conversation alone."""

    at: Instant
    agent: Label
    status: Presence
    conversation_id: Id | None = None


class OrderEvent(ConversationEvent, gc=False, frozen=True, kw_only=True):
    """What order events share; ``amount`` is in yuan."""

    order_id: Label | None = None
    product: Label | None = None
    amount: float | None = None
    reason: Note | None = None


class OrderCreated(OrderEvent, gc=False, frozen=True, kw_only=True, tag="order.created"):
    """An order was placed."""


class OrderPaid(OrderEvent, gc=False, frozen=True, kw_only=True, tag="order.paid"):
    """An order was paid."""


class OrderShipped(OrderEvent, gc=False, frozen=True, kw_only=True, tag="order.shipped"):
    """An order left the warehouse."""


class OrderRefunded(OrderEvent, gc=False, frozen=True, kw_only=True, tag="order.refunded"):
    """An order was refunded."""


class Tick(Struct, gc=False, frozen=True, kw_only=True, tag_field="type", tag="tick"):
    """Time has reached ``at``; to every partition of a system on the ``stream`` driver."""

    at: Instant


AnyEvent = (
    Message
    | ConversationOpened
    | ConversationAssigned
    | ConversationTransferred
    | IssueOpened
    | IssueHandedOff
    | IssueAnswered
    | IssuePaused
    | IssueResumed
    | IssueResolved
    | ConversationClosed
    | ConversationRated
    | AgentStatus
    | OrderCreated
    | OrderPaid
    | OrderShipped
    | OrderRefunded
    | Tick
)


class Timer(Struct, gc=False, frozen=True, kw_only=True, tag_field="type", tag="timer"):
    """A due clock's record in ``qa.timers``: it only brings the moment forward (see ``engine``).

    A JSON object, not a packed tuple: whoever looks into the topic at night can read it.
    """

    conversation_id: str
    clock_id: str
    due: At


class Flag(StrEnum):
    """What was noticed or mended on the way in; the event is used all the same."""

    CLOCK_SKEW = "clock_skew"  # the sender's clock ran ahead and ``t`` was clamped to receipt
    BAD_UNICODE = "bad_unicode"  # half a surrogate pair became U+FFFD
    OLD = "old"  # more than a week behind receipt: an old file sent as if live, or seconds for milliseconds


class Received(Struct, gc=False, frozen=True):
    """An event with its business time settled: ``t`` is milliseconds UTC."""

    event: AnyEvent
    t: int
    flags: tuple[Flag, ...] = ()
