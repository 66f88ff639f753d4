"""Positioned documents: what the rule parsers read, and the problems they report.

The core does no I/O and knows no YAML. ``stream.packs`` turns a file into these nodes; parsers here
report to a ``Report`` instead of raising, so that one run tells every fault of every file.
A scalar keeps its spelling: nothing is a number or a truth value until a parser asks for one, so
``12315`` can be a term and ``no`` an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple


class Mark(NamedTuple):
    """Where a node begins; both count from 1."""

    line: int
    column: int


START = Mark(1, 1)


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as spelled; ``quoted`` tells ``''`` from nothing written."""

    value: str
    at: Mark = START
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    at: Mark = START


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping with text keys; ``keys`` says where each key stands."""

    entries: Mapping[str, Node]
    keys: Mapping[str, Mark]
    at: Mark = START


Node = Text | Items | Fields


class Problem(NamedTuple):
    """One fault, at a place. ``severity`` is ``error`` (nothing is loaded) or ``warning``."""

    path: str
    line: int
    column: int
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        """Return ``path:line:column: message``, the form that editors jump to."""
        mark = "" if self.severity == "error" else f"{self.severity}: "
        return f"{self.path}:{self.line}:{self.column}: {mark}{self.message}"


@dataclass(slots=True)
class Report:
    """Collects the problems of one file."""

    path: str
    problems: list[Problem] = field(default_factory=list)

    def error(self, at: Node | Mark, message: str) -> None:
        """Record an error at a node."""
        self._add(at, message, "error")

    def warning(self, at: Node | Mark, message: str) -> None:
        """Record a warning at a node."""
        self._add(at, message, "warning")

    def _add(self, at: Node | Mark, message: str, severity: str) -> None:
        mark = at if isinstance(at, Mark) else at.at
        self.problems.append(Problem(self.path, mark.line, mark.column, message, severity))


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word, or nothing."""
    # 0.6 is difflib's own cut-off: a swapped or missing letter passes, another word does not.
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
