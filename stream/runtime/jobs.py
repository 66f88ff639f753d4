"""What waits for the embedded runtime's next transaction, and what a transaction came to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.model import Notification
from stream.core.events import Received
from stream.runtime.conversations import Applied
from stream.runtime.customers import Told
from stream.runtime.store import Store
from stream.wire import InvalidMessage


@dataclass(slots=True)
class Events:
    """Events of one sender, and its answer to be."""

    raws: Sequence[bytes]
    received_at: int | None
    keep_refused: bool
    answer: asyncio.Future[list[InvalidMessage | None]]


@dataclass(slots=True)
class Write:
    """A piece of work on the store that shares the next transaction."""

    work: Callable[[Store], Any]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class Done:
    """What a transaction came to, once it is durable.

    ``told`` is what its contacts, and the time, came to for customers.
    ``refused`` are reasons, each with whether the event went to the dead letters; ``lateness_ms`` says
    of every clock that came due how much later it was looked at.
    """

    outcomes: list[Any] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    refused: list[tuple[str, bool]] = field(default_factory=list)
    applied: Applied = field(default_factory=Applied)
    told: Told = field(default_factory=Told)
    notifications: list[Notification] = field(default_factory=list)
    lateness_ms: list[int] = field(default_factory=list)
    commit_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Queue:
    """How much may wait before senders are turned away."""

    events: int = 20_000
    size: int = 64 * 1024 * 1024


DEFAULT_QUEUE = Queue()


def refuse(job: Events | Write, error: Exception) -> None:
    """Answer a job with an error, unless its sender has gone."""
    if not job.answer.done():
        job.answer.set_exception(error)
