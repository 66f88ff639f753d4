"""Which clocks were kept: each one counted once when that is decided, and once more where it proves wrong.

A clock answered in time is ``met`` at the answer, one that is late is ``missed`` at its target: whatever
comes afterwards, it was missed. Only an event told of late can show otherwise, and then the miss is taken
back as ``corrected``. That nobody had to answer is known for good only when the clock is let go, for until
then a late answer may still come: ``withdrawn`` is counted then, and so is a customer who left unanswered,
as ``missed``. What was counted stands at the clock (``Clock.counted``), so that a restart forgets nothing.
The waits of rules are no clocks of the service and are counted with their rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from stream.core import clocks, issues
from stream.core.book import RuleBook
from stream.core.outputs import Subject
from stream.core.state import Clock, ClockState, Counted, State


class Verdict(StrEnum):
    """What the figures say of a clock."""

    MET = "met"
    MISSED = "missed"
    WITHDRAWN = "withdrawn"
    CORRECTED = "corrected"


VERDICTS: Final[Mapping[str, Verdict]] = {
    "answered": Verdict.MET,
    "breached": Verdict.MISSED,
    "answered_late": Verdict.MISSED,
    "missed": Verdict.MISSED,
    "stopped": Verdict.WITHDRAWN,
    "abandoned": Verdict.MISSED,
}
"""By the name of the clock's state, as summaries have it; what is not here is not decided."""

# What ended without an answer may still get one, told of late: final only when the clock is let go.
_PROVISIONAL: Final = frozenset({ClockState.STOPPED, ClockState.ABANDONED})

_BY_STATE: Final = {
    state: VERDICTS[state.name.lower()] for state in ClockState if state.name.lower() in VERDICTS
}


class Decided(NamedTuple):
    """One clock's entry in the figures.

    ``verdict`` is None where only ``over_ms`` is new: how far past its target, in its policy's time, a
    missed clock was when the answer or else the end came. ``leg`` is who owed, as ``leg_of`` names it.
    """

    kind: str
    policy: str
    leg: str
    verdict: Verdict | None
    over_ms: int | None = None


def decide(book: RuleBook, state: State, *, last: bool = False) -> tuple[Decided, ...]:
    """Return what the figures do not say yet of the clocks that moved, and note it as said.

    ``last``: the conversation is let go, and all its clocks with it.
    """
    moved, kept = (clocks.all_of(state), []) if last else (state.moved, clocks.at_hand(state))
    found: list[Decided] = []
    for clock in moved:
        if clock.state in _BY_STATE and clock.counted is not Counted.FINAL:
            kind = clocks.kind(state, clock)
            if kind != clocks.RULE:
                one = _decided(book, state, clock, kind, final=clock not in kept)
                if one is not None:
                    found.append(one)
    state.moved.clear()
    return tuple(found)


def leg_of(book: RuleBook, state: State, clock: Clock) -> str:
    """Return who owes the clock as a name that cannot grow: a party that the packs name, or its sort."""
    party = issues.AGENT if clock.party is None else state.names[clock.party]
    return party if party in book.parties or party in _SUBJECTS else Subject.DEPARTMENT.value


_SUBJECTS: Final = frozenset(Subject)


def _decided(book: RuleBook, state: State, clock: Clock, kind: str, *, final: bool) -> Decided | None:
    verdict = _BY_STATE[clock.state]
    if clock.state in _PROVISIONAL and not final:
        return None
    over = None
    said: Verdict | None = verdict
    if verdict is not Verdict.MISSED:
        if clock.counted is not Counted.NOTHING:
            said = Verdict.CORRECTED
        clock.counted = Counted.FINAL
    else:
        if clock.counted is not Counted.NOTHING:
            said = None
        over = None if clock.counted is Counted.OVER else _over_ms(book, state, clock, final=final)
        if said is None and over is None:
            return None
        clock.counted = Counted.MISSED if over is None else Counted.OVER
    return Decided(kind, state.names[clock.policy], leg_of(book, state, clock), said, over)


def _over_ms(book: RuleBook, state: State, clock: Clock, *, final: bool) -> int | None:
    """Return how late the clock was when it ended; None while nobody can say."""
    at = clock.stopped_at
    if at is None or at <= clock.target_at or not (final or clock.state is ClockState.ANSWERED_LATE):
        return None
    policy = book.clock_policy_by_id(state.names[clock.policy])
    return at - clock.target_at if policy is None else policy.worktime.measure(clock.target_at, at)
