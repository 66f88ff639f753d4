"""The shipped day, played: each event at its own time of a clock that runs faster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib.resources import files

from stream import wire
from stream.runtime.clock import ScaledClock
from stream.runtime.local import LocalRuntime

# The evening of the shipped day lasts half an hour; so it plays in about 45 seconds.
DEFAULT_SPEED = 45.0


def shipped_day() -> list[tuple[int, bytes]]:
    """Return the events of the shipped day with their times, in the order of time."""
    resource = files("stream.resources") / "demo" / "day.jsonl"
    with resource.open("rb") as file:
        events = [(wire.decode(raw, received_at=None).t, raw) for _, raw in wire.read_events(file)]
    return sorted(events, key=lambda event: event[0])


def _moments(events: list[tuple[int, bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    at = events[0][0]
    group: list[bytes] = []
    for t, raw in events:
        if t != at:
            yield at, group
            at, group = t, []
        group.append(raw)
    yield at, group


async def play(
    runtime: LocalRuntime,
    events: list[tuple[int, bytes]],
    clock: ScaledClock,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Feed events to the runtime, each when the clock reaches its time."""
    for at, raws in _moments(events):
        wait = clock.seconds_until(at)
        if wait > 0:
            await asyncio.sleep(wait)
        await runtime.accept(raws, keep_refused=True, stamped=False)
        progress(len(raws))
