"""The customer who leaves before the first human word.

The clock runs from a customer's message that no person has answered yet, and counts the customer's silence:
each further message puts its moments off. Its target is how long a customer who stays would be silent;
past it they are taken to be leaving. A person's word answers it, a bot that takes charge stops it. A close
that comes first is the customer gone: the clock ends ``abandoned``.
"""

from __future__ import annotations

from typing import Final

from stream.core import clocks
from stream.core.book import RuleBook
from stream.core.clocks import Fired
from stream.core.kinds.model import Heard, Kind
from stream.core.state import Clock, ClockState, State

ABANDONMENT: Final = "abandonment"


def heard(book: RuleBook, state: State, message: Heard) -> tuple[Fired, ...]:
    """Start, put off or end the clock as the turns stand after a message."""
    if state.human_at is not None and state.human_at < message.t >= state.last_at:
        return ()  # a person has written before: nearly every message
    return _follow(book, state, message.t) if book.times(ABANDONMENT) else ()


def happened(book: RuleBook, state: State, event: object, t: int) -> tuple[Fired, ...]:  # noqa: ARG001
    """Start the clock where the conversation reaches people and a customer waits."""
    return _follow(book, state, t) if book.times(ABANDONMENT) else ()


def closing(book: RuleBook, state: State, t: int) -> tuple[Fired, ...]:  # noqa: ARG001
    """Let the close of a conversation in which no person wrote end the clock."""
    clock = _open(state)
    if clock is not None and clock.state is ClockState.RUNNING:
        return clocks.leave(state, clock, t)
    return ()


def _follow(book: RuleBook, state: State, t: int) -> tuple[Fired, ...]:
    turn = state.turns[-1] if state.turns else None
    waits = state.human_at is None and turn is not None and turn.answered_at is None
    clock = _open(state)
    if clock is None:
        if waits and turn is not None and state.closed_at is None:
            clocks.start_by_policy(book, state, ABANDONMENT, turn.last_at)
        return _disproved(state) if t < state.last_at else ()
    if waits and turn is not None:
        _put_off(book, state, clock, turn.last_at)
        return ()
    if state.human_at is None:
        return clocks.stop(state, clock, max(t, clock.started_at))
    return clocks.answer(state, clock, max(state.human_at, clock.started_at))


def _disproved(state: State) -> tuple[Fired, ...]:
    """Let a person's word that is told of late answer the clocks that ended without it."""
    wrong: tuple[Fired, ...] = ()
    if state.human_at is not None:
        for clock in clocks.of_kinds(state, frozenset({ABANDONMENT})):
            wrong += clocks.answer(state, clock, max(state.human_at, clock.started_at))
    return wrong


def _put_off(book: RuleBook, state: State, clock: Clock, last_at: int) -> None:
    policy = book.clock_policy_by_id(state.names[clock.policy])
    if policy is None or clock.state is not ClockState.RUNNING:
        return
    moments = [last_at - clock.started_at + moment for moment in policy.moments(last_at)]
    # Never to an earlier moment: a message told of late is not the customer's last word.
    if len(moments) == len(clock.moments) and moments[clock.target] > clock.moments[clock.target]:
        clock.moments, clock.fired = moments, 0


def _open(state: State) -> Clock | None:
    if ABANDONMENT not in state.names:
        return None
    kind = state.names.index(ABANDONMENT)
    return next((one for one in clocks.at_hand(state) if one.kind == kind and one.stopped_at is None), None)


KIND: Final = Kind("客户等待", heard=heard, happened=happened, closing=closing, timed_anew=False)
