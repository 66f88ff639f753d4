"""``any``: at least n distinct terms occur in the window.

The state holds the n distinct terms seen last, as (ordinal, code) pairs, oldest first: more cannot
matter, since n of them lie in the window exactly when the n seen last do.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Found, Look, OperatorState, Trigger
from stream.core.rules.operators.selection import Selection, code, spans
from stream.core.rules.operators.selection import parse as parse_selection
from stream.core.rules.reading import fields, integer
from stream.core.rules.source import Fields, Node

# At most so many distinct terms can be asked for: each is remembered, and states are small.
MOST = 20


@dataclass(frozen=True, slots=True)
class Args:
    """``at_least`` distinct terms of ``selection`` in ``window`` messages."""

    selection: Selection
    at_least: int
    window: int


def parse(node: Node, context: Context) -> Args | None:
    """Read a list's name, several, or ``{terms, at_least, negated}``."""
    at_least: int | None = 1
    negated = None
    if isinstance(node, Fields):
        entries = fields(context.report, node, "any", ("terms",), ("at_least", "negated"))
        if entries is None:
            return None
        node, negated = entries["terms"], entries.get("negated")
        if "at_least" in entries:
            at_least = integer(context.report, entries["at_least"], "at_least", 1, MOST)
    selection = parse_selection(context, node, negated, "any")
    if selection is None or at_least is None:
        return None
    known = len(selection.names)
    if 0 < known < at_least:
        context.report.error(node, f"any: at_least {at_least}, but the lists hold {known} terms")
        return None
    return Args(selection, at_least, context.window)


def step(args: Args, state: OperatorState, look: Look) -> tuple[OperatorState, Found | None]:
    """Look at one message; see the module."""
    hits = args.selection.hits(look)
    terms = tuple(dict.fromkeys(hit.term for hit in hits))
    if args.window == 1:
        if len(terms) < args.at_least:
            return (), None
        return (), Found(True, spans(hits), terms, len(terms))
    first = 0 if args.window == WHOLE_CONVERSATION else look.ordinal - args.window + 1
    present = [code(term) for term in terms]
    latest = {
        seen: ordinal
        for ordinal, seen in zip(state[::2], state[1::2], strict=True)
        if ordinal >= first and seen not in present
    }
    earlier = tuple(latest)
    latest.update(dict.fromkeys(present, look.ordinal))
    kept = list(latest.items())[-args.at_least :]
    state = tuple(part for seen, ordinal in kept for part in (ordinal, seen))
    if len(latest) < args.at_least:
        return state, None
    return state, Found(bool(hits), spans(hits), terms + args.selection.terms(earlier), len(latest))


def trigger(args: Args) -> Trigger:
    """Messages with a hit in one of the lists."""
    return Trigger(lists=frozenset(args.selection.lists))
