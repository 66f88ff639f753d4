"""``near``: an ``a`` and a ``b`` stand within d characters of one another in one message.

The distance is the number of characters between the two, 0 where they touch or overlap; one
occurrence is no pair. With ``outside`` it holds where both occur and no pair is within d. The state
is the ordinal of the last message in which it held.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.annotation import Hit, Span
from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Found, Look, OperatorState, Trigger
from stream.core.rules.operators.selection import Selection
from stream.core.rules.operators.selection import parse as parse_selection
from stream.core.rules.reading import boolean, fields, integer
from stream.core.rules.source import Node


@dataclass(frozen=True, slots=True)
class Args:
    """``a`` and ``b`` within (or outside) ``within`` characters, in one of ``window`` messages."""

    a: Selection
    b: Selection
    within: int
    outside: bool
    window: int


def parse(node: Node, context: Context) -> Args | None:
    """Read ``{a, b, within, outside, negated}``."""
    entries = fields(context.report, node, "near", ("a", "b", "within"), ("outside", "negated"))
    if entries is None:
        return None
    within = integer(context.report, entries["within"], "within", 0, 1_000)
    outside: bool | None = False
    if "outside" in entries:
        outside = boolean(context.report, entries["outside"], "outside")
    a = parse_selection(context, entries["a"], entries.get("negated"), "near")
    b = parse_selection(context, entries["b"], entries.get("negated"), "near")
    if a is None or b is None or within is None or outside is None:
        return None
    return Args(a, b, within, outside, context.window)


def step(args: Args, state: OperatorState, look: Look) -> tuple[OperatorState, Found | None]:
    """Look at one message; see the module."""
    found = _in_message(args, look)
    if args.window == 1:
        return (), found
    if found is not None:
        return (look.ordinal,), found
    if state and (args.window == WHOLE_CONVERSATION or state[0] > look.ordinal - args.window):
        return state, Found(amount=1)
    return (), None


def trigger(args: Args) -> Trigger:
    """Messages with a hit in ``a``: without one there is no pair."""
    return Trigger(lists=frozenset(args.a.lists))


def lists(args: Args) -> frozenset[str]:
    """Return the term lists on both sides."""
    return frozenset((*args.a.lists, *args.b.lists))


def _in_message(args: Args, look: Look) -> Found | None:
    a, b = args.a.hits(look), args.b.hits(look)
    if not a or not b:
        return None
    nearest = _nearest(a, b)
    if nearest is None or (nearest[0] > args.within) is not args.outside:
        return None
    pair = set(nearest[1:])
    terms = tuple(dict.fromkeys(hit.term for hit in (*a, *b) if (hit.start, hit.end) in pair))
    return Found(True, tuple(sorted(pair)), terms, 1)


def _nearest(a: list[Hit], b: list[Hit]) -> tuple[int, Span, Span] | None:
    """Return the nearest pair with its distance, in one sweep by position.

    For a span the nearest of the other kind that starts no later is the one that ends last; two are
    kept, because the one that ends last may be the very same occurrence.
    """
    marks = sorted({(h.start, h.end, True) for h in a} | {(h.start, h.end, False) for h in b})
    last: dict[bool, list[Span]] = {True: [], False: []}
    best: tuple[int, Span, Span] | None = None
    for start, end, is_a in marks:
        span = (start, end)
        for other in last[not is_a]:
            gap = max(0, start - other[1])
            if other != span and (best is None or gap < best[0]):
                best = (gap, other, span)
        last[is_a] = sorted([*last[is_a], span], key=lambda seen: seen[1])[-2:]
    return best
