"""What of one partition cannot be used: counted in runs, and buried with the batch it came in."""

from __future__ import annotations

from typing import NamedTuple

from stream.runtime.kafka.feed import Record
from stream.runtime.kafka.inbox import Fed
from stream.runtime.kafka.poison import too_many
from stream.runtime.kafka.publisher import Confirmation
from stream.runtime.kafka.shared import Shared
from stream.wire import InvalidMessage


class _Refused(NamedTuple):
    fed: Fed
    record: Record
    problem: InvalidMessage


class Refusals:
    """Those of the batch under work; a run of them goes on from batch to batch.

    Raises from `add` and `recall`:
        stream.runtime.kafka.exits.WorkerExit: More than `kafka.poison_limit` came in a row.
    """

    def __init__(self, shared: Shared, number: int) -> None:
        self._shared = shared
        self._number = number
        self._waiting: list[_Refused] = []
        self._run = 0
        self._recalled = False

    def used(self) -> None:
        """Note a record that could be used: the run is over."""
        self._run = 0

    def add(self, fed: Fed, record: Record, problem: InvalidMessage) -> None:
        """Note a record that could not."""
        self._waiting.append(_Refused(fed, record, problem))
        self._run += 1
        self._look()

    async def recall(self, position: int, *, first: bool) -> None:
        """At the first refusal, go on counting where the partition's processor before this one ended.

        `first` says that nothing was used since this one began, at `position` of `chat.messages`.
        """
        if self._recalled or not self._waiting:
            return
        self._recalled = True
        if first:
            self._run += await self._shared.buried_before(self._number, position)
            self._look()

    async def bury(self) -> list[Confirmation]:
        """Hand them over as dead letters; returns what to await for their confirmation."""
        waiting, self._waiting = self._waiting, []
        confirmations = []
        for fed, record, problem in waiting:
            self._shared.observer.dead(problem.reason)
            batch, detail = fed.batch, ("detail", problem.detail.encode())
            confirmations.append(
                await self._shared.publisher.dead_letter(
                    record, batch.topic, batch.partition, problem.reason, [detail]
                )
            )
        return confirmations

    def _look(self) -> None:
        if self._run > self._shared.kafka.poison_limit:
            fed, record, problem = self._waiting[-1]
            raise too_many(self._run, fed.batch.topic, fed.batch.partition, record.offset, problem.reason)
