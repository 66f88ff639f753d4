"""Parts of a pack as it writes them, in one line: for whoever shows a rule to a person."""

from __future__ import annotations

from collections.abc import Iterator

from stream.core.rules.model import Gate
from stream.core.rules.source import Fields, Items, Node, Text


def written(node: Node) -> str:
    """Return a node in YAML's short form."""
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Items):
        return f"[{', '.join(map(written, node.items))}]"
    return "{" + _pairs(node) + "}"


def operators(condition: Node) -> Iterator[str]:
    """Yield the operators of a valid condition, in the order in which it compiles to leaves."""
    if not isinstance(condition, Fields):
        return
    name, argument = next(iter(condition.entries.items()))
    if name not in tuple(Gate):
        yield _pairs(condition)
        return
    for part in argument.items if isinstance(argument, Items) else (argument,):
        yield from operators(part)


def _pairs(node: Fields) -> str:
    return ", ".join(f"{key}: {written(value)}" for key, value in node.entries.items())
