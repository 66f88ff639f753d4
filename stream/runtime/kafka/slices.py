"""A partition's inputs, applied slice by slice: other alerts are on their way too, and want their turn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from stream.runtime.applied import Applied, Input, Knowledge
from stream.runtime.conversations import Conversations
from stream.runtime.customers import last_tick
from stream.runtime.kafka.exits import describe
from stream.runtime.kafka.inbox import Fed
from stream.runtime.kafka.pace import Pace
from stream.wire import InvalidMessage, Reason

logger = logging.getLogger(__name__)

PORTION = 256
"""Records whose outputs leave together: 60 ms of work. Alerts do not wait for the end of a long batch, and
each topic is written to once for many of them."""

Refuse = Callable[[Input, InvalidMessage], None]
"""Hears of an input that cannot be applied."""


def portions(fed: Iterable[Fed]) -> Iterator[list[Fed]]:
    """Yield what was read in order, ``PORTION`` records at a time, or one batch where that has more."""
    some: list[Fed] = []
    count = 0
    for one in fed:
        if some and count + len(one.batch) > PORTION:
            yield some
            some, count = [], 0
        some.append(one)
        count += len(one.batch)
    if some:
        yield some


class Slices:
    """Applies batches of one partition; ``applying`` is held for a slice, whichever partition's it is."""

    def __init__(
        self, conversations: Conversations, knowledge: Callable[[], Knowledge], applying: asyncio.Lock
    ) -> None:
        self._conversations = conversations
        self._knowledge = knowledge
        self._applying = applying
        self._pace = Pace()
        self._so_far: list[Input] = []

    async def go_on(self, inputs: Sequence[Input], refuse: Refuse) -> Applied:
        """Apply the next inputs of the batch; their states are read back, and not yet written."""
        done = Applied()
        at = 0
        while at < len(inputs):
            await self._applying.acquire()
            # Given back in the loop's next turn, not in this one: a turn has one slice, of any partition.
            asyncio.get_running_loop().call_soon(self._applying.release)
            begun = time.perf_counter()
            part = inputs[at : at + self._pace.records]
            done.merge(self._apply(part, refuse))
            self._so_far += part
            self._pace.took(len(part), time.perf_counter() - begun)
            at += len(part)
        return done

    def end(self, written: Applied) -> None:
        """Write the states of the batch; what changed and what is gone is added to ``written``."""
        self._conversations.write(self._knowledge(), written)
        self._so_far.clear()

    def _apply(self, inputs: Sequence[Input], refuse: Refuse) -> Applied:
        knowledge = self._knowledge()
        try:
            return self._conversations.go_on(knowledge, inputs)
        except Exception as error:
            # A tick writes on its way, so a batch with one cannot be tried again.
            if last_tick([*self._so_far, *inputs]) is not None:
                raise
            logger.error("a batch cannot be applied, trying one by one: %s", describe(error))  # noqa: TRY400
        return self._apply_singly(knowledge, inputs, refuse)

    def _apply_singly(self, knowledge: Knowledge, inputs: Sequence[Input], refuse: Refuse) -> Applied:
        """Leave out the input that our own code cannot bear: one bug must not stop a partition.

        What came before in the batch is applied anew, for its states; what it made is on its way already.
        """
        self._conversations.drop()
        done = Applied()
        for entry in self._so_far:
            try:
                done.merge_states(self._conversations.apply(knowledge, [entry]))
            except Exception:  # noqa: BLE001, S112 - refused before
                continue
        for entry in inputs:
            try:
                done.merge(self._conversations.apply(knowledge, [entry]))
            except Exception as error:  # noqa: BLE001 - any bug; the traceback was just logged
                refuse(entry, InvalidMessage(Reason.INTERNAL, type(error).__name__))
        return done
