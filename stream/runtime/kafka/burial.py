"""A record becomes a dead letter: as it is, or as much of it as `qa.dlq` takes. It never stops a partition.

The topic takes any record that `chat.messages` takes by default, with 64 KiB of headers (topics.yaml). A
broker may have other limits, and a record can bring so many headers of its own that ours do not fit beside
them; refused by the broker, it would end the worker, and the next one, for ever. So it goes without its own
headers then, and failing that with the beginning of its value alone: the record itself lies where it was read
until retention takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from stream.runtime.kafka.client import PRODUCER_BATCH_BYTES
from stream.runtime.kafka.feed import Record

Headers = Sequence[tuple[str, bytes]]

ORIGINAL = "original."
"""Before the name of a header that the record itself had."""

TOMBSTONE = "tombstone"
"""Header of a letter whose record had no value."""

WITHOUT_HEADERS = "without_headers"
"""Header of a letter whose record had so many headers, which were left out."""

CUT = "cut"
"""Header of a letter that holds only the beginning of its record: how many bytes the value had."""

BEGINNING = 64 * 1024
"""Bytes kept of a value that is cut: as many as an event may have, so that a person sees what it was."""

KEY_BEGINNING = 1024
"""Bytes kept of the key beside it; ids are at most 128 characters long."""

CAREFUL_FROM = PRODUCER_BATCH_BYTES
"""Bytes from which a letter travels in a batch of its own, so that its refusal concerns no other."""


class Letter(NamedTuple):
    """A dead letter as it is written."""

    key: bytes | None
    value: bytes
    headers: Headers

    @property
    def size(self) -> int:
        """Bytes of it, without Kafka's own."""
        own = len(self.key or b"") + len(self.value)
        return own + sum(len(name) + len(value or b"") for name, value in self.headers)


def forms(record: Record, about: Headers) -> Iterator[Letter]:
    """Yield what may be written of a record, the fullest first; the last one fits into any topic."""
    value = record.value if record.value is not None else b""
    gone = [(TOMBSTONE, b"1")] if record.value is None else []
    own = [(f"{ORIGINAL}{name}", content) for name, content in record.headers]
    yield Letter(record.key, value, [*about, *own, *gone])
    if own:
        yield Letter(record.key, value, [*about, *gone, (WITHOUT_HEADERS, str(len(own)).encode())])
    key = record.key if record.key is None else record.key[:KEY_BEGINNING]
    yield Letter(key, value[:BEGINNING], [*about, *gone, (CUT, str(len(value)).encode())])


Send = Callable[[Letter], Awaitable["asyncio.Future[Any]"]]
"""Hands a letter over; returns what to await for its confirmation."""


async def bury(record: Record, about: Headers, send: Send) -> asyncio.Future[Any]:
    """Hand a record over as a dead letter; the future confirms whichever form of it was taken.

    Letters are written in the order of the calls, but for one that was refused for its size.
    """
    whole = next(forms(record, about))
    if whole.size < CAREFUL_FROM:
        return await send(whole)
    return asyncio.create_task(_fitting(forms(record, about), send), name="large dead letter")


async def _fitting(letters: Iterator[Letter], send: Send) -> Any:
    refusal: Exception = MessageSizeTooLargeError()
    for letter in letters:
        try:
            return await (await send(letter))
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            refusal = error
    raise refusal
