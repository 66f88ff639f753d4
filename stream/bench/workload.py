"""Chats to measure with: the sentences of the shipped demo day, put together anew, endlessly many.

A message of the day is taken as a model: each of its clauses is replaced by one that stands at the same
place (first, middle, last) of some message like it: of the same role, and as eventful. Eventful are the
messages that a rule of the shipped packs fires on. So lengths and words are those of the day and hardly a
text comes twice, while the share of eventful messages can be set: the day is a show of incidents, one
message in three, where in a public corpus of 330 JD service chats the same rules fire on 6% of 9,044.

A stated share of the messages is taken from the day whole, as the templates and formulas of real chats
are: in that corpus 24% of the messages were said before, word for word.

Nothing here is random: the same seed gives the same chats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from stream import wire
from stream.core.events import Message, Role
from stream.core.state import Source
from stream.runtime.conversations import Input, Knowledge
from stream.runtime.demo import shipped_day
from stream.runtime.replay import replay

REPEATED: Final = 0.24
"""Share of messages that were said before, word for word, in JD's chats."""

EVENTFUL: Final = 0.06
"""Share of messages on which a rule fires, in JD's chats."""

EVENTFUL_DAY: Final = 0.35
"""The same on the shipped day."""

LENGTHS: Final = (9, 13, 15, 16, 17, 18, 19, 20, 22, 23, 24, 26, 27, 30, 31, 33, 37, 40, 45, 52, 74)
"""Messages of a JD service chat: the 0th, 5th … 100th percentile of the same corpus."""

START_MS: Final = 1_794_398_400_000
"""2026-11-11T20:00:00+08:00, the evening that the shipped day plays on."""

GAP_S: Final = (3.0, 9.0, 14.0, 20.0, 28.0, 45.0, 75.0)
"""Seconds from one message to the next, each as likely: most answers in time, one in a dozen late."""

_WRITERS: Final = (Role.CUSTOMER, Role.AGENT)

_CLAUSE: Final = re.compile(r"[^，。！？；,!?;～~…]*[，。！？；,!?;～~…]*")


class Said(NamedTuple):
    """One message of a chat: who, what, and its text."""

    role: str
    text: str


class Model(NamedTuple):
    """A message of the day: who wrote it, and whether a rule fired on it."""

    role: str
    text: str
    eventful: bool


def models(knowledge: Knowledge) -> list[Model]:
    """Return the messages that customers and people wrote on the shipped day."""
    events = [wire.decode(raw, received_at=None) for _, raw in shipped_day()]
    fired = {finding.message_id for finding in replay(knowledge, events).findings}
    return [
        Model(event.sender.role, event.content.text, event.message_id in fired)
        for event in (received.event for received in events)
        if isinstance(event, Message) and event.sender.role in _WRITERS and event.content.text
    ]


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of messages: taken whole from the day, and eventful."""

    repeated: float = REPEATED
    eventful: float = EVENTFUL


class Phrases:
    """Makes texts like those of the shipped day."""

    def __init__(self, day: Sequence[Model], mix: Mix, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - the same chats for the same seed, no secret
        self._mix = mix
        self._moulds: dict[tuple[str, bool], list[tuple[str, tuple[str, ...]]]] = {}
        self._clauses: dict[tuple[str, bool, str], list[str]] = {}
        for role, text, eventful in day:
            clauses = [clause for clause in _CLAUSE.findall(text) if clause]
            places = _places(len(clauses))
            self._moulds.setdefault((role, eventful), []).append((text, places))
            for place, clause in zip(places, clauses, strict=True):
                self._clauses.setdefault((role, eventful, place), []).append(clause)

    def text(self, role: str) -> str:
        """Return a text as ``role`` (customer or agent) would write it."""
        choose = self._random.choice
        eventful = self._random.random() < self._mix.eventful
        text, places = choose(self._moulds[role, eventful])
        if self._random.random() < self._mix.repeated:
            return text
        return "".join(choose(self._clauses[role, eventful, place]) for place in places)


def chat(phrases: Phrases, random: Random, messages: int) -> Iterator[Said]:
    """Yield a chat: the customer begins, either side may send two in a row."""
    role = "customer"
    for _ in range(messages):
        yield Said(role, phrases.text(role))
        # Service chats change sides at two messages of three.
        if random.random() < 2 / 3:
            role = "agent" if role == "customer" else "customer"


def length(random: Random) -> int:
    """Return how many messages a chat has, distributed as JD's are."""
    at = random.random() * (len(LENGTHS) - 1)
    low = int(at)
    return round(LENGTHS[low] + (at - low) * (LENGTHS[low + 1] - LENGTHS[low]))


@dataclass(frozen=True, slots=True)
class Traffic:
    """Interleaved chats as raw records of the wire contract.

    ``keys`` are the conversations' ids. ``messages`` counts those of ``records`` that are messages;
    the rest open, assign and close. ``characters`` is the mean length of a text.
    """

    keys: list[str]
    records: list[bytes]
    messages: int
    characters: float

    def inputs(self) -> list[Input]:
        """Return the records decoded, as one partition's."""
        return [
            Input(wire.decode(raw, received_at=None), Source.MESSAGES, offset)
            for offset, raw in enumerate(self.records)
        ]

    def texts(self) -> list[tuple[str, bool]]:
        """Return the messages' texts, each with whether it is to be scored."""
        events = [wire.decode(raw, received_at=None).event for raw in self.records]
        return [
            (event.content.text, event.sender.role is Role.CUSTOMER)
            for event in events
            if isinstance(event, Message)
        ]


@dataclass(frozen=True, slots=True)
class Pace:
    """When things happen.

    Every chat begins at ``begun`` (epoch milliseconds); the seconds between two of its messages are
    ``GAP_S`` times ``scale``.
    """

    begun: int = START_MS
    scale: float = 1.0


EVENING: Final = Pace()


def traffic(
    day: Sequence[Model],
    messages: int,
    *,
    concurrent: int,
    mix: Mix = Mix(),
    pace: Pace = EVENING,
    seed: int = 11,
) -> Traffic:
    """Return ``messages`` messages of chats, of which ``concurrent`` are always going on at once.

    When one closes, the next customer comes. Each chat's own times ascend; which of them goes on next
    is left to chance, as it is on a partition.
    """
    random = Random(seed)  # noqa: S311 - see Phrases
    maker = _Chats(Phrases(day, mix, seed + 1), random, pace)
    # The first ones are under way already: some end soon, some late.
    going = [maker.begin(random.randint(1, length(random))) for _ in range(concurrent)]
    keys: list[str] = []
    records: list[bytes] = []
    count = characters = 0
    while count < messages:
        place = random.randrange(concurrent)
        record = next(going[place], None)
        if record is None:
            going[place] = maker.begin(length(random))
            continue
        keys.append(record.key)
        records.append(record.raw)
        count += record.characters > 0
        characters += record.characters
    return Traffic(keys, records, count, characters / max(1, count))


class Record(NamedTuple):
    """One raw record, its key, and the length of the text in it (0: it is no message)."""

    key: str
    raw: bytes
    characters: int = 0


class _Chats:
    """Makes one chat after another, each as the records it consists of."""

    def __init__(self, phrases: Phrases, random: Random, pace: Pace) -> None:
        self._phrases = phrases
        self._random = random
        self._pace = pace
        self._begun = 0

    def begin(self, messages: int) -> Iterator[Record]:
        """Yield the records of the next chat: opened, assigned, its messages, closed."""
        random, pace = self._random, self._pace
        self._begun += 1
        key = f"c-{self._begun}"
        common = {
            "conversation_id": key,
            "shop_id": f"s-{random.randrange(20)}",
            "channel": "taobao",
            "group": "aftersales",
        }
        agent = f"a-{random.randrange(400)}"
        customer = {"id": f"u-{self._begun}", "tier": "vip" if random.random() < 0.1 else "normal"}
        t = pace.begun
        yield Record(key, _json({"type": "conversation.opened", **common, "at": t, "customer": customer}))
        yield Record(key, _json({"type": "conversation.assigned", **common, "at": t, "agent": agent}))
        for number, said in enumerate(chat(self._phrases, random, messages)):
            t += int(random.choice(GAP_S) * 1000 * pace.scale)
            message = {
                "type": "message",
                **common,
                "message_id": f"{key}/{number}",
                "sent_at": t,
                "sender": {"role": said.role, "id": customer["id"] if said.role == "customer" else agent},
                "content": {"kind": "text", "text": said.text},
            }
            yield Record(key, _json(message), len(said.text))
        yield Record(key, _json({"type": "conversation.closed", **common, "at": t + 1, "by": "agent"}))


def _json(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document)


def _places(count: int) -> tuple[str, ...]:
    """Return where each of so many clauses stands in its message."""
    if count == 1:
        return ("only",)
    return ("first", *["middle"] * (count - 2), "last")
