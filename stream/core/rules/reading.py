"""Typed reading of nodes. Every function returns ``None`` after reporting what is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

from stream.core.rules.source import Fields, Items, Node, Report, Text, suggest

_INTEGER = re.compile(r"-?\d{1,9}\Z")  # nine digits: no count, window or version needs more
_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?\Z")
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)\Z")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# A year: longer than any promise a service makes, short enough that sums stay far from overflow.
_LONGEST_MS = 366 * 86_400_000
# A quoted value in a message is cut here: enough to recognise it, never a page of it.
_SHOWN = 40

E = TypeVar("E", bound=str)


def kind_of(node: Node) -> str:
    """Return what a node is, in plain words."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Fields):
        return "a mapping"
    return "nothing" if not node.value and not node.quoted else f"'{shorten(node.value)}'"


def shorten(value: str) -> str:
    """Return a value short enough for a message."""
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"


def fields(
    report: Report, node: Node, what: str, required: Collection[str], optional: Collection[str] = ()
) -> Mapping[str, Node] | None:
    """Return a mapping's entries; unknown keys and missing ones are reported and left out."""
    if not isinstance(node, Fields):
        report.error(node, f"{what}: expected a mapping, got {kind_of(node)}")
        return None
    known = [*required, *optional]
    for key, mark in node.keys.items():
        if key not in known:
            report.error(mark, f"{what}: unknown key '{shorten(key)}'{suggest(key, known)}")
    missing = [key for key in required if key not in node.entries]
    if missing:
        report.error(node, f"{what}: missing {', '.join(repr(key) for key in missing)}")
        return None
    return {key: value for key, value in node.entries.items() if key in known}


def items(report: Report, node: Node, what: str, at_least: int = 0) -> tuple[Node, ...] | None:
    """Return a list's items."""
    if not isinstance(node, Items):
        report.error(node, f"{what}: expected a list, got {kind_of(node)}")
        return None
    if len(node.items) < at_least:
        report.error(node, f"{what}: expected at least {at_least} item{'s' * (at_least > 1)}")
        return None
    return node.items


def text(report: Report, node: Node, what: str, longest: int = 1_000) -> str | None:
    """Return a non-empty text of at most ``longest`` characters."""
    if not isinstance(node, Text) or not node.value.strip():
        report.error(node, f"{what}: expected text, got {kind_of(node)}")
        return None
    if len(node.value) > longest:
        report.error(node, f"{what}: {len(node.value)} characters; at most {longest} are allowed")
        return None
    return node.value


def texts(report: Report, node: Node, what: str, at_least: int = 0) -> tuple[str, ...] | None:
    """Return a list of texts; a single text is a list of one."""
    if isinstance(node, Text) and node.value:
        node = Items((node,), node.at)
    found = items(report, node, what, at_least)
    if found is None:
        return None
    values = [text(report, item, what) for item in found]
    kept = tuple(value for value in values if value is not None)
    return kept if len(kept) == len(values) else None


def integer(report: Report, node: Node, what: str, least: int, most: int = 1_000_000) -> int | None:
    """Return a whole number in ``[least, most]``."""
    if not isinstance(node, Text) or node.quoted or not _INTEGER.match(node.value):
        report.error(node, f"{what}: expected a whole number, got {kind_of(node)}")
        return None
    value = int(node.value)
    if not least <= value <= most:
        report.error(node, f"{what}: {value} is not between {least} and {most}")
        return None
    return value


def number(report: Report, node: Node, what: str, least: float, most: float) -> float | None:
    """Return a number in ``[least, most]``."""
    if not isinstance(node, Text) or node.quoted or not _NUMBER.match(node.value):
        report.error(node, f"{what}: expected a number, got {kind_of(node)}")
        return None
    value = float(node.value)
    if not least <= value <= most or math.isnan(value):
        report.error(node, f"{what}: {node.value} is not between {least:g} and {most:g}")
        return None
    return value


def boolean(report: Report, node: Node, what: str) -> bool | None:
    """Return a truth value, written true/false or yes/no."""
    spelled = node.value.lower() if isinstance(node, Text) else ""
    if spelled in {"true", "yes"}:
        return True
    if spelled in {"false", "no"}:
        return False
    report.error(node, f"{what}: expected yes or no, got {kind_of(node)}")
    return None


def choice(report: Report, node: Node, what: str, known: Collection[E]) -> E | None:
    """Return one word of a closed set."""
    value = node.value if isinstance(node, Text) else None
    for word in known:
        if word == value:
            return word
    hint = suggest(value, known) if value else ""
    report.error(node, f"{what}: expected one of {', '.join(known)}, got {kind_of(node)}{hint}")
    return None


def duration(report: Report, node: Node, what: str, least_ms: int = 1_000) -> int | None:
    """Return milliseconds of ``500ms``, ``30s``, ``10m``, ``24h`` or ``2d``."""
    match = _DURATION.match(node.value) if isinstance(node, Text) else None
    if match is None:
        report.error(node, f"{what}: expected a duration such as 30s, 10m or 24h, got {kind_of(node)}")
        return None
    value = int(match[1]) * _UNIT_MS[match[2]]
    if not least_ms <= value <= _LONGEST_MS:
        report.error(node, f"{what}: {match[0]} is not between {least_ms}ms and 366d")
        return None
    return value
