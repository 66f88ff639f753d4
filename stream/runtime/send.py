"""Feeds recorded events to a running system: paced, shifted to now, under ids of their own.

Open loop: every event has a planned moment that rests on the recording or on the rate alone. A system
that answers slowly makes the sender late, and the lateness is told; it never makes the plan slower,
which would hide what was to be measured. What waits is bounded, so a system that stands still makes
reading stop, not memory grow.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from stream import wire
from stream.wire import InvalidMessage
from stream.wire.inbound import mend_surrogates

IDS: Final = ("conversation_id", "message_id", "issue_id")
"""What is suffixed per run. Customers keep their ids: who comes again must be known again."""

_BROADCAST: Final = ("tick", "agent.status")
"""Event types that may concern no conversation: every partition gets them then."""

READ_AHEAD: Final = 512
"""Lines read at a time from a file, in a thread; from standard input one, for it may be somebody typing."""

NAP_SECONDS: Final = 0.002
"""Shorter waits are not worth the timer: the event goes out a little early."""


class Planned(NamedTuple):
    """One event: its bytes, its conversation, and when to send it, in milliseconds after the first.

    ``broadcast`` is for what concerns every conversation. An event with neither is none of the
    contract; it goes anywhere, to be refused.
    """

    raw: bytes
    key: str | None
    after_ms: float
    broadcast: bool = False


class Unusable(NamedTuple):
    """A line that is no event of the contract, so it has no time to shift."""

    line: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How to send.

    ``rate`` is events a second, ``speed`` how many times as fast as recorded. With both, ``rate`` is
    the most. With neither, as recorded; with ``recorded`` then as fast as it goes. ``recorded``
    keeps the lines as they are, those that are no events among them.
    """

    suffix: str
    rate: float | None = None
    speed: float | None = None
    recorded: bool = False

    @property
    def timed(self) -> bool:
        """Whether the recording's own times pace the sending."""
        return self.speed is not None or (self.rate is None and not self.recorded)


@dataclass(slots=True)
class Report:
    """What came of it. ``late_ms`` is how far the sender fell behind its plan at most."""

    read: int = 0
    sent: int = 0
    refused: int = 0
    unusable: int = 0
    late_ms: float = 0.0
    seconds: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count events that the system would not take."""
        self.refused += count
        self.reasons[reason] = self.reasons.get(reason, 0) + count


class SendError(Exception):
    """The system cannot be fed; the text says what to do about it."""


class Target(Protocol):
    """Where events go. A target keeps the order of events with one key."""

    async def put(self, event: Planned) -> None:
        """Take an event; waits where too much is under way. Raises SendError."""
        ...

    async def drain(self) -> None:
        """Return when everything taken was confirmed or refused. Raises SendError."""
        ...


class _Owner(msgspec.Struct):
    conversation_id: str | None = None
    type: str = "message"


_owner_of = msgspec.json.Decoder(_Owner).decode
_document = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def planned(lines: Iterable[tuple[int, bytes]], plan: Plan, now_ms: int) -> Iterator[Planned | Unusable]:
    """Yield the events of recorded lines as they are to be sent, the first of them at ``now_ms``.

    An event's time becomes the moment at which it is planned to be sent; one that was late in the
    recording stays late by as much.
    """
    if plan.recorded and not plan.timed:
        gap = 0.0 if plan.rate is None else 1000 / plan.rate
        yield from (_as_it_is(raw, number * gap) for number, (_, raw) in enumerate(lines))
        return
    schedule = _Schedule(plan)
    for number, raw in lines:
        try:
            received = wire.decode(raw, received_at=None)
        except InvalidMessage as error:
            if plan.recorded:
                yield _as_it_is(raw, schedule.last)
            else:
                yield Unusable(number, error.reason, error.detail)
            continue
        after, behind = schedule.place(received.t)
        if plan.recorded:
            yield _as_it_is(raw, after)
        else:
            shifted = _shifted(raw, round(now_ms + after - behind), plan.suffix)
            yield _as_it_is(shifted, after)


class _Schedule:
    """Where the recording's times lie on the run's time line."""

    def __init__(self, plan: Plan) -> None:
        self._speed = plan.speed or 1.0
        self._timed = plan.timed
        self._gap = 0.0 if plan.rate is None else 1000 / plan.rate
        self._first: int | None = None
        self._latest = 0
        self.last = 0.0
        self._count = 0

    def place(self, t: int) -> tuple[float, float]:
        """Return when an event is to be sent, and by how much its time lies before that; milliseconds."""
        if self._first is None:
            self._first = self._latest = t
        self._latest = max(self._latest, t)
        earliest = self.last + self._gap if self._count else 0.0
        if self._timed:
            # A rate beside it is a ceiling: what comes too thick is stretched, never squeezed again.
            self.last = max(earliest, (self._latest - self._first) / self._speed)
        else:
            self.last = self._count * self._gap
        self._count += 1
        return self.last, (self._latest - t) / self._speed


def _shifted(raw: bytes, t: int, suffix: str) -> bytes:
    """Return an event at another time and under other ids, all else as it was."""
    try:
        document = _document(raw)
    except msgspec.DecodeError:  # decoded, so it can be mended
        document = _document(mend_surrogates(raw))
    document["sent_at" if "sent_at" in document else "at"] = wire.rfc3339(t)
    for name in IDS:
        value = document.get(name)
        if isinstance(value, str):
            document[name] = value + suffix
    return _encode(document)


def _as_it_is(raw: bytes, after_ms: float) -> Planned:
    """Return a line to be sent untouched, whatever it is."""
    try:
        owner = _owner_of(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Planned(raw, None, after_ms)
    broadcast = owner.conversation_id is None and owner.type in _BROADCAST
    return Planned(raw, owner.conversation_id, after_ms, broadcast)


async def send(
    events: Iterator[Planned | Unusable],
    target: Target,
    report: Report,
    *,
    ahead: int = READ_AHEAD,
    unusable: Callable[[Unusable], None] = lambda _: None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Send planned events, each at its moment, and wait for what becomes of them.

    Args:
        events: what ``planned`` yields; read in a thread, ``ahead`` at a time.
        target: where they go.
        report: counted into as things happen, so that it is true after an interruption too.
        ahead: how many lines to read at once.
        unusable: told of every line that cannot be sent.
        progress: told how many events were handed over.

    Raises:
        SendError: The system cannot be fed.
        OSError: The recording cannot be read (and what ``wire.read_events`` raises).
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        while chunk := await loop.run_in_executor(None, _take, events, ahead):
            for event in chunk:
                report.read += 1
                if isinstance(event, Unusable):
                    report.unusable += 1
                    unusable(event)
                    continue
                wait = begun + event.after_ms / 1000 - loop.time()
                if wait > NAP_SECONDS:
                    await asyncio.sleep(wait)
                await target.put(event)
                if event.after_ms:
                    report.late_ms = max(report.late_ms, (loop.time() - begun) * 1000 - event.after_ms)
                progress(1)
        await target.drain()
    finally:
        report.seconds = loop.time() - begun


def _take(events: Iterator[Planned | Unusable], count: int) -> Sequence[Planned | Unusable]:
    return list(itertools.islice(events, count))
