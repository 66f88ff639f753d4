"""Response metrics of one conversation, unit by unit: from its recorded events, or as the store has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stream import wire
from stream.core import engine
from stream.core.annotation import EMPTY, Annotation
from stream.core.book import RuleBook
from stream.core.events import Message, Received, Role, Tick
from stream.core.limits import Limits
from stream.core.outputs import Summary
from stream.core.platforms import DEFINITIONS, Contribution, Definition, Figure, figures_of
from stream.core.responses import contributions_of
from stream.runtime.conversations import Knowledge
from stream.runtime.replay import Refused, replay


@dataclass(frozen=True, slots=True)
class Told:
    """What one conversation gives by one definition: its units by time, and its figures by name."""

    definition: Definition
    units: tuple[Contribution, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A conversation out of recorded events; ``summary`` is none where they have nothing of it.

    ``messages`` are the ids of its messages by time: the line of number n is ``messages[n - 1]``. It is
    empty where the summary is not of all of them (the conversation was over and began again).
    ``refused`` counts the lines that could not be used, of any conversation.
    """

    summary: Summary | None
    messages: tuple[str, ...] = ()
    refused: int = 0


class _Unread:
    """Reads nothing into a text: no definition asks what was said."""

    def annotate(self, texts: Sequence[str], wants_scores: Sequence[bool] | None = None) -> list[Annotation]:  # noqa: ARG002
        return [EMPTY] * len(texts)


def recorded(events: Iterable[Received | Refused], conversation: str, limits: Limits) -> Recorded:
    """Return the conversation as a replay of the events sums it up, by all definitions."""
    mine: list[Received] = []
    refused = 0
    for event in events:
        if isinstance(event, Refused):
            refused += 1
        elif isinstance(event.event, Tick) or engine.conversation_of(event.event) == conversation:
            mine.append(event)
    book = RuleBook(limits=replace(limits, definitions=tuple(DEFINITIONS)))
    summary = replay(Knowledge(book, _Unread()), mine).summaries.get(conversation)
    return Recorded(summary, () if summary is None else _messages(mine, summary), refused)


def _messages(events: Iterable[Received], summary: Summary) -> tuple[str, ...]:
    """Return the messages' ids by time, those of one moment as they came, if the summary is of all."""
    first: dict[str, int] = {}
    for received in events:
        if isinstance(received.event, Message):
            first.setdefault(received.event.message_id, received.t)
    known = sum(summary.counted.get(role, 0) for role in Role)
    return tuple(sorted(first, key=first.__getitem__)) if known == len(first) else ()


_LATEST: Final = "SELECT body FROM records WHERE kind = 'conversation' AND id = ? ORDER BY seq DESC LIMIT 1"


def stored(connection: sqlite3.Connection, conversation: str) -> Summary | None:
    """Return the latest summary of a conversation in the embedded store; None of one that has none."""
    row = connection.execute(_LATEST, (conversation,)).fetchone()
    return None if row is None else wire.read(Summary, row[0])


def tell(summary: Summary, wanted: Iterable[str] = DEFINITIONS) -> tuple[Told, ...]:
    """Return what the conversation gives by each wanted definition that its summary has."""
    held, chosen = contributions_of(summary), frozenset(wanted)
    return tuple(
        Told(definition, held[name], figures_of(definition, held[name]))
        for name, definition in DEFINITIONS.items()
        if name in held and name in chosen
    )
