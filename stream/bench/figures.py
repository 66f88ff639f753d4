"""A figure: what is measured, in which unit, against which budget, and whether it held."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

COMPARISON: Final = "no budget: shown for comparison"


class Sense(StrEnum):
    """Which side of its limit a budget asks for."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit that is itself allowed."""

    sense: Sense
    limit: float

    def holds(self, value: float) -> bool:
        """Return whether ``value`` keeps to the budget."""
        return value >= self.limit if self.sense is Sense.AT_LEAST else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sense} {self.limit:g}"


def at_least(limit: float) -> Budget:
    """Return the budget that a value must reach."""
    return Budget(Sense.AT_LEAST, limit)


def at_most(limit: float) -> Budget:
    """Return the budget that a value must not pass."""
    return Budget(Sense.AT_MOST, limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured. ``about`` is one line for a reader of the table."""

    name: str
    unit: str
    about: str
    budget: Budget | None = None

    def row(self, value: float, how: str = "") -> Row:
        """Return the row of a measured value; ``how`` says what it rests on (rounds, spread, shares)."""
        held = None if self.budget is None else self.budget.holds(value)
        return Row(self, value, held, how=how, why=COMPARISON if self.budget is None else "")

    def unmeasured(self, why: str) -> Row:
        """Return the row of a figure that cannot be measured here and now."""
        return Row(self, None, None, why=why)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result. ``held`` is ``None`` where nothing was judged; ``why`` then says why."""

    figure: Figure
    value: float | None
    held: bool | None
    how: str = ""
    why: str = ""

    def unjudged(self, why: str) -> Row:
        """Return the row without its verdict, where there is one."""
        return self if self.held is None else replace(self, held=None, why=why)

    def document(self) -> dict[str, Any]:
        """Return the row as ``bench --json`` writes it; ``budget`` is the limit alone."""
        budget = self.figure.budget
        document: dict[str, Any] = {
            "name": self.figure.name,
            "value": None if self.value is None else significant(self.value),
            "unit": self.figure.unit,
            "budget": None if budget is None else budget.limit,
            "held": self.held,
        }
        # A missed figure too says what it rests on: whoever reads the file need not have seen the table.
        why = self.why or (self.how if self.held is False else "")
        return document | ({"why": why} if why else {})


def significant(value: float, digits: int = 4) -> float:
    """Return ``value`` rounded to so many significant digits: more would only be noise."""
    return float(f"{value:.{digits}g}")
