"""A worker as the whole of a process: asked to end by signals, and ended in time whatever hangs."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable

from stream.runtime import garbage
from stream.runtime.kafka.exits import Exit
from stream.runtime.kafka.names import ALL_ROLES, Role
from stream.runtime.kafka.worker import Driver, Worker
from stream.runtime.signals import asked_to_end
from stream.settings import Settings

logger = logging.getLogger(__name__)

STOP_S = 30.0
"""An orderly stop takes a second or two; cut short at this it loses nothing either, and repeats a little."""


def run_worker(settings: Settings, roles: Iterable[Role] = ALL_ROLES, *, driver: Driver = Driver.WALL) -> int:
    """Run one worker until SIGTERM or SIGINT, or until something fails; returns the exit code.

    Ends the process itself where a stop takes too long, or threads of libraries stay behind.

    Raises:
        stream.packs.PackError: The packs cannot be used.
        alerts.config.AlertsConfigError: The alerts section cannot be used.
    """
    code = asyncio.run(_run(settings, roles, driver))
    left = [one for one in threading.enumerate() if not one.daemon and one is not threading.main_thread()]
    if left:
        # The interpreter would wait for them for ever.
        _end_at_once(code, f"{len(left)} threads of libraries did not end")
    return int(code)


async def _run(settings: Settings, roles: Iterable[Role], driver: Driver) -> Exit:
    worker = Worker(settings, roles, driver=driver)
    garbage.settle()
    with asked_to_end(worker.stop):
        running = asyncio.create_task(worker.run(), name="worker")
        await worker.ending()
        # From here on the time is bounded, whatever hangs: this timer has a thread of its own.
        late = f"the stop took more than {STOP_S:.0f} s"
        timer = threading.Timer(STOP_S, _end_at_once, (Exit.OVERDUE, late))
        timer.daemon = True
        timer.start()
        code = await running
        timer.cancel()
        return code


def _end_at_once(code: Exit, reason: str) -> None:
    logger.critical("%s; exit code %d", reason, code)
    logging.shutdown()
    os._exit(code)
