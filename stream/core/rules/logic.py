"""``and``, ``or``, ``not``: how the findings of operators combine, and what may bring them about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from stream.core.rules.model import Found, Gate, Leaf, Logic, Trigger

ALWAYS = Trigger(always=True)


def combine(logic: Logic | int, found: Sequence[Found | None]) -> Found | None:
    """Return what makes the condition hold, or ``None``.

    Spans and terms are those of all parts that hold; ``amount`` and ``score`` come from the first
    part, as written, that has one. ``not`` holds without evidence of its own.
    """
    if isinstance(logic, int):
        return found[logic]
    if logic.gate is Gate.NOT:
        return Found() if combine(logic.parts[0], found) is None else None
    parts = [combine(part, found) for part in logic.parts]
    holding = [part for part in parts if part is not None]
    if not holding or (logic.gate is Gate.AND and len(holding) < len(parts)):
        return None
    return holding[0] if len(holding) == 1 else _merged(holding)


def firing_trigger(logic: Logic | int, leaves: Sequence[Leaf], remembers: bool) -> Trigger:
    """Return what a message must bring before the condition can newly hold at it.

    Where nothing earlier counts, all parts of an ``and`` must be in the one message: the cheapest
    part to look for is enough. Otherwise any part may come last.
    """
    if isinstance(logic, int):
        leaf = leaves[logic]
        return leaf.trigger if leaf.positive else ALWAYS
    if logic.gate is Gate.NOT:
        return ALWAYS
    parts = [firing_trigger(part, leaves, remembers) for part in logic.parts]
    if logic.gate is Gate.OR:
        return reduce(Trigger.__or__, parts)
    positive = [part for part in parts if not part.always]
    if not positive:
        return ALWAYS
    return reduce(Trigger.__or__, positive) if remembers else min(positive, key=_cost)


def whole_negative(logic: Logic | int, leaves: Sequence[Leaf]) -> bool:
    """Return whether a part says that something never happened: ``none`` or ``not``."""
    if isinstance(logic, int):
        return not leaves[logic].positive
    return logic.gate is Gate.NOT or any(whole_negative(part, leaves) for part in logic.parts)


def _cost(trigger: Trigger) -> tuple[bool, bool, int]:
    # Hits are already at hand, scores are one comparison, expressions have to be run.
    return bool(trigger.expressions), bool(trigger.scores), len(trigger.lists)


def _merged(parts: Sequence[Found]) -> Found:
    return Found(
        fresh=any(part.fresh for part in parts),
        spans=tuple(sorted({span for part in parts for span in part.spans})),
        terms=tuple(dict.fromkeys(term for part in parts for term in part.terms)),
        amount=next((part.amount for part in parts if part.amount), 0),
        score=next((part.score for part in parts if part.score is not None), None),
    )
