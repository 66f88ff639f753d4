"""Bytes of a pack file to a positioned document: safe on any input, in bounded time and memory.

Nodes are built from PyYAML's parse events, not by its constructor: no tag can make an object, an
alias cannot multiply, a duplicate key is seen, and depth is refused before it is built.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from stream.core.rules.reading import shorten
from stream.core.rules.source import START, Fields, Items, Mark, Node, Report, Text

MAX_BYTES: Final = 8 << 20
"""A word list of 200,000 terms fits twice; what people read is a thousandth of it."""

MAX_DEPTH: Final = 24
"""The deepest valid pack needs about 14: rules, a rule, `when`, five gates and an operator's lists."""

MAX_NODES: Final = 400_000
"""A list of 200,000 terms fits, or of 100,000 in the long form; some five seconds of parsing at the worst."""

# PyYAML may be built without libyaml; the pure form is the same parser, ten times slower.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Variation selectors and the no-break space are not of the categories below and as invisible.
_INVISIBLE: Final = frozenset("\u00a0\u034f\u115f\u1160\u3164\ufe0e\ufe0f\uffa0")
_WHITE: Final = frozenset("\t\n\r")


def parse_document(report: Report, data: bytes) -> Node | None:
    """Return the one document of a file; all that is wrong goes to the report. Never raises."""
    if len(data) > MAX_BYTES:
        report.error(START, f"{len(data)} bytes; at most {MAX_BYTES} are allowed")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode("utf-8", "replace")) + 1
        report.error(Mark(before.count(b"\n") + 1, column), "not UTF-8")
        return None
    if _report_invisible(report, text):
        return None
    builder = _Builder(report)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not builder.take(event):
                return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = START if mark is None else _mark(mark)
        report.error(at, f"not YAML: {error.problem or error.context}")
        return None
    except yaml.YAMLError as error:
        report.error(START, f"not YAML: {str(error).splitlines()[0]}")
        return None
    if builder.root is None:
        report.error(START, "the file is empty")
    return builder.root


def invisible(text: str) -> Iterator[tuple[int, str]]:
    """Yield the position and the name of every character that cannot be seen."""
    if text.isascii() and text.isprintable():
        return
    for position, char in enumerate(text):
        if char in _WHITE:
            continue
        if char in _INVISIBLE or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            yield position, f"U+{ord(char):04X} {unicodedata.name(char, 'control character')}"


def _report_invisible(report: Report, text: str) -> bool:
    """Report the first invisible character of every line; whether there was one."""
    found = False
    for number, line in enumerate(text.split("\n"), start=1):
        position, name = next(invisible(line), (-1, ""))
        if position >= 0:
            found = True
            report.error(Mark(number, position + 1), f"invisible character {name}")
    return found


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping being built; ``key`` waits for its value."""

    at: Mark
    is_fields: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """Builds nodes from events; ``take`` returns whether to go on."""

    report: Report
    root: Node | None = None
    open: list[_Open] = field(default_factory=list)
    nodes: int = 0
    documents: int = 0

    def take(self, event: yaml.Event) -> bool:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                return self._refuse(event, "a second document; one file is one pack")
        elif isinstance(event, yaml.AliasEvent):
            return self._refuse(event, f"aliases (*{event.anchor}) are not allowed; write it out")
        elif isinstance(event, yaml.NodeEvent):
            return self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            done = self.open.pop()
            if done.is_fields:
                return self._place(Fields(done.entries, done.keys, done.at))
            return self._place(Items(tuple(done.items), done.at))
        return True

    def _node(self, event: yaml.NodeEvent) -> bool:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            return self._refuse(event, f"more than {MAX_NODES} values")
        if event.anchor is not None:
            return self._refuse(event, f"anchors (&{event.anchor}) are not allowed")
        tag = getattr(event, "tag", None)
        if tag is not None:
            return self._refuse(event, f"tags ({shorten(tag)}) are not allowed")
        at = _mark(event.start_mark)
        if isinstance(event, yaml.ScalarEvent):
            for _, name in invisible(event.value):
                return self._refuse(event, f"invisible character {name}")
            # The pure parser says None of a plain scalar, libyaml says ''.
            return self._place(Text(event.value, at, quoted=bool(event.style)))
        if self.open and self.open[-1].is_fields and self.open[-1].key is None:
            return self._refuse(event, "a key must be text")
        if len(self.open) >= MAX_DEPTH:
            return self._refuse(event, f"nested deeper than {MAX_DEPTH}")
        self.open.append(_Open(at, isinstance(event, yaml.MappingStartEvent)))
        return True

    def _place(self, node: Node) -> bool:
        if not self.open:
            self.root = node
            return True
        parent = self.open[-1]
        if not parent.is_fields:
            parent.items.append(node)
        elif parent.key is not None:
            parent.entries.setdefault(parent.key, node)
            parent.key = None
        elif isinstance(node, Text):
            if node.value in parent.keys:
                first = parent.keys[node.value]
                message = f"duplicate key '{shorten(node.value)}', first on line {first.line}"
                self.report.error(node, message)
            else:
                parent.keys[node.value] = node.at
            parent.key = node.value
        return True

    def _refuse(self, event: yaml.Event, message: str) -> bool:
        self.report.error(_mark(event.start_mark), message)
        return False
