"""Reads a condition into operators and logic, and infers when it can be decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from stream.core.rules.context import Context
from stream.core.rules.logic import firing_trigger, whole_negative
from stream.core.rules.model import WHOLE_CONVERSATION, Condition, Gate, Leaf, Logic, Trigger
from stream.core.rules.operators import OPERATORS
from stream.core.rules.reading import items, kind_of
from stream.core.rules.source import Fields, Node, suggest

# The limits of Contact Lens: what a person can still read.
DEEPEST = 5
MOST_OPERATORS = 50


@dataclass(slots=True)
class _Parser:
    context: Context
    leaves: list[Leaf] = field(default_factory=list)
    crowded: bool = False

    def condition(self, node: Node, depth: int) -> Logic | int | None:
        report = self.context.report
        known = (*OPERATORS, *Gate)
        if not isinstance(node, Fields) or not node.entries:
            report.error(node, f"condition: expected one of {', '.join(known)}, got {kind_of(node)}")
            return None
        # `{regex: …, not_regex: …}` is the operator `regex` with its arguments beside its name.
        if set(node.entries) == {"regex", "not_regex"}:
            return self._leaf("regex", node)
        if len(node.entries) > 1:
            report.error(node, "condition: one operator only; combine several with and / or")
            return None
        name, argument = next(iter(node.entries.items()))
        if name in OPERATORS:
            return self._leaf(name, argument)
        if name not in tuple(Gate):
            report.error(node.keys[name], f"unknown operator '{name}'{suggest(name, known)}")
            return None
        if depth >= DEEPEST:
            report.error(node, f"condition: nested deeper than {DEEPEST}")
            return None
        return self._gate(Gate(name), argument, depth)

    def _gate(self, gate: Gate, argument: Node, depth: int) -> Logic | None:
        if gate is Gate.NOT:
            part = self.condition(argument, depth + 1)
            return None if part is None else Logic(gate, (part,))
        written = items(self.context.report, argument, gate, at_least=1)
        if written is None:
            return None
        parts = [self.condition(item, depth + 1) for item in written]
        kept = tuple(part for part in parts if part is not None)
        return Logic(gate, kept) if len(kept) == len(parts) else None

    def _leaf(self, name: str, argument: Node) -> int | None:
        if len(self.leaves) >= MOST_OPERATORS:
            if not self.crowded:
                self.context.report.error(argument, f"condition: more than {MOST_OPERATORS} operators")
            self.crowded = True
            return None
        operator = OPERATORS[name]
        args = operator.parse(argument, self.context)
        if args is None:
            return None
        trigger, lists = operator.trigger(args), operator.lists(args)
        self.leaves.append(
            Leaf(name, args, operator.step, trigger, operator.positive, operator.latches, lists)
        )
        return len(self.leaves) - 1


def parse_condition(node: Node, context: Context) -> Condition | None:
    """Return the compiled condition; what is wrong goes to the context's report."""
    parser = _Parser(context)
    logic = parser.condition(node, 1)
    if logic is None:
        return None
    leaves = tuple(parser.leaves)
    remembers = context.window != 1 or any(leaf.operator == "score" for leaf in leaves)
    trigger = firing_trigger(logic, leaves, remembers)
    needs_fresh = not trigger.always
    if remembers:
        # Also what only keeps the condition from holding has to be remembered when it passes by.
        trigger = reduce(Trigger.__or__, (leaf.trigger for leaf in leaves), trigger)
    return Condition(leaves, logic, trigger, context.window, needs_fresh)


def decidable_at_close(condition: Condition) -> bool:
    """Return whether the condition says that something did not happen in the whole conversation."""
    return condition.window == WHOLE_CONVERSATION and whole_negative(condition.logic, condition.leaves)


def feeding_at_close(condition: Condition) -> Trigger:
    """Return what a rule decided at close has to see on the way."""
    fed = reduce(Trigger.__or__, (leaf.trigger for leaf in condition.leaves))
    return Trigger(fed.lists, fed.expressions, fed.scores, always=False)
