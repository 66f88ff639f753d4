"""Inputs of partitions, applied slice by slice: other alerts are on their way too, and want their turn."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from stream.runtime.conversations import Applied, Conversations, Input, Knowledge, Reading, conversation_of
from stream.runtime.customers import last_tick
from stream.runtime.kafka.exits import describe
from stream.runtime.kafka.pace import BEHIND_S, SLICE_S, Pace
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


@dataclass(slots=True, eq=False)
class _Job:
    """A batch of one partition that is being applied."""

    conversations: Conversations
    inputs: Sequence[Input]
    refuse: Refuse
    outcome: asyncio.Future[Applied]
    applied: Applied = field(default_factory=Applied)
    at: int = 0
    """How many of the inputs are applied."""
    begins: int = 0
    """Where those begin that were read last, and where they end."""
    ends: int = 0
    knowledge: Knowledge | None = None
    """What they were read with: the rules that a text concerns are those of one book."""
    reads: Sequence[Reading] | None = None
    """None where our code cannot bear one of the texts: its slice will say which."""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, or nobody waits for it any more."""
        return self.at == len(self.inputs) or self.outcome.done()

    @property
    def behind(self) -> bool:
        return len(self.inputs) > READ_TOGETHER

    def unread(self) -> Sequence[Input]:
        return self.inputs[self.ends : self.ends + READ_TOGETHER] if self.at == self.ends else ()

    def was_read(self, knowledge: Knowledge, reads: Sequence[Reading] | None, count: int) -> None:
        self.knowledge, self.reads = knowledge, reads
        self.begins, self.ends = self.ends, self.ends + count


class Slices:
    """Applies the batches of all partitions of a worker, within one budget of time for a turn of the loop.

    Texts of several partitions are read in one call, and what is short is applied in the turn in which it was
    read: each call and each turn has costs of its own. A long batch goes on slice by slice, by turns with
    those of other partitions.
    """

    def __init__(self, knowledge: Callable[[], Knowledge]) -> None:
        self._knowledge = knowledge
        self._jobs: deque[_Job] = deque()
        self._pace = Pace()
        self._turn_is_due = False

    async def apply(self, conversations: Conversations, inputs: Sequence[Input], refuse: Refuse) -> Applied:
        """Apply a batch of a partition that has no other under way."""
        if not inputs:
            return Applied()
        outcome: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(conversations, by_conversation(inputs), refuse, outcome))
        self._go_on()
        return await outcome

    def _go_on(self) -> None:
        if self._jobs and not self._turn_is_due:
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        budget_s = BEHIND_S if any(job.behind for job in self._jobs) else SLICE_S
        until = time.perf_counter() + budget_s
        while self._jobs and time.perf_counter() < until:
            job = self._jobs[0]
            if job.unread() and not job.over:
                self._read()
                continue
            self._jobs.popleft()
            if self._advance(job):
                self._jobs.append(job)
        self._go_on()

    def _read(self) -> None:
        """Read the next texts of as many jobs as may be read together, those of the first in any case."""
        reading: list[tuple[_Job, Sequence[Input]]] = []
        together: list[Input] = []
        for job in self._jobs:
            part = () if job.over else job.unread()
            if part and (not together or len(together) + len(part) <= READ_TOGETHER):
                reading.append((job, part))
                together += part
        knowledge = self._knowledge()
        reads: Sequence[Reading] | None
        try:
            reads = Conversations.read(knowledge, together)
        except Exception:  # noqa: BLE001 - the slice with the text will say so
            reads = None
        at = 0
        for job, part in reading:
            job.was_read(knowledge, reads and reads[at : at + len(part)], len(part))
            at += len(part)

    def _advance(self, job: _Job) -> bool:
        """Apply the next slice of a job; returns whether there is more of it."""
        if not job.over:
            try:
                self._apply_next(job)
            except Exception as error:  # noqa: BLE001 - it is for whoever waits
                job.outcome.set_exception(error)
        if job.over and not job.outcome.done():
            job.outcome.set_result(job.applied)
        return not job.over

    def _apply_next(self, job: _Job) -> None:
        begun = time.perf_counter()
        end = min(job.at + self._pace.records(behind=job.behind), job.ends)
        inputs = job.inputs[job.at : end]
        reads = job.reads and job.reads[job.at - job.begins : end - job.begins]
        assert job.knowledge is not None
        try:
            job.applied.merge(job.conversations.apply(job.knowledge, inputs, reads))
        except Exception as error:
            # A tick writes back on its way, so a batch with one cannot be tried again.
            if last_tick(inputs) is not None:
                raise
            logger.error("a batch cannot be applied, trying one by one: %s", describe(error))  # noqa: TRY400
            _apply_singly(job, job.knowledge, inputs)
        job.at = end
        self._pace.took(len(inputs), time.perf_counter() - begun)


def _apply_singly(job: _Job, knowledge: Knowledge, inputs: Sequence[Input]) -> None:
    """Leave out the input that our own code cannot bear: one bug must not stop a partition."""
    for entry in inputs:
        try:
            job.applied.merge(job.conversations.apply(knowledge, [entry]))
        except Exception as error:  # noqa: BLE001 - any bug; the traceback was just logged
            job.refuse(entry, InvalidMessage(Reason.INTERNAL, type(error).__name__))
