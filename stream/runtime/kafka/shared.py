"""What the processors of all partitions of a worker have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol

from alerts.model import Alert, Notification
from stream.core.state import Source
from stream.runtime.conversations import Applied, Input, Knowledge
from stream.runtime.customers import Told
from stream.runtime.kafka.changelog import Replay
from stream.runtime.kafka.customers import ReadCustomers
from stream.runtime.kafka.membership import Heartbeats
from stream.runtime.kafka.names import Names
from stream.runtime.kafka.publisher import Publisher
from stream.runtime.kafka.slices import Slices
from stream.settings import Kafka
from stream.wire import Reason


class Observer(Protocol):
    """What a processor tells of itself, for the metrics. Must not raise or block."""

    def applied(self, inputs: Sequence[Input], applied: Applied, seconds: float) -> None:
        """A batch was applied in memory."""
        ...

    def told(self, told: Told) -> None:
        """Contacts, or the time, were applied to customers in memory."""
        ...

    def dead(self, reason: Reason) -> None:
        """A record became a dead letter."""
        ...

    def confirmed(self, stage: str, seconds: float) -> None:
        """`outputs` or `state` of a batch were confirmed."""
        ...

    def recovered(self, seconds: float) -> None:
        """A partition's state was read back."""
        ...


async def _none_buried(_number: int, _offset: int) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Shared:
    """The worker as its processors see it.

    `live` is the driver `wall`: records are stamped with their receipt. `read_state` and `read_customers`
    give every record of a changelog partition to a replay; `start_offsets` says where the reading of a
    partition begins, by source; `buried_before` how many records of `chat.messages` right before an offset of
    a partition are dead letters.
    """

    names: Names
    kafka: Kafka
    zone: tzinfo
    live: bool
    publisher: Publisher
    knowledge: Callable[[], Knowledge]
    heartbeats: Heartbeats
    observer: Observer
    slices: Slices
    read_state: Callable[[int, Replay], Awaitable[None]]
    read_customers: ReadCustomers
    start_offsets: Callable[[int], Awaitable[dict[Source, int]]]
    conversation_url: str | None = None
    buried_before: Callable[[int, int], Awaitable[int]] = _none_buried
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Whose partition's states are read back: one after another, or all were as late as the last."""
    route: Callable[[Alert], Sequence[Notification]] | None = None
    """Whom to tell of an alert; None where that is for another worker to say."""
