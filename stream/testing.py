"""What tests of Yanshao, and of what is built on it, share: a clock that stands still, a place for jars."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class ManualClock:
    """A clock that moves only when told to; it never goes back.

    Args:
        at: the first reading, epoch milliseconds. Any will do; the default is a morning in Beijing,
            2026-11-11T09:00:00+08:00, inside every shipped calendar's hours.
    """

    at: int = 1_794_358_800_000

    def now_ms(self) -> int:
        """Return the present reading, epoch milliseconds."""
        return self.at

    def advance(self, ms: int) -> int:
        """Move on by `ms` milliseconds and return the new reading."""
        if ms < 0:
            raise ValueError("a clock does not go back")
        self.at += ms
        return self.at


def cache_home(environment: Mapping[str, str]) -> Path:
    """Return the folder for what may be fetched again (XDG base directory specification)."""
    base = environment.get("XDG_CACHE_HOME", "")
    # The specification tells to ignore a relative path.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "yanshao"


PATIENCE = 60.0
"""Seconds until waiting is given up: what takes two on an idle machine may take thirty beside other tests."""


async def eventually(condition: Callable[[], bool], what: str, *, patience: float = PATIENCE) -> None:
    """Return as soon as the condition holds, looking twenty times a second.

    For what another thread or process does; what depends on time alone takes a ManualClock.
    Raises AssertionError that names `what` where it does not hold within `patience` seconds.
    """
    for _ in range(int(patience / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited {patience:g} s in vain for {what}")
