"""Every kind of clock. To add one: a module here, and a row in ``KINDS``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from stream.core.book import RuleBook
from stream.core.clocks import LEG, RESOLUTION, Fired, kind_of
from stream.core.kinds import abandonment, leg, promise, protocol_step
from stream.core.kinds.by_rule import act
from stream.core.kinds.model import Heard, Kind
from stream.core.state import State

__all__ = ["BY_RULE", "KINDS", "READERS", "Heard", "Kind", "act", "closing", "happened", "heard", "kind_of"]

KINDS: Final[Mapping[str, Kind]] = {
    "first_response": Kind("首次响应"),
    "next_response": Kind("后续响应"),
    "comfort": Kind("安抚", by_rule=True),
    LEG: leg.KIND,
    RESOLUTION: Kind("问题解决"),
    abandonment.ABANDONMENT: abandonment.KIND,
    protocol_step.PROTOCOL_STEP: protocol_step.KIND,
    promise.PROMISE: promise.KIND,
    promise.CALL_BACK: promise.CALL_BACK_KIND,
}
"""By the name that policies use. Turns run the responses (``service``), issues the legs and resolutions."""

READERS: Final = frozenset({LEG, promise.PROMISE, promise.CALL_BACK})
"""The kinds that need promises and hand-offs read from texts."""

BY_RULE: Final = tuple(name for name, kind in KINDS.items() if kind.by_rule)

_HEARD: Final = tuple(kind.heard for kind in KINDS.values() if kind.heard is not None)
_HAPPENED: Final = tuple(kind.happened for kind in KINDS.values() if kind.happened is not None)
_CLOSING: Final = tuple(kind.closing for kind in KINDS.values() if kind.closing is not None)


def heard(book: RuleBook, state: State, message: Heard) -> tuple[Fired, ...]:
    """Let every kind of clock hear a message; return the told moments that proved wrong."""
    wrong: tuple[Fired, ...] = ()
    for hook in _HEARD:
        wrong += hook(book, state, message)
    return wrong


def happened(book: RuleBook, state: State, event: object, t: int) -> tuple[Fired, ...]:
    """Tell every kind of clock of an event that is no message; return the told moments that proved wrong."""
    wrong: tuple[Fired, ...] = ()
    for hook in _HAPPENED:
        wrong += hook(book, state, event, t)
    return wrong


def closing(book: RuleBook, state: State, t: int) -> tuple[Fired, ...]:
    """Tell every kind of clock that the conversation closes; return the told moments that proved wrong."""
    wrong: tuple[Fired, ...] = ()
    for hook in _CLOSING:
        wrong += hook(book, state, t)
    return wrong
