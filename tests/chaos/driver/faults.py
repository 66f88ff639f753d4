"""What befalls a round: which faults, when, in which order, from its seed.

A strike is an illness of the receiver, if any, and in the midst of it something worse: so the dispatcher has
work on its hands when its process dies.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from stream.runtime.store import FILE_NAME
from tests.chaos.driver.hook import Hook, Illness

LOOK_S = 0.2
"""How often a condition is looked at: each look asks a broker, or reads a store."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault and the illness around it. Times are seconds."""

    fault: str
    illness: Illness
    wait_s: float
    ill_before_s: float
    ill_after_s: float

    def __str__(self) -> str:
        return self.fault if self.illness is Illness.NONE else f"{self.fault}+{self.illness}"


def strikes(seed: int, faults: Sequence[str], always: str, number: int, seconds: float) -> list[Strike]:
    """Return so many strikes within so many seconds: `always` is among them, the others are drawn."""
    chance = Random(f"faults {seed}")
    drawn = [always, *chance.sample([one for one in faults if one != always], number - 1)]
    chance.shuffle(drawn)
    pause = seconds / (number + 1)
    return [
        Strike(
            fault,
            chance.choice(tuple(Illness)),
            chance.uniform(0.2, 0.8) * pause,
            chance.uniform(0.3, 1.2),
            chance.uniform(0.2, 1.5),
        )
        for fault in drawn
    ]


@dataclass
class Storm:
    """Lets strikes happen one after another; `does` says how each fault is done."""

    hook: Hook
    does: Mapping[str, Callable[[], Awaitable[None]]]

    async def rage(self, planned: Sequence[Strike]) -> None:
        """Do it all; the receiver is well afterwards."""
        for one in planned:
            await asyncio.sleep(one.wait_s)
            if one.illness is not Illness.NONE:
                self.hook.fall(one.illness)
                await asyncio.sleep(one.ill_before_s)
            try:
                await self.does[one.fault]()
                if one.illness is not Illness.NONE:
                    await asyncio.sleep(one.ill_after_s)
            finally:
                self.hook.heal()


async def stand_still(send: Callable[[int], None], seconds: float) -> None:
    """Stop a process as Ctrl-Z would, and let it go on."""
    send(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    send(signal.SIGCONT)


async def fill_disk(pid: int, data: Path, seconds: float) -> None:
    """Let no file of a process grow for a while: what a full disk does to the store, for real.

    The limit is that of the process alone, so that a test needs neither a disk nor rights of its own. The
    signal that comes with it is one that Python ignores: writes fail.
    """
    store = data / FILE_NAME
    log = store.with_name(f"{FILE_NAME}-wal")
    size = min((one.stat().st_size for one in (store, log) if one.exists()), default=0)
    try:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        await asyncio.sleep(seconds)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


async def settled(
    condition: Callable[[], bool], patience_s: float, progress: Callable[[], object] = lambda: None
) -> bool:
    """Return as soon as it holds, or when nothing has moved for so long: the verdict says what is missing.

    `progress` is whatever changes while things go on.
    """
    seen, moved_at = progress(), time.monotonic()
    while not (holds := await asyncio.to_thread(condition)) and time.monotonic() - moved_at < patience_s:
        await asyncio.sleep(LOOK_S)
        if (now := progress()) != seen:
            seen, moved_at = now, time.monotonic()
    return holds
