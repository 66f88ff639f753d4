"""Where a worker is held up: by the broker, by its own work, by a receiver, by one partition, by one chat.

Each cause is a share from 0 to 1, sampled with every beat and smoothed over some seconds: a look at the
moment of a scrape would show chance. 1 means that this is the brake.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from faust.types import TP

from stream import metrics as m
from stream.metrics import Metrics
from stream.runtime.kafka.hottest import Hottest
from stream.runtime.kafka.inbox import HIGH, Inbox

SAMPLE_S: Final = 1.0
WEIGHT: Final = 0.1
"""Of a new sample: half of what is told is of the last seven seconds."""

FEWEST_BEHIND: Final = 1_000
"""Records of lag below which no partition is behind: a second's at the rate that one worker is made for."""


class Partition(Protocol):
    """What is asked of a partition's processor."""

    inbox: Inbox

    @property
    def under_way(self) -> int:
        """How many batches are taken and not yet acknowledged."""
        ...


class Pressure:
    """Samples the causes. ``window`` is how many batches of a partition may wait for confirmation."""

    def __init__(
        self,
        window: int,
        partitions: Callable[[], Collection[Partition]],
        lag: Callable[[], Mapping[TP, int]],
        inboxes: Mapping[str, Inbox],
        receivers: Callable[[], Mapping[str, float]],
        hottest: Hottest,
    ) -> None:
        self._hottest = hottest
        self._window = window
        self._partitions = partitions
        self._lag = lag
        self._inboxes = inboxes
        self._receivers = receivers
        self._smooth: dict[str, float] = {}
        self._busy: dict[str, float] = {}

    def watch(self, metrics: Metrics) -> None:
        """Tell it at each scrape."""
        metrics.watch(m.PRESSURE, self.causes)
        metrics.watch(m.RECEIVER_BUSY, lambda: {(name,): share for name, share in self._busy.items()})

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_S)

    def sample(self) -> None:
        """Look once."""
        partitions = self._partitions()
        now = {
            "broker": max((one.under_way / self._window for one in partitions), default=0.0),
            "work": _fullest([one.inbox for one in partitions]),
            "delivery": _fullest(list(self._inboxes.values())),
        }
        for name, share in now.items():
            self._smooth[name] = _towards(self._smooth.get(name, 0.0), min(1.0, share))
        busy = self._receivers()
        self._busy = {name: _towards(self._busy.get(name, 0.0), share) for name, share in busy.items()}

    def causes(self) -> dict[tuple[str], float]:
        """Return the causes as they now stand."""
        smooth = {(name,): share for name, share in self._smooth.items()}
        return {
            **smooth,
            ("partition",): _skew(self._lag()),
            ("conversation",): self._hottest.share(time.monotonic()),
        }


def _fullest(inboxes: Sequence[Inbox]) -> float:
    return max((len(one) / HIGH for one in inboxes), default=0.0)


def _towards(before: float, now: float) -> float:
    return before + WEIGHT * (now - before)


def _skew(lag: Mapping[TP, int]) -> float:
    """Return how much of the whole lag is that of one partition; 0 where that is little, or all of it."""
    by_number: dict[int, int] = {}
    for place, count in lag.items():
        by_number[place.partition] = by_number.get(place.partition, 0) + count
    whole = sum(by_number.values())
    if whole < FEWEST_BEHIND or len(by_number) < 2:
        return 0.0
    return max(by_number.values()) / whole
