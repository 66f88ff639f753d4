"""JMESPath within bounds: what an expression may cost is counted, so that no payload can stall a process.

A file's author is trusted, but not to foresee every payload, nor every expression's growth: projections of
projections multiply, `[@, @]` doubles what it is given, and comparing or printing a large value walks all of
it. Steps are counted while an expression is searched, copies when it is compiled.
"""

from __future__ import annotations

from typing import Any, Final

from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter

MAX_STEPS: Final = 200_000
"""Of one payload, over all expressions: some 0.3 s. A thousand events of fifteen fields take a quarter."""

MAX_COPIES: Final = 64
"""How often an expression may repeat what it is given: a list of lists of eight fields, say."""

_ITEMS_A_STEP: Final = 16  # items of a list, characters of a text that cost what visiting a node costs
_BYTES_A_STEP: Final = 64  # of a payload, where a value is walked to its ends


class TooCostlyError(Exception):
    """The expressions need more than ``MAX_STEPS`` for this payload."""


class Search(TreeInterpreter):
    """Searches one payload of ``size`` bytes with as many expressions as its steps last for."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.steps = 0
        self._calls = Functions()
        self._whole = size // _BYTES_A_STEP
        self._containers = 0

    def find(self, expression: Any, value: Any) -> Any:
        """Return what a compiled expression finds in a value.

        Raises:
            TooCostlyError: The payload's steps are used up.
            jmespath.exceptions.JMESPathError: The value does not fit a function.
        """
        return self.visit(expression.parsed, value)

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        """Visit a node, counting it and the length of what it gives."""
        self._charge(1)
        result = super().visit(node, *args, **kwargs)
        if isinstance(result, list | dict):
            self._containers += 1
            self._charge(len(result) // _ITEMS_A_STEP)
        elif isinstance(result, str):
            self._charge(len(result) // _ITEMS_A_STEP)
        return result

    def visit_comparator(self, node: Any, value: Any) -> Any:
        """Compare; where lists or objects are, they may have been walked to their ends."""
        before = self._containers
        result = super().visit_comparator(node, value)
        if self._containers > before + 1:
            self._charge(self._whole)
        return result

    def visit_function_expression(self, node: Any, value: Any) -> Any:
        """Call a function, paying before it begins for those that make more than they are given."""
        arguments = [self.visit(child, value) for child in node["children"]]
        self._charge(self._cost(node["value"], arguments))
        return self._calls.call_function(node["value"], arguments)

    def _cost(self, name: str, arguments: list[Any]) -> int:
        lengths = [len(one) for one in arguments if isinstance(one, list | dict | str)]
        if name == "to_string" and isinstance(arguments[0], list | dict):
            return self._whole * MAX_COPIES
        if name == "contains" and isinstance(arguments[-1], list | dict):
            return self._whole
        if name == "join" and len(lengths) > 1:
            return lengths[0] * lengths[1] // _ITEMS_A_STEP
        return sum(lengths) // _ITEMS_A_STEP

    def _charge(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise TooCostlyError


def copies(node: Any) -> int:
    """Return a bound of how often an expression's result may hold what the expression was given."""
    children = node.get("children", ())
    own = len(children) if node["type"].startswith("multi_select") else 1
    for child in children:
        if isinstance(child, dict):
            own *= copies(child)
    return max(1, own)
