"""Does a series rise? Theil-Sen's slope with its confidence interval, against the series' own noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

BLOCKS: Final = 60
"""Into so many medians a series is cut. Neighbouring samples say nearly the same thing; an interval from all
of them would be far too narrow, and from a minute's medians it is one to go by."""

NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Trend:
    """A line through a series: ``slope`` a second in the interval [``low``, ``high``] at 95%.

    ``rise`` is what the slope comes to over the whole series; ``noise`` how far apart the samples lie around
    the line (from the 5th to the 95th percentile).
    """

    slope: float
    low: float
    high: float
    rise: float
    noise: float

    def flat(self, grain: float) -> bool:
        """Whether it does not rise: the interval holds zero, or all of the rise is less than the noise.

        ``grain`` is the least rise that means anything, in the series' unit.
        """
        return self.low <= 0 or self.rise <= max(grain, self.noise)


def trend(seconds: Sequence[float], values: Sequence[float]) -> Trend:
    """Return the trend of a series of at least three samples.

    Theil-Sen: the median of the slopes between all pairs, which a third of wild values cannot move; the
    interval by Sen (1968) from the variance of Kendall's S.
    """
    if len(values) < 3:
        raise ValueError("a trend needs three samples")
    t, y = np.asarray(seconds, float), np.asarray(values, float)
    blocks = [block for block in np.array_split(np.arange(len(t)), BLOCKS) if len(block)]
    x = np.array([t[block].mean() for block in blocks])
    m = np.array([np.median(y[block]) for block in blocks])
    first, second = np.triu_indices(len(x), 1)
    slopes = np.sort((m[second] - m[first]) / (x[second] - x[first]))
    n = len(x)
    half = NORMAL_95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    middle = (len(slopes) - 1) / 2
    low = slopes[max(0, math.floor(middle - half))]
    high = slopes[min(len(slopes) - 1, math.ceil(middle + half))]
    slope = float(np.median(slopes))
    around = y - slope * t
    noise = float(np.percentile(around, 95) - np.percentile(around, 5))
    return Trend(slope, float(low), float(high), slope * float(t[-1] - t[0]), noise)
