"""What a soak comes to: which series rise and must not, whether all alerts came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stream.bench.soak.samples import Sample
from stream.bench.soak.trend import trend

MIB: Final = 1024 * 1024
HOUR_S: Final = 3600.0

SHORTEST_S: Final = 300.0
"""Of measured time. Under it the slope of an hour says nothing: caches fill, the allocator settles."""

SAMPLES: Final = 12
"""Fewer give no line worth drawing."""


@dataclass(frozen=True, slots=True)
class Steady:
    """A column that must not rise; ``grain`` is the least rise that means anything, in units."""

    column: str
    what: str
    unit: str
    size: float
    grain: float


STEADY: Final = (
    # Of some 300 MiB; the allocator takes memory from the system in pieces of that order.
    Steady("pss", "memory of the worker", "MiB", MIB, 4),
    Steady("tasks", "tasks of its event loop", "tasks", 1, 1),
    Steady("fds", "its file descriptors", "descriptors", 1, 1),
    Steady("threads", "its threads", "threads", 1, 1),
    # A quarter of a second's records: two commits lie half a second apart.
    Steady("lag", "records not committed", "records", 1, 300),
    Steady("load_rss", "memory of the sender", "MiB", MIB, 4),
    Steady("observer_rss", "memory of the observer", "MiB", MIB, 4),
)

LEVEL: Final = ("conversations", "state_bytes", "customers", "pending")
"""Shown with their middle: what the level is that memory was measured at."""


@dataclass(frozen=True, slots=True)
class Line:
    """One finding of the verdict; ``held`` is None where nothing was judged."""

    held: bool | None
    text: str


def judge(
    samples: Sequence[Sample], warm_s: float, lag_limit: float, alerts: Mapping[str, int]
) -> list[Line]:
    """Return the verdict on what was seen after ``warm_s``.

    ``lag_limit``: records the group may be behind at any look. ``alerts``: how many were matched, missing,
    unfounded, taken back.
    """
    after = [one for one in samples if one["second"] >= warm_s]
    lines = [_steady(one, after) for one in STEADY]
    lines.append(_bounded(after, lag_limit))
    lines += [_level(column, after) for column in LEVEL]
    lines += [_cpu(after), _behind(after), _alerts(alerts)]
    return lines


def _steady(steady: Steady, samples: Sequence[Sample]) -> Line:
    found = [(one["second"], one[steady.column] / steady.size) for one in samples if steady.column in one]
    if len(found) < SAMPLES:
        return Line(None, f"{steady.what}: {len(found)} samples, too few")
    seconds, values = zip(*found, strict=True)
    line = trend(seconds, values)
    whole = seconds[-1] - seconds[0]
    text = (
        f"{steady.what}: {_number(line.slope * HOUR_S)} {steady.unit}/hour "
        f"(95%: {_number(line.low * HOUR_S)} to {_number(line.high * HOUR_S)}), {_number(line.rise)} in all; "
        f"noise {_number(line.noise)}, middle {_number(sorted(values)[len(values) // 2])}"
    )
    if whole < SHORTEST_S:
        return Line(None, f"{text}; too short to judge")
    return Line(line.flat(steady.grain), text)


def _bounded(samples: Sequence[Sample], limit: float) -> Line:
    lags = [one["lag"] for one in samples if "lag" in one]
    if not lags:
        return Line(None, "largest lag: never read")
    return Line(max(lags) <= limit, f"largest lag: {max(lags):,.0f} records, {limit:,.0f} allowed")


def _level(column: str, samples: Sequence[Sample]) -> Line:
    values = sorted(one[column] for one in samples if column in one)
    if not values:
        return Line(None, f"{column}: never read")
    return Line(
        None, f"{column}: {values[0]:,.0f} to {values[-1]:,.0f}, middle {values[len(values) // 2]:,.0f}"
    )


def _cpu(samples: Sequence[Sample]) -> Line:
    found = [(one["second"], one["cpu_s"]) for one in samples if "cpu_s" in one]
    if len(found) < 2:
        return Line(None, "CPU: never read")
    (first, before), (last, now) = found[0], found[-1]
    return Line(None, f"CPU of the worker: {(now - before) / (last - first):.0%} of a core")


def _behind(samples: Sequence[Sample]) -> Line:
    worst = max((one["behind_s"] for one in samples if "behind_s" in one), default=0.0)
    return Line(None, f"the sender was behind its schedule by {worst:.2f} s at most")


def _alerts(alerts: Mapping[str, int]) -> Line:
    held = alerts["matched"] > 0 and not alerts["missing"] and not alerts["unfounded"]
    return Line(held, "alerts: " + ", ".join(f"{count:,} {what}" for what, count in alerts.items()))


def _number(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"
