"""``none``: no term of the lists occurs in the window.

The state is the ordinal of the last message with one. Over the whole conversation this is
decidable at close only.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Found, Look, OperatorState, Trigger
from stream.core.rules.operators.selection import Selection
from stream.core.rules.operators.selection import parse as parse_selection
from stream.core.rules.reading import fields
from stream.core.rules.source import Fields, Node


@dataclass(frozen=True, slots=True)
class Args:
    """No term of ``selection`` in ``window`` messages."""

    selection: Selection
    window: int


def parse(node: Node, context: Context) -> Args | None:
    """Read a list's name, several, or ``{terms, negated}``."""
    negated = None
    if isinstance(node, Fields):
        entries = fields(context.report, node, "none", ("terms",), ("negated",))
        if entries is None:
            return None
        node, negated = entries["terms"], entries.get("negated")
    selection = parse_selection(context, node, negated, "none")
    return None if selection is None else Args(selection, context.window)


def step(args: Args, state: OperatorState, look: Look) -> tuple[OperatorState, Found | None]:
    """Look at one message; see the module."""
    if args.selection.hits(look):
        return (() if args.window == 1 else (look.ordinal,)), None
    if state and (args.window == WHOLE_CONVERSATION or state[0] > look.ordinal - args.window):
        return state, None
    return (), Found()


def trigger(args: Args) -> Trigger:
    """Messages with a hit: the ones that change what is remembered."""
    return Trigger(lists=frozenset(args.selection.lists))
