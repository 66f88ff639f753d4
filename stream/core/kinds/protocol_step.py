"""The time limit of a protocol's step: what whoever runs protocols calls to have it kept.

A step is named ``<protocol>/<step>``; policies choose by it (``match: {step: [...]}``). Steps of several
protocols may run at once, one clock for each.
"""

from __future__ import annotations

from typing import Final

from stream.core import clocks
from stream.core.book import RuleBook
from stream.core.clocks import Fired
from stream.core.kinds.model import Kind
from stream.core.state import Clock, State

PROTOCOL_STEP: Final = "protocol_step"


def begin(book: RuleBook, state: State, step: str, t: int) -> Clock | None:
    """Let the step be owed from ``t``; None where no policy times it or it is owed already."""
    if _open(state, step) is not None:
        return None
    return clocks.start_by_policy(book, state, PROTOCOL_STEP, t, detail=step, facts={"step": step})


def done(state: State, step: str, t: int) -> tuple[Fired, ...]:
    """Settle the step at ``t``; return the told moments that this proves wrong."""
    clock = _open(state, step)
    return () if clock is None else clocks.answer(state, clock, t)


def drop(state: State, step: str, t: int) -> tuple[Fired, ...]:
    """Let nobody owe the step any more: its protocol ended or went another way."""
    clock = _open(state, step)
    return () if clock is None else clocks.stop(state, clock, t)


def _open(state: State, step: str) -> Clock | None:
    named = frozenset({clocks.named(PROTOCOL_STEP, step)})
    return next(
        (
            clock
            for clock in clocks.at_hand(state)
            if state.names[clock.kind] in named and clock.stopped_at is None
        ),
        None,
    )


KIND: Final = Kind("处置步骤")
