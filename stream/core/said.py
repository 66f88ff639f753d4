"""What a text of the service side says about promises: the values that ``stream.core.promises`` reads.

A message says the same thing in several clauses; what is left of it is said once (``settled``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from stream.core.deadlines import Deadline

AGENT: Final = "agent"
"""Who owes it where the text names no one else."""


class Kind(StrEnum):
    """What is promised; or, of the last two, what is told of another department."""

    REPLY = "reply"
    CHECK = "check"
    SHIP = "ship"
    REFUND = "refund"
    CALL_BACK = "call_back"
    HANDLE = "handle"
    HAND_OFF = "hand_off"
    REPORT = "report"


TITLES: Final[Mapping[str, str]] = {
    Kind.REPLY: "回复客户",
    Kind.CHECK: "查询",
    Kind.SHIP: "发货或送达",
    Kind.REFUND: "退款或赔付",
    Kind.CALL_BACK: "回电或联系",
    Kind.HANDLE: "办理",
}
"""What alerts call what was promised."""


class Act(StrEnum):
    """What a clause does with a promise of its kind."""

    MADE = "made"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class Said(msgspec.Struct, frozen=True, gc=False):
    """One thing said about a promise: half-open offsets into the text.

    ``deadline`` is of promises made; ``vague`` where the text names no time and it is the pack's. ``by``
    is a party's id, or ``agent``; of a hand-off it is who owes from here on, of a report who has answered.
    """

    act: Act
    kind: Kind
    pledge: str
    start: int
    end: int
    deadline: Deadline
    vague: bool
    by: str

    @property
    def is_hold(self) -> bool:
        """Whether it only promises to be back soon: to reply or to tell what was found, at no said time."""
        return self.act is Act.MADE and self.vague and self.kind in _TALKS


_TALKS: Final = frozenset({Kind.REPLY, Kind.CHECK})

TELLS: Final = frozenset({Kind.HAND_OFF, Kind.REPORT})
"""Of other departments: nothing is promised by them."""

_WEAK: Final = TELLS | {Kind.HANDLE}


def without_repeats(found: list[Said]) -> list[Said]:
    """Return what one clause says, without what only repeats it: 24小时内回电处理 is a call."""
    if any(one.act is Act.MADE and one.kind not in _WEAK and not one.is_hold for one in found):
        return [one for one in found if one.kind is not Kind.HANDLE or one.act is not Act.MADE]
    return found


def _is_told_better(one: Said, found: Sequence[Said]) -> bool:
    """Whether what is to be handled by a time is another promise by the same: 申请退款，三个工作日到账."""
    return one.kind is Kind.HANDLE and any(
        other.act is Act.MADE and other.kind is not Kind.HANDLE and other.deadline == one.deadline
        for other in found
        if not other.vague and not one.vague
    )


def settled(found: Sequence[Said]) -> list[Said]:
    """Return what one message says, each thing once."""
    timed = {one.kind for one in found if one.act is Act.MADE and not one.vague}
    holds = [one for one in found if one.is_hold]
    hold = None
    if holds and timed.isdisjoint({Kind.REPLY, Kind.CHECK}):
        hold = next((one for one in holds if one.kind is Kind.CHECK), holds[0])
    kept: list[Said] = []
    seen: set[tuple[Act, Kind, Deadline | str | None]] = set()
    for one in found:
        repeats = one.kind in timed or (one.is_hold and one is not hold)
        if one.act is Act.MADE and ((one.vague and repeats) or _is_told_better(one, found)):
            continue
        apart = (
            one.by if one.kind in TELLS else one.deadline if one.act is Act.MADE and not one.vague else None
        )
        key = one.act, one.kind, apart
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept
