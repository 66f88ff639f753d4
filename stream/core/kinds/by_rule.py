"""Clocks that rules start and end: an upset customer's wait for a word of comfort, and others like it.

A rule that ``starts`` a clock says who is owed what, one that ``answers`` it what settles it, one that
``stops`` it what lets nobody owe it any more. Of one kind at most one clock is open: who is upset already
and says so again waits since the first time.
"""

from __future__ import annotations

from stream.core import clocks
from stream.core.book import RuleBook
from stream.core.clocks import Fired
from stream.core.events import Mode
from stream.core.rules import Deed
from stream.core.service import PERSONAL
from stream.core.state import Clock, State


def act(book: RuleBook, state: State, deed: Deed, kind: str, mode: Mode, t: int) -> tuple[Fired, ...]:
    """Let a rule's hit on a message at ``t`` do what it does; return the told moments it disproves.

    A message of a mode that the clock's policy does not count answers nothing. What is told of late and was
    settled since starts none.
    """
    of_kind = [one for one in clocks.not_over_by(state, t) if state.names[one.kind] == kind]
    if deed is Deed.STARTS:
        covered = any(clock.started_at <= t for clock in of_kind)
        if book.times(kind) and not covered and t >= state.settling.get(state.intern(kind), t):
            _start(book, state, kind, of_kind, t)
        return ()
    if book.times(kind) and (deed is Deed.STOPS or mode in PERSONAL):
        name = state.intern(kind)
        state.settling[name] = max(t, state.settling.get(name, t))
    wrong: tuple[Fired, ...] = ()
    for clock in of_kind:
        if clock.started_at > t:
            continue
        policy = book.clock_policy_by_id(state.names[clock.policy])
        if deed is Deed.STOPS:
            wrong += clocks.stop(state, clock, t)
        elif mode in (PERSONAL if policy is None else policy.counts):
            wrong += clocks.answer(state, clock, t)
    return wrong


def _start(book: RuleBook, state: State, kind: str, of_kind: list[Clock], t: int) -> None:
    """Start a clock, or let the one that began later, where this is told of late, begin here."""
    later = next((clock for clock in of_kind if clock.stopped_at is None and clock.started_at > t), None)
    if later is None:
        clocks.start_by_policy(book, state, kind, t)
    elif (policy := clocks.policy_for(book, state, kind, t)) is not None:
        clocks.backdate(state, later, policy, t)
