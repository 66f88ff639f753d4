"""The table of operators. A new one is one file here, one line below, and its tests.

An operator is a pure function ``step(args, its_state, look) -> (its_state, found)``. It is called
for the messages that its trigger names (and for others at will, so it must not need the rest), and
once more at close with a look that holds nothing new. Its state is a short tuple of integers,
``()`` at first. ``parse`` reads its arguments and reports what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from stream.core.rules.context import Context
from stream.core.rules.model import Step, Trigger
from stream.core.rules.operators import all_, any_, count, near, none_, regex, score
from stream.core.rules.source import Node


def _no_lists(_args: Any) -> frozenset[str]:
    return frozenset()


def _selected(args: Any) -> frozenset[str]:
    return frozenset(args.selection.lists)


@dataclass(frozen=True, slots=True)
class Operator:
    """One row of the table.

    ``lists`` are the term lists it reads, for whoever asks what a list is used for.

    ``positive``: it holds because something is there, so a message can bring it about. One that is
    not is decidable only at close where its window is the whole conversation. ``latches``: over the
    whole conversation a state that is not empty cannot change the verdict again.
    """

    parse: Callable[[Node, Context], Any]
    step: Step
    trigger: Callable[[Any], Trigger]
    lists: Callable[[Any], frozenset[str]] = _no_lists
    positive: bool = True
    latches: bool = False


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "any": Operator(any_.parse, any_.step, any_.trigger, _selected),
        "all": Operator(all_.parse, all_.step, all_.trigger, _selected),
        "none": Operator(none_.parse, none_.step, none_.trigger, _selected, positive=False, latches=True),
        "regex": Operator(regex.parse, regex.step, regex.trigger, latches=True),
        "count": Operator(count.parse, count.step, count.trigger, _selected),
        "near": Operator(near.parse, near.step, near.trigger, near.lists, latches=True),
        "score": Operator(score.parse, score.step, score.trigger),
    }
)
