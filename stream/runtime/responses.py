"""Response metrics of one conversation, unit by unit: from its recorded events, or as the store has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stream import wire
from stream.core import engine
from stream.core.annotation import EMPTY, Annotation
from stream.core.book import RuleBook
from stream.core.events import LAST_MS, Message, Received, Role, Tick
from stream.core.limits import Limits
from stream.core.outputs import Summary
from stream.core.platforms import DEFINITIONS, Contribution, Definition, Figure, figures_of
from stream.core.responses import contributions_of
from stream.runtime.conversations import Conversations, Input, Knowledge
from stream.runtime.replay import RUN_ON_MS, Refused


@dataclass(frozen=True, slots=True)
class Told:
    """What one conversation gives by one definition: its units by time, and its figures by name."""

    definition: Definition
    units: tuple[Contribution, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Life:
    """One life of a conversation: an id that is used again after all was forgotten has several.

    ``messages`` are the ids of its messages by time: the line of number n is ``messages[n - 1]``. It is
    empty where they are not known.
    """

    summary: Summary
    messages: tuple[str, ...] = ()


class _Unread:
    """Reads nothing into a text: no definition asks what was said."""

    def annotate(self, texts: Sequence[str], wants_scores: Sequence[bool] | None = None) -> list[Annotation]:  # noqa: ARG002
        return [EMPTY] * len(texts)


def recorded(
    events: Iterable[Received | Refused], conversation: str, limits: Limits
) -> tuple[tuple[Life, ...], int]:
    """Return the conversation as a replay of the events sums it up, by all definitions, life by life.

    And how many lines could not be used, of any conversation.
    """
    mine: list[Received] = []
    refused = 0
    for event in events:
        if isinstance(event, Refused):
            refused += 1
        elif isinstance(event.event, Tick) or engine.conversation_of(event.event) == conversation:
            mine.append(event)
    book = RuleBook(limits=replace(limits, definitions=tuple(DEFINITIONS)))
    summaries = _lives(_summed(Knowledge(book, _Unread()), mine))
    # A message that came before all others, and late, is of the first life as well.
    begins = [0, *(one.opened_at for one in summaries[1:]), LAST_MS + 1]
    return tuple(
        Life(one, _messages(mine, one, begins[place], begins[place + 1]))
        for place, one in enumerate(summaries)
    ), refused


def _summed(knowledge: Knowledge, events: Sequence[Received]) -> Iterator[Summary]:
    """Yield every summary of the events, as a replay that runs on for a day and closes what is open."""
    conversations = Conversations()
    done = conversations.apply(knowledge, [Input(event) for event in events])
    until = max((event.t for event in events), default=0) + RUN_ON_MS
    done.merge(conversations.advance(knowledge, until))
    done.merge(conversations.close_all(knowledge, until))
    return (record for record in done.records if isinstance(record, Summary))


def _lives(summaries: Iterable[Summary]) -> list[Summary]:
    """Return the last summary of each life of a conversation, by time: of two that overlap the later told."""
    found: list[Summary] = []
    for one in summaries:
        found = [
            other for other in found if other.closed_at < one.opened_at or one.closed_at < other.opened_at
        ]
        found.append(one)
    return sorted(found, key=lambda one: one.opened_at)


def _messages(events: Iterable[Received], summary: Summary, begin: int, end: int) -> tuple[str, ...]:
    """Return the ids of the messages in ``[begin, end)`` by time, if the summary is of these."""
    first: dict[str, int] = {}
    for received in events:
        if isinstance(received.event, Message) and begin <= received.t < end:
            first.setdefault(received.event.message_id, received.t)
    known = sum(summary.counted.get(role, 0) for role in Role)
    return tuple(sorted(first, key=first.__getitem__)) if known == len(first) else ()


_TOLD: Final = "SELECT body FROM records WHERE kind = 'conversation' AND id = ? ORDER BY seq"


def stored(connection: sqlite3.Connection, conversation: str) -> tuple[Life, ...]:
    """Return what the embedded store has of a conversation, life by life: nothing before its first close."""
    told = (wire.read(Summary, body) for (body,) in connection.execute(_TOLD, (conversation,)))
    return tuple(map(Life, _lives(told)))


def tell(summary: Summary, wanted: Iterable[str] = DEFINITIONS) -> tuple[Told, ...]:
    """Return what the conversation gives by each wanted definition that its summary has."""
    held, chosen = contributions_of(summary), frozenset(wanted)
    return tuple(
        Told(definition, held[name], figures_of(definition, held[name]))
        for name, definition in DEFINITIONS.items()
        if name in held and name in chosen
    )
