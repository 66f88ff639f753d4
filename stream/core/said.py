"""What a text of the service side says about promises: the values that ``stream.core.promises`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

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


class Said(NamedTuple):
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
