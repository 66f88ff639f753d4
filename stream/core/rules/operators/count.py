"""``count``: occurrences in the window, summed, reach k.

The state holds (ordinal, occurrences) pairs, oldest first; over the whole conversation one sum.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Found, Look, OperatorState, Trigger
from stream.core.rules.operators.selection import Selection, spans
from stream.core.rules.operators.selection import parse as parse_selection
from stream.core.rules.reading import fields, integer
from stream.core.rules.source import Node


@dataclass(frozen=True, slots=True)
class Args:
    """``at_least`` occurrences of ``selection`` in ``window`` messages."""

    selection: Selection
    at_least: int
    window: int


def parse(node: Node, context: Context) -> Args | None:
    """Read ``{terms, at_least, negated}``."""
    entries = fields(context.report, node, "count", ("terms", "at_least"), ("negated",))
    if entries is None:
        return None
    at_least = integer(context.report, entries["at_least"], "at_least", 1, 1_000)
    selection = parse_selection(context, entries["terms"], entries.get("negated"), "count")
    if selection is None or at_least is None:
        return None
    return Args(selection, at_least, context.window)


def step(args: Args, state: OperatorState, look: Look) -> tuple[OperatorState, Found | None]:
    """Look at one message; see the module."""
    hits = args.selection.hits(look)
    if args.window == WHOLE_CONVERSATION:
        total = sum(state) + len(hits)
        state = (total,) if total else ()
    else:
        state = _pruned(state, look.ordinal - args.window)
        total = sum(state[1::2]) + len(hits)
        if hits and args.window > 1:
            state = (*state, look.ordinal, len(hits))
    if total < args.at_least:
        return state, None
    terms = tuple(dict.fromkeys(hit.term for hit in hits))
    return state, Found(bool(hits), spans(hits), terms, total)


def trigger(args: Args) -> Trigger:
    """Messages with a hit in one of the lists."""
    return Trigger(lists=frozenset(args.selection.lists))


def _pruned(state: OperatorState, last_outside: int) -> OperatorState:
    for start in range(0, len(state), 2):
        if state[start] > last_outside:
            return state[start:]
    return ()
