"""Ours: what customers waited, around the clock, without caps.

A turn goes from the customer's first unanswered message that is for people to a person's answer (by hand, or
with a machine's help). ``average_seconds`` is the mean of answered turns, ``first_average_seconds`` of each
conversation's first, ``answered`` the share of turns that were. What a bot receives alone is no turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from stream.core.platforms.model import (
    Contribution,
    Conversation,
    Definition,
    Figure,
    Turn,
    Verdict,
    by_time,
    made,
    mean,
    turns,
)

ID: Final = "plain"


def contribute(conversation: Conversation) -> tuple[Contribution, ...]:
    """Return the turns."""
    return tuple([_judged(conversation, turn) for turn in turns(conversation)])


def _judged(conversation: Conversation, turn: Turn) -> Contribution:
    lines = conversation.lines
    if not turn.for_people:
        return made(ID, conversation, turn, Verdict.AUTOMATIC, None)
    if turn.answered is None:
        return made(ID, conversation, turn, Verdict.UNANSWERED, None)
    return made(ID, conversation, turn, Verdict.COUNTED, lines[turn.answered].at - lines[turn.opened].at)


def figures(contributions: Sequence[Contribution]) -> Mapping[str, Figure]:
    """Return the means in seconds and the share that was answered."""
    counted = [one for one in by_time(contributions) if one.counts]
    first: dict[str, Contribution] = {}
    for one in counted:
        first.setdefault(one.conversation, one)
    return {
        "average_seconds": mean(counted),
        "first_average_seconds": mean(first.values()),
        "answered": Figure(sum(one.answered_at is not None for one in counted), len(counted)),
    }


DEFINITION: Final = Definition(ID, "turn", (), contribute, figures, by_time)
