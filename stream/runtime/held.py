"""What is held of a conversation between two batches."""

from __future__ import annotations

from msgspec import Struct

from stream import openalerts
from stream.core import aside, clocks, standing
from stream.core import state as states
from stream.core.limits import Limits
from stream.core.standing import Standing
from stream.core.state import State

DERIVATION = 1
"""Raised whenever `Held` says something else of the same record, so that snapshots are decoded again."""


class Held(Struct, frozen=True, gc=False):
    """One conversation between two batches: its record, and what is asked of it without reading that.

    ``due_at`` is when something comes due first, None once it was given out, and ``due_id`` what. ``open``
    says how its open clocks stand and ``overdue`` which are late, as ``core.standing`` has it; ``alerts``
    are the severities of those that fire. The collector need not know of it: a hundred thousand of these
    would make each of its rounds a stall of a quarter of a second, in which no clock speaks.
    """

    raw: bytes
    due_at: int | None
    due_id: str
    open: tuple[tuple[str, Standing], ...]
    alerts: tuple[str, ...]
    overdue: tuple[tuple[str, int], ...]


def write(limits: Limits, state: State) -> Held:
    """Return what is held of a conversation from here on; its ended clocks are laid aside."""
    aside.lay(state)
    return derive(limits, state, states.encode(state))


def derive(limits: Limits, state: State, raw: bytes) -> Held:
    """Return what is held of a state whose record is ``raw``."""
    due = clocks.soonest(state, limits)
    stands, late = standing.look(state)
    return Held(
        raw,
        due.at,
        due.clock_id,
        stands,
        openalerts.severities(state) if state.alerts else (),
        late,
    )
