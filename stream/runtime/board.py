"""The board of open clocks: what is owed now, by whom, and how much time is left.

Fed with conversations' state records, whole and then as they change; it reads a record only where it is
new. Time is an argument: the same board tells another order a second later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stream.core import clocks, issues, standing
from stream.core import state as states
from stream.core.book import RuleBook
from stream.core.standing import Standing
from stream.core.state import Clock, State
from stream.core.worktime import ALWAYS, Worktime


@dataclass(frozen=True, slots=True)
class OpenClock:
    """One open clock. Times are milliseconds UTC; ``due`` is the last moment at which an answer is in time.

    ``owes`` is a department's name, else the agent's id, else ``agent``. ``paused_at`` is set while it
    stands still.
    """

    conversation_id: str
    clock_id: str
    kind: str
    policy: str
    owes: str
    issue_id: str | None
    started_at: int
    due: int
    paused_at: int | None
    told: Standing
    worktime: Worktime

    def left_ms(self, now: int) -> int:
        """Return what is left in the policy's time, negative where it is over; a pause leaves it as it is."""
        at = now if self.paused_at is None else self.paused_at
        if at <= self.due:
            return self.worktime.measure(at, self.due)
        return -self.worktime.measure(self.due, at)

    def standing(self, now: int) -> Standing:
        """Return how the clock stands: one past its target is breached, though nobody was told yet."""
        return Standing.BREACHED if self.paused_at is None and now > self.due else self.told


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which clocks are asked for; an empty set asks for any. ``owing`` are names, as ``OpenClock.owes``."""

    kinds: frozenset[str] = frozenset()
    owing: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()

    def admits(self, clock: OpenClock) -> bool:
        """Return whether a clock is asked for; a policy also by how its id begins."""
        return (
            (not self.kinds or clock.kind in self.kinds)
            and (not self.owing or clock.owes in self.owing)
            and (
                not self.policies
                or any(clock.policy == name or clock.policy.startswith(f"{name}.") for name in self.policies)
            )
        )


class Board:
    """All open clocks that are asked for, by conversation."""

    def __init__(self, book: RuleBook, wanted: Wanted) -> None:
        self._book = book
        self._wanted = wanted
        self._clocks: dict[str, tuple[OpenClock, ...]] = {}
        self._read: dict[str, int] = {}

    def replace(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Take all conversations there are: what is not among them is gone.

        Raises:
            stream.core.state.UnsupportedVersionError: A newer release wrote a record.
        """
        present = set()
        for conversation_id, raw in records:
            present.add(conversation_id)
            self.put(conversation_id, raw)
        for conversation_id in self._read.keys() - present:
            self.put(conversation_id, None)

    def put(self, conversation_id: str, raw: bytes | None) -> None:
        """Take a conversation's record as it is now, None where it is gone; raises as ``replace``."""
        if raw is None:
            self._read.pop(conversation_id, None)
            self._clocks.pop(conversation_id, None)
            return
        seen = hash(raw)
        if self._read.get(conversation_id) == seen:
            return
        self._read[conversation_id] = seen
        found = tuple(one for one in _open(self._book, states.decode(raw)) if self._wanted.admits(one))
        if found:
            self._clocks[conversation_id] = found
        else:
            self._clocks.pop(conversation_id, None)

    def rows(self, now: int) -> list[OpenClock]:
        """Return the open clocks by the time that is left, the most overdue first."""
        return sorted(
            (one for found in self._clocks.values() for one in found),
            key=lambda one: (one.left_ms(now), one.conversation_id, one.clock_id),
        )


def _open(book: RuleBook, state: State) -> Iterator[OpenClock]:
    for clock in standing.open_clocks(state):
        policy = book.clock_policy_by_id(state.names[clock.policy])
        yield OpenClock(
            conversation_id=state.conversation_id,
            clock_id=state.clock_id(clock),
            kind=clocks.kind(state, clock),
            policy=state.names[clock.policy],
            owes=_owes(state, clock),
            issue_id=None if clock.issue is None else state.names[clock.issue],
            started_at=clock.started_at,
            due=clock.target_at,
            paused_at=clock.paused_at,
            told=standing.of(clock),
            worktime=ALWAYS if policy is None else policy.worktime,
        )


def _owes(state: State, clock: Clock) -> str:
    party = issues.AGENT if clock.party is None else state.names[clock.party]
    return state.attributes.get("agent", issues.AGENT) if party == issues.AGENT else party
