"""Many running clocks with a known future, and the sum by hand of what each must come to.

Every clock is the leg of one issue: from its hand-off to its department's answer, `ola.leg` of the shipped
packs, thirty minutes. Nothing here asks the core: a clock breaches at its start and its target, unless its
department answered at that moment or before.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from stream.core.outputs import Finding, FindingStatus

TARGET_MS = 30 * 60_000
POLICY = "ola.leg"
DEPARTMENT = "仓库"

WAITING_MS = 10 * 60_000
"""The clocks that a round does not reach began so long ago at most: warned of after ten minutes more."""


class Fate(StrEnum):
    """What becomes of a clock within the round."""

    SILENT = "silent"  # nobody answers
    IN_TIME = "in time"  # answered before it is due, and told of at once
    ON_THE_DOT = "on the dot"  # answered at the very moment it is due
    TOLD_LATE = "told late"  # answered in time, but the event comes behind the breach
    OVERDUE = "overdue"  # answered when it is too late
    WAITING = "waiting"  # due after the round


SHARES: Mapping[Fate, float] = {
    Fate.SILENT: 0.5,
    Fate.IN_TIME: 0.2,
    Fate.ON_THE_DOT: 0.05,
    Fate.TOLD_LATE: 0.15,
    Fate.OVERDUE: 0.1,
}


class Leg(NamedTuple):
    """One clock. Times are epoch milliseconds; `told_at` is when the event of the answer is sent."""

    number: int
    fate: Fate
    due: int
    answered_at: int | None = None
    told_at: int | None = None

    @property
    def name(self) -> str:
        return f"leg-{self.number:07d}"

    @property
    def handed_at(self) -> int:
        return self.due - TARGET_MS

    @property
    def breaches(self) -> bool:
        """Whether it must be told of as breached, by hand: not answered at its target or before."""
        if self.fate is Fate.WAITING:
            return False
        return self.answered_at is None or self.answered_at > self.due

    def opening(self) -> list[dict[str, Any]]:
        """The events that start it."""
        return [
            {"type": "issue.opened", **self._issue, "at": self.handed_at},
            {"type": "issue.handed_off", **self._issue, "at": self.handed_at, "to": DEPARTMENT},
        ]

    def answer(self) -> dict[str, Any]:
        """The event of its answer."""
        return {"type": "issue.answered", **self._issue, "at": self.answered_at, "by": DEPARTMENT}

    def word(self, number: int | str, at: int) -> dict[str, Any]:
        """A word of its agent, who is not the one who owes."""
        return {
            "type": "message",
            "conversation_id": self.name,
            "message_id": f"{self.name}-{number}",
            "sent_at": at,
            "sender": {"role": "agent", "id": "agent-1"},
            "content": {"text": "仓库那边还在核实，有消息马上告诉您"},
        }

    @property
    def _issue(self) -> dict[str, Any]:
        return {"conversation_id": self.name, "issue_id": f"{self.name}/1"}


def legs(seed: int, total: int, due: int, since: int, until: int, now: int) -> list[Leg]:
    """Return `total` clocks, of which `due` come due between `since` and `until`; all began before `now`."""
    chance = random.Random(seed)
    fates = chance.choices(list(SHARES), list(SHARES.values()), k=due)
    made = [_leg(number, fate, chance.randrange(since, until), chance) for number, fate in enumerate(fates)]
    for number in range(due, total):
        handed_at = now - chance.randrange(WAITING_MS)
        made.append(Leg(number, Fate.WAITING, handed_at + TARGET_MS))
    return made


def _leg(number: int, fate: Fate, due: int, chance: random.Random) -> Leg:
    match fate:
        case Fate.IN_TIME:
            at = due - chance.randint(1_000, 8_000)
            return Leg(number, fate, due, at, at)
        case Fate.ON_THE_DOT:
            return Leg(number, fate, due, due, due)
        case Fate.TOLD_LATE:
            return Leg(number, fate, due, due - chance.randint(0, 5_000), due + chance.randint(1_000, 6_000))
        case Fate.OVERDUE:
            at = due + chance.choice((1, chance.randint(2, 5_000)))
            return Leg(number, fate, due, at, at)
    return Leg(number, fate, due)


class Told(NamedTuple):
    """One record of `qa.findings`, and when the broker appended it."""

    finding: Finding
    at: int


class Sum(NamedTuple):
    """What was told of the clocks of a round, where nothing was wrong with it.

    `lateness` are milliseconds from due to told of what stands, ascending; `taken_back` are clocks whose
    breach was told and corrected; `repeats` are records beyond the first of their id and status.
    """

    lateness: Sequence[int]
    taken_back: int
    repeats: int


def standing(told: Iterable[Told]) -> dict[str, Finding]:
    """Return by id the findings that were not taken back."""
    last = {one.finding.finding_id: one.finding for one in told}
    return {name: one for name, one in last.items() if one.status is FindingStatus.RAISED}


def add_up(made: Sequence[Leg], told: Sequence[Told]) -> Sum:
    """Check every clock's outcome against the sum by hand.

    Raises AssertionError, with some names, where a breach was lost, told under a second id, at another
    moment than due, or stands although it was answered in time.
    """
    breaches: dict[str, set[tuple[str, int]]] = {}
    first: dict[str, int] = {}
    of_legs = [one for one in told if one.finding.rule_id == POLICY]
    for finding, at in of_legs:
        breaches.setdefault(finding.conversation_id, set()).add((finding.finding_id, finding.at))
        first.setdefault(finding.finding_id, at)
    kept = {one.conversation_id for one in standing(of_legs).values()}
    lost = [leg.name for leg in made if leg.breaches and leg.name not in kept]
    assert lost == [], f"{len(lost)} lost: {lost[:5]}"
    doubled = [name for name, ids in breaches.items() if len(ids) > 1]
    assert doubled == [], f"{len(doubled)} under a second id: {doubled[:5]}"
    wrong = [leg.name for leg in made if leg.name in kept and not leg.breaches]
    assert wrong == [], f"{len(wrong)} stand that do not breach: {wrong[:5]}"
    due = {leg.name: leg.due for leg in made}
    moments = [name for name, ids in breaches.items() if {at for _, at in ids} != {due.get(name)}]
    assert moments == [], f"{len(moments)} at another moment: {moments[:5]}"
    records = Counter((one.finding.finding_id, one.finding.status) for one in of_legs)
    return Sum(
        lateness=sorted(first[one.finding_id] - one.at for one in standing(of_legs).values()),
        taken_back=len(breaches.keys() - kept),
        repeats=records.total() - len(records),
    )
