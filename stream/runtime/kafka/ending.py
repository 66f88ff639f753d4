"""Ending tasks for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_S: Final = 1.0
"""After which a task that goes on is cancelled again: closing a client takes milliseconds."""


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks; returns when all of them have ended, whatever with.

    Once is not enough: aiokafka's clients, when they close, wait for tasks of theirs that they have
    cancelled, and take a cancellation of whoever closes them for the end of those. A partition that was being
    read back at that moment would go on for ever, and the worker's end would wait for it.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
