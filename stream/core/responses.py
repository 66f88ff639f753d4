"""The units of response metrics in a summary: on the way in from lines, on the way out to figures.

A summary holds each definition's contributions without what all of them share, its own id and its
customer's; whoever sums over conversations gets the whole contributions back from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from stream.core import lines
from stream.core.outputs import ResponseUnit, Summary
from stream.core.platforms import DEFINITIONS, Contribution, Conversation
from stream.core.state import State

# The attribute by which a chat system says that the platform took the conversation as a message left.
LEFT_MESSAGE: Final = "left_message"
_NO: Final = frozenset({"", "0", "false", "no"})


def of(state: State, definitions: Iterable[str]) -> dict[str, tuple[ResponseUnit, ...]]:
    """Return the units of the named definitions, as they stand with what was said so far.

    Lines keep their numbers where the oldest ones were cut off.
    """
    said, dropped = lines.of(state)
    conversation = Conversation(
        state.conversation_id,
        "",
        said,
        state.closed_at if state.closed_at is not None else state.last_at,
        state.attributes.get(LEFT_MESSAGE, "").lower() not in _NO,
    )
    return {
        name: tuple([unit_of(one, dropped) for one in DEFINITIONS[name].contribute(conversation)])
        for name in definitions
    }


def unit_of(one: Contribution, dropped: int = 0) -> ResponseUnit:
    """Return a contribution as a summary holds it; ``contribution_of`` is the way back.

    ``dropped`` lines were there before the first that the contribution knows.
    """
    return ResponseUnit(
        opened_at=one.opened_at,
        opened_by=one.opened_by + dropped,
        verdict=one.verdict,
        since=None if one.since == one.opened_at else one.since,
        answered_at=one.answered_at,
        answered_by=None if one.answered_by is None else one.answered_by + dropped,
        ms=one.ms,
        opens_turn=one.opens_turn,
    )


def contribution_of(
    unit: ResponseUnit, definition: str, conversation: str, customer: str, closed_at: int
) -> Contribution:
    """Return the contribution that ``unit_of`` made the unit from."""
    return Contribution(
        definition,
        conversation,
        customer,
        unit.opened_at,
        unit.opened_by,
        unit.opened_at if unit.since is None else unit.since,
        unit.answered_at,
        unit.answered_by,
        unit.verdict,
        unit.ms,
        closed_at,
        unit.opens_turn,
    )


def contributions_of(summary: Summary) -> Mapping[str, tuple[Contribution, ...]]:
    """Return a summary's contributions by definition, without definitions that this release does not know."""
    shared = (summary.conversation_id, customer_of(summary), summary.closed_at)
    return {
        name: tuple(contribution_of(unit, name, *shared) for unit in units)
        for name, units in summary.responses.items()
        if name in DEFINITIONS
    }


def customer_of(summary: Summary) -> str:
    """Return whom sessions and days are joined by: a customer who is not known is one conversation's."""
    return summary.customer_id or summary.conversation_id
