"""``score``: the score of the last n messages of the role is at least x in each.

The state is (ordinal of the last message that reached x, how many in a row up to it). It looks
back as far as ``messages`` says, whatever the rule's window.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.core.annotation import Scores
from stream.core.rules.context import Context
from stream.core.rules.model import Found, Look, OperatorState, Trigger
from stream.core.rules.reading import choice, fields, integer, number
from stream.core.rules.source import Node


@dataclass(frozen=True, slots=True)
class Args:
    """``of`` is at least ``at_least`` in ``messages`` messages in a row."""

    of: str
    at_least: float
    messages: int


def parse(node: Node, context: Context) -> Args | None:
    """Read ``{of, at_least, messages}``."""
    entries = fields(context.report, node, "score", ("of", "at_least"), ("messages",))
    if entries is None:
        return None
    of = choice(context.report, entries["of"], "of", Scores._fields)
    # 0 would hold for every message: whoever writes it means something else.
    at_least = number(context.report, entries["at_least"], "at_least", 0.01, 1)
    messages: int | None = 1
    if "messages" in entries:
        messages = integer(context.report, entries["messages"], "messages", 1, 100)
    if of is None or at_least is None or messages is None:
        return None
    return Args(of, at_least, messages)


def step(args: Args, state: OperatorState, look: Look) -> tuple[OperatorState, Found | None]:
    """Look at one message; see the module."""
    scores = look.annotation.scores
    value: float | None = None if scores is None else getattr(scores, args.of)
    if value is not None and value >= args.at_least:
        run = state[1] + 1 if state and state[0] == look.ordinal - 1 else 1
        # A run longer than asked for says nothing more.
        run = min(run, args.messages)
        found = Found(True, (), (), run, value) if run == args.messages else None
        return (() if args.messages == 1 else (look.ordinal, run)), found
    if state and state[0] == look.ordinal and state[1] == args.messages:
        return state, Found(amount=args.messages)
    return (state if state and state[0] == look.ordinal else ()), None


def trigger(args: Args) -> Trigger:
    """Messages whose score reaches the threshold; any other ends the row by its mere ordinal."""
    return Trigger(scores=frozenset({(args.of, args.at_least)}))
