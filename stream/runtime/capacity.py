"""How large an installation has to be: workers, partitions, memory, and what Kafka has to take.

Sums over what one message costs, as it was measured; nothing here is measured anew. Sizes are those of
the bench's chats, which are as long as recorded ones and hold somewhat more incidents, so real ones are
rather smaller. A test holds the sizes to what the core makes today.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from stream.runtime.topics import TopicsFile

DAY_S: Final = 86_400
HOUR_S: Final = 3_600
MIB: Final = 1 << 20
GIB: Final = 1 << 30
_DAY_MS: Final = DAY_S * 1_000

RECORDS_PER_CORE: Final = 4_400
"""Records a second of one worker at full speed on one shared core (``kafka.records`` in docs/bench.md)."""

UTILISATION: Final = 0.5
"""How much of that is planned with at the peak: the other half catches up after a restart."""

MESSAGES_PER_CHAT: Final = 27.4
"""The mean of 330 recorded chats of a large shop (9,044 messages)."""

PEAK: Final = 5.0
"""The busiest minute over the day's mean: chats come in sixteen hours, and most in the evening."""

OPEN_S: Final = 45 * 60
"""How long a conversation is held: a quarter of an hour's talk, the silence that ends it or the ten minutes
after its close."""

OWED: Final = 0.22
"""Of chats, those that are over while something promised in them is not: 74 of 330 recorded ones of JD's, 190
of 2,960 of a telecom help desk's."""

OWED_DAYS: Final = 9
"""How long those are held: some two days until the last of it is due (half of JD's within one, a tenth after
five), and the seven of ``conversation.keep_owed``."""

WORKER_BASE: Final = 114 * MIB
PER_CONVERSATION: Final = 2_870
"""Bytes of memory: a process with all packs, and what a conversation adds (``memory.conversations``)."""

PER_CUSTOMER: Final = 1_500
"""Bytes of a customer's record with one conversation, kept for a day and more."""
CUSTOMER_DAYS: Final = 2
"""The reopen window, and a day for contacts that come late."""

PER_SETTLED: Final = 50
"""Bytes of memory of a notification that was decided: its id and that of what was told, twenty-five each."""
SETTLED_DAYS: Final = 3
"""For how long they are remembered (``stream/runtime/kafka/ledger.py``)."""

LOADED_PER_S: Final = 25_000
RESTART_S: Final = 3.0
"""Recovery: conversations read back a second, and the start of the process and its joining."""

DECISIONS_PER_S: Final = 69_000
"""Of the ledger, read back a second (``recovery.read_ledger``): whoever has a receiver reads all of it."""

BROKER_WRITE: Final = 50 * MIB
"""Bytes a second that one broker is planned with, copies among them: half of what a plain SSD, or a network
of a gigabit a second, takes."""

FEWEST_BROKERS: Final = 3
"""So that one may be away while two copies confirm every write."""


class Written(NamedTuple):
    """What a message makes be written to a topic: records, and bytes of values."""

    records: float
    size: float


WRITTEN: Final[Mapping[str, Written]] = {
    "chat.messages": Written(1.19, 357),
    "qa.state": Written(1.15, 1_480),
    "qa.findings": Written(0.15, 106),
    "qa.alerts": Written(0.20, 315),
    "qa.notify.{receiver}": Written(0.20, 315),
    "qa.ledger": Written(0.40, 630),
    "qa.conversations": Written(0.04, 283),
    "qa.contacts": Written(0.11, 309),
    "qa.customers": Written(0.11, 120),
}
"""By topic, for each message of a chat; the ledger holds each notification when accepted and when decided."""

OVERHEAD: Final = 30
"""Bytes that Kafka adds to a record in a batch: key, headers, deltas."""


@dataclass(frozen=True, slots=True)
class Load:
    """What an installation has to bear; ``open`` 0 is worked out from the rest."""

    messages_per_day: float
    open: int = 0
    peak: float = PEAK
    receivers: int = 1
    replication: int = 3
    records_per_core: float = RECORDS_PER_CORE

    @property
    def peak_rate(self) -> float:
        """Messages a second in the busiest minute."""
        return self.messages_per_day / DAY_S * self.peak

    @property
    def open_conversations(self) -> int:
        """Conversations that go on, or were just over, at the peak."""
        return self.open or math.ceil(self.peak_rate / MESSAGES_PER_CHAT * OPEN_S)

    @property
    def held_conversations(self) -> int:
        """Those, and the ones that are over but for what was promised in them."""
        owed = self.messages_per_day / MESSAGES_PER_CHAT * OWED * OWED_DAYS
        return self.open_conversations + math.ceil(owed)

    @property
    def settled(self) -> float:
        """Decided notifications of one receiver that are remembered."""
        return self.messages_per_day * WRITTEN["qa.notify.{receiver}"].records * SETTLED_DAYS


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes. Rates are a second, sizes bytes; memory is one worker's with another one away.

    After a worker's death its partitions go on after `recovery_s`, the alerts of its receivers after
    `delivery_s`, both in seconds.
    """

    peak_rate: float
    open_conversations: int
    held_conversations: int
    workers: int
    partitions: int
    worker_memory: float
    recovery_s: float
    delivery_s: float
    brokers: int
    broker_write: float
    disk: Mapping[str, float]

    @property
    def disk_total(self) -> float:
        """All topics with all copies."""
        return sum(self.disk.values())


def plan(load: Load, topics: TopicsFile) -> Plan:
    """Return the installation that bears the load; retention is that of the topics."""
    records = load.peak_rate * WRITTEN["chat.messages"].records
    # One more than the load needs, and never one alone: its restart would be everybody's wait.
    workers = max(2, math.ceil(records / (load.records_per_core * UTILISATION)) + 1)
    customers = load.messages_per_day / MESSAGES_PER_CHAT * CUSTOMER_DAYS
    each = (load.held_conversations * PER_CONVERSATION + customers * PER_CUSTOMER) / (workers - 1)
    # A receiver is one worker's: where there is only one, so is all that was settled.
    each += load.settled * PER_SETTLED * math.ceil(load.receivers / (workers - 1))
    write = sum(_size(name, load) for name in WRITTEN) * load.peak_rate * load.replication
    return Plan(
        peak_rate=load.peak_rate,
        open_conversations=load.open_conversations,
        held_conversations=load.held_conversations,
        workers=workers,
        # The count cannot be changed later: room for four times the workers.
        partitions=max(topics.default_source_partitions, 4 * workers),
        worker_memory=WORKER_BASE + each,
        recovery_s=RESTART_S + load.held_conversations / workers / LOADED_PER_S,
        delivery_s=RESTART_S + load.settled * load.receivers / DECISIONS_PER_S,
        brokers=max(FEWEST_BROKERS, math.ceil(write / BROKER_WRITE)),
        broker_write=write,
        disk=_disk(load, topics, customers),
    )


def _size(topic: str, load: Load) -> float:
    """Return the bytes that a message makes be written to a topic."""
    written = WRITTEN[topic]
    several = load.receivers if topic in {"qa.notify.{receiver}", "qa.ledger"} else 1
    return (written.size + written.records * OVERHEAD) * several


def _disk(load: Load, topics: TopicsFile, customers: float) -> Mapping[str, float]:
    """Return what each topic keeps, with all copies."""
    found: dict[str, float] = {}
    for spec in topics.topics:
        if spec.name not in WRITTEN:
            continue
        a_day = _size(spec.name, load) * load.messages_per_day
        retention_ms = spec.settings.get("retention.ms")
        if retention_ms is not None:
            kept = a_day * float(retention_ms) / _DAY_MS
        else:
            kept = _compacted(spec.name, load, customers) + _not_compacted_yet(spec.settings, spec.name, load)
        found[spec.name] = kept * load.replication
    return found


def _compacted(topic: str, load: Load, customers: float) -> float:
    """Return the bytes of the latest record of every key."""
    each = WRITTEN[topic].size / WRITTEN[topic].records
    if topic == "qa.state":
        return load.held_conversations * each
    if topic == "qa.ledger":
        return load.settled * (each + OVERHEAD) * load.receivers
    return customers * PER_CUSTOMER if topic == "qa.customers" else 0.0


def _not_compacted_yet(settings: Mapping[str, str | int | float], topic: str, load: Load) -> float:
    """Return the bytes at the peak of what is too young to be compacted, or in a segment still open."""
    young_s = (float(settings["min.compaction.lag.ms"]) + float(settings["segment.ms"])) / 1_000
    return _size(topic, load) * load.peak_rate * young_s
