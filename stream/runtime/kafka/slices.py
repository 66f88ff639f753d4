"""A partition's inputs, applied slice by slice: other alerts are on their way too, and want their turn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from stream.runtime.conversations import Applied, Conversations, Input, Knowledge, Reading, conversation_of
from stream.runtime.customers import last_tick
from stream.runtime.kafka.exits import describe
from stream.runtime.kafka.pace import Pace
from stream.wire import InvalidMessage, Reason

logger = logging.getLogger(__name__)

READ_TOGETHER = 512
"""Texts annotated at once, some 20 ms of work. A call costs as much as 20 texts before it looks at the first:
among 80 a text takes 59 µs, among 512 it takes 38, and beyond that nothing is won."""

Refuse = Callable[[Input, InvalidMessage], None]
"""Hears of an input that our own code cannot bear."""


def by_conversation(inputs: Iterable[Input]) -> list[Input]:
    """Return the inputs with those of each conversation one behind another, in their order.

    Each conversation is then read and written once, however its events were mixed with those of others.
    Nothing is moved across a tick, or another input that is nobody's.
    """
    together: list[Input] = []
    groups: dict[str, list[Input]] = {}
    for entry in inputs:
        name = conversation_of(entry)
        if name is not None:
            groups.setdefault(name, []).append(entry)
            continue
        for group in groups.values():
            together += group
        groups = {}
        together.append(entry)
    for group in groups.values():
        together += group
    return together


class Slices:
    """Applies batches of one partition; ``applying`` is held for a slice, whichever partition's it is."""

    def __init__(
        self, conversations: Conversations, knowledge: Callable[[], Knowledge], applying: asyncio.Lock
    ) -> None:
        self._conversations = conversations
        self._knowledge = knowledge
        self._applying = applying
        self._pace = Pace()

    async def apply(self, inputs: Sequence[Input], refuse: Refuse) -> Applied:
        """Apply a batch; the loop turns to other work after every few milliseconds of it."""
        done = Applied()
        inputs = by_conversation(inputs)
        behind = len(inputs) > READ_TOGETHER
        for at in range(0, len(inputs), READ_TOGETHER):
            part = inputs[at : at + READ_TOGETHER]
            # Rules that a text concerns are those of one book: what is read with it is applied with it.
            knowledge = self._knowledge()
            size = self._pace.records(behind=behind)
            reads = await self._read(knowledge, part) if len(part) > size else None
            await self._apply_read(knowledge, part, reads, size, refuse, done)
        return done

    async def _read(self, knowledge: Knowledge, inputs: Sequence[Input]) -> Sequence[Reading] | None:
        """Return what there is to know of the texts alone; None where our code cannot bear one of them."""
        await self._turn()
        try:
            return self._conversations.read(knowledge, inputs)
        except Exception:  # noqa: BLE001 - its slice will say which of them
            return None

    async def _apply_read(
        self,
        knowledge: Knowledge,
        inputs: Sequence[Input],
        reads: Sequence[Reading] | None,
        size: int,
        refuse: Refuse,
        done: Applied,
    ) -> None:
        for at in range(0, len(inputs), size):
            await self._turn()
            begun = time.perf_counter()
            part = inputs[at : at + size]
            done.merge(self._apply_slice(knowledge, part, reads and reads[at : at + size], refuse))
            self._pace.took(len(part), time.perf_counter() - begun)

    async def _turn(self) -> None:
        await self._applying.acquire()
        # Given back in the loop's next turn, not in this one: a turn has one slice, of any partition.
        asyncio.get_running_loop().call_soon(self._applying.release)

    def _apply_slice(
        self,
        knowledge: Knowledge,
        inputs: Sequence[Input],
        reads: Sequence[Reading] | None,
        refuse: Refuse,
    ) -> Applied:
        try:
            return self._conversations.apply(knowledge, inputs, reads)
        except Exception as error:
            # A tick writes back on its way, so a batch with one cannot be tried again.
            if last_tick(inputs) is not None:
                raise
            logger.error("a batch cannot be applied, trying one by one: %s", describe(error))  # noqa: TRY400
        return self._apply_singly(knowledge, inputs, refuse)

    def _apply_singly(self, knowledge: Knowledge, inputs: Sequence[Input], refuse: Refuse) -> Applied:
        """Leave out the input that our own code cannot bear: one bug must not stop a partition."""
        done = Applied()
        for entry in inputs:
            try:
                done.merge(self._conversations.apply(knowledge, [entry]))
            except Exception as error:  # noqa: BLE001 - any bug; the traceback was just logged
                refuse(entry, InvalidMessage(Reason.INTERNAL, type(error).__name__))
        return done
