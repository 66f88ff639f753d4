"""YAML text to plain values, with the line of every key, refusing what a knowledge worker never means.

A leaf: it imports nothing of ours, so that settings as well as mappings may use it. It refuses, each
with its line: duplicate keys, tags that make objects, keys that are not texts, and documents beyond
bounds (aliases can make a small text enormous). All faults but a syntax error are found in one go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1024 * 1024
"""A configuration of a megabyte is a mistake (a log, a data file), not a configuration."""

MAX_NODES: Final = 50_000
"""Counted after aliases are followed; the largest file we ship has a tenth of it."""

MAX_DEPTH: Final = 32
"""Nobody writes or reads YAML deeper than this, and it keeps recursion far from Python's limit."""

MAX_DIGITS: Final = 64
"""Characters of a number. YAML's own forms of it (1:59:59, 0x…) could make one of a million digits."""

Path = tuple[str | int, ...]


_COLLECTIONS: Final = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a file: where, and what. ``path`` is empty for the file as a whole."""

    line: int
    path: Path
    text: str

    def said_of(self, source: str) -> str:
        """Return ``file:line: key.path: text``."""
        dotted = ".".join(map(str, self.path))
        return (
            f"{source}:{self.line}: {dotted}: {self.text}" if dotted else f"{source}:{self.line}: {self.text}"
        )


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says: its value, the line of every path in it, and what is wrong with it."""

    value: Any
    lines: Mapping[Path, int]
    problems: tuple[Problem, ...]

    def line(self, path: Path) -> int:
        """Return the line of a path, or of the nearest part of it that is in the file; first is 1."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> Parsed:
    """Return what a YAML text says. An empty text is an empty mapping. Never raises."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        return Parsed({}, {}, (Problem(1, (), f"larger than {MAX_BYTES} bytes"),))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        return Parsed({}, {}, (Problem(mark.line + 1 if mark else 1, (), f"no YAML: {what}"),))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return Parsed({}, {}, (Problem(1, (), f"no YAML: {type(error).__name__}"),))
    if root is None:
        return Parsed({}, {}, ())
    walk = _Walk()
    try:
        value = walk.value(root, ())
    except _TooMuch as error:
        return Parsed({}, walk.lines, (*walk.problems, error.problem))
    return Parsed(value, walk.lines, tuple(walk.problems))


class _TooMuch(Exception):  # noqa: N818 - a way out of the walk, not an error anybody sees
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass(slots=True)
class _Walk:
    """Turns nodes into values, noting lines and faults on the way."""

    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooMuch(Problem(line, path, f"more than {MAX_NODES} values"))
        if len(path) > MAX_DEPTH:
            raise _TooMuch(Problem(line, path, f"nested deeper than {MAX_DEPTH}"))
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            self.problems.append(Problem(line, path, "a tag or a value that is not plain data"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(line, path, "a key that is not a text"))
                continue
            key = str(key_node.value)
            self.lines.setdefault((*path, key), line)
            if key in value:
                self.problems.append(Problem(line, (*path, key), "the same key twice"))
                continue
            value[key] = self.value(value_node, (*path, key))
        return value

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value  # as it was written: who wants a time reads it himself
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            self.problems.append(
                Problem(node.start_mark.line + 1, path, f"a number of over {MAX_DIGITS} digits")
            )
            return None
        constructor = yaml.constructor.SafeConstructor()
        try:
            return constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, OverflowError):
            line = node.start_mark.line + 1
            self.problems.append(Problem(line, path, "a tag or a value that is not plain data"))
            return None
