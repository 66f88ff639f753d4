"""Sums over measurements: percentiles, the best and the middle of several rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` (0 to 1) of the values do not exceed.

    Nearest rank: always one of the values, never something between two of them.
    """
    if not values:
        raise ValueError("no values")
    if not 0 <= share <= 1:
        raise ValueError(f"a share is between 0 and 1, not {share:g}")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class Rounds(NamedTuple):
    """The rates of several rounds of the same measurement, higher is better."""

    values: tuple[float, ...]

    @property
    def best(self) -> float:
        """The round that was disturbed least."""
        return max(self.values)

    @property
    def middle(self) -> float:
        """The median round."""
        return median(self.values)

    def __str__(self) -> str:
        spread = " / ".join(f"{value:,.0f}" for value in (min(self.values), self.middle, self.best))
        return f"min/median/max of {len(self.values)}: {spread}"
