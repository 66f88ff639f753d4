"""Response metrics of a customer's day: merged over the conversations, counted once the day is over.

A definition may join what several conversations of one customer give (``jd_v1``), or count customers by the
day (``pdd_v1``); so figures are made from all units of a customer together, and each unit belongs to the
day of Beijing in which it opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from stream.core import responses
from stream.core.outputs import Summary
from stream.core.platforms import DEFINITIONS, Contribution, Definition, day_end
from stream.core.platforms.model import DAY_MS, day_of


class Settled(Struct, frozen=True, gc=False):
    """What a customer's days add to one figure of a definition: over the denominator, the numerator."""

    definition: str
    figure: str
    numerator: float
    denominator: int


class Correction(Struct, frozen=True, gc=False):
    """How many units of a definition came, or came to stand otherwise, after their day was settled."""

    definition: str
    units: int


def days_of(opened_at: int, closed_at: int) -> range:
    """Return the days that units of a conversation may belong to, at least the one it was opened on.

    A close whose sender's clock is behind may stand before the opening, and on the day before.
    """
    return range(day_of(opened_at), max(day_of(opened_at), day_of(closed_at)) + 1)


def end_of(day: int) -> int:
    """Return when a day ends."""
    return day_end(day * DAY_MS)


def settle(summaries: Iterable[Summary], first: int, last: int) -> tuple[Settled, ...]:
    """Return what the units of the days ``first`` to ``last`` add, merged with all that are known."""
    held: dict[str, list[Contribution]] = {}
    for summary in summaries:
        for name, units in responses.contributions_of(summary).items():
            held.setdefault(name, []).extend(units)
    return tuple(
        one for name, units in sorted(held.items()) for one in _add(DEFINITIONS[name], units, first, last)
    )


def _add(definition: Definition, units: list[Contribution], first: int, last: int) -> Iterator[Settled]:
    merged = [one for one in definition.merge(units) if first <= day_of(one.opened_at) <= last]
    for name, figure in definition.sum(merged).items():
        if figure.denominator:
            yield Settled(definition.id, name, figure.numerator, figure.denominator)


def corrections(before: Summary | None, now: Summary, last: int) -> tuple[Correction, ...]:
    """Return how the units of settled days (up to ``last``) differ from those of the revision before."""
    was = {} if before is None else before.responses
    found = []
    for name, units in sorted(now.responses.items()):
        known = set(was.get(name, ()))
        changed = sum(day_of(one.opened_at) <= last and one not in known for one in units)
        if changed:
            found.append(Correction(name, changed))
    return tuple(found)
