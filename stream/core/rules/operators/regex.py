"""``regex``: RE2 finds it in the normalised text of one message, and ``cue``; ``not_regex`` it does not.

Expressions ignore case and run in time linear in the text: a customer cannot stall a worker. The
state is the ordinal of the last message in which it held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import re2

from stream.core.annotation import Span
from stream.core.rules.context import Context
from stream.core.rules.model import WHOLE_CONVERSATION, Found, Look, OperatorState, Trigger
from stream.core.rules.reading import fields, text
from stream.core.rules.source import Fields, Node

# Longer than any expression a person maintains; RE2's own limit is on the compiled size.
LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Args:
    """``expression`` is the text of ``compiled``; ``unless`` must not match the same message, ``cue`` must.

    All messages are searched for the cues of all rules in one pass. Wide gaps (``.{0,12}``) multiply the
    states of that pass; behind a cue they cost nothing where the cue is not found.
    """

    expression: str
    compiled: Any
    unless: Any
    window: int
    cue: Any = None


def options() -> Any:
    """Return how all expressions are compiled."""
    chosen = re2.Options()
    chosen.case_sensitive = False
    chosen.never_capture = True  # groups only group: without them RE2 takes its fast way
    chosen.log_errors = False  # it would write to standard error; the loader reports them
    return chosen


def parse(node: Node, context: Context) -> Args | None:
    """Read an expression, or ``{regex, not_regex, cue}``."""
    unless = cue = None
    if isinstance(node, Fields):
        entries = fields(context.report, node, "regex", ("regex",), ("not_regex", "cue"))
        if entries is None:
            return None
        node = entries["regex"]
        if "not_regex" in entries:
            unless = _compiled(entries["not_regex"], context, "not_regex")
            if unless is None:
                return None
        if "cue" in entries:
            cue = _compiled(entries["cue"], context, "cue")
            if cue is None:
                return None
    compiled = _compiled(node, context, "regex")
    if compiled is None:
        return None
    return Args(compiled.pattern, compiled, unless, context.window, cue)


def step(args: Args, state: OperatorState, look: Look) -> tuple[OperatorState, Found | None]:
    """Look at one message; see the module."""
    span = _find(args, look) if look.annotation.normalised else None
    if span is not None:
        return (() if args.window == 1 else (look.ordinal,)), Found(True, (span,), (), 1)
    if state and (args.window == WHOLE_CONVERSATION or state[0] > look.ordinal - args.window):
        return state, Found(amount=1)
    return (), None


def trigger(args: Args) -> Trigger:
    """Messages that the expression, or its cue, matches."""
    return Trigger(expressions=frozenset({args.expression if args.cue is None else args.cue.pattern}))


def _find(args: Args, look: Look) -> Span | None:
    """Return the first match as a span of the original text."""
    # On bytes: for text the binding counts characters between all offsets, at twice the cost.
    encoded = look.annotation.normalised.encode()
    if args.cue is not None and args.cue.search(encoded) is None:
        return None
    match = args.compiled.search(encoded)
    if match is None or (args.unless is not None and args.unless.search(encoded) is not None):
        return None
    start, end = match.span()
    first = len(encoded[:start].decode())
    return look.annotation.original_span(first, first + len(encoded[start:end].decode()))


def _compiled(node: Node, context: Context, what: str) -> Any:
    expression = text(context.report, node, what, LONGEST)
    if expression is None:
        return None
    try:
        compiled = re2.compile(expression, options())
    except re2.error as error:
        reason = error.args[0]
        told = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        context.report.error(node, f"{what}: {told}")
        return None
    if compiled.search("") is not None:
        context.report.error(node, f"{what}: matches the empty text, so it would match every message")
        return None
    return compiled
