"""Faust's consumer for batches acknowledged in order: what it fetches, what it commits, what a batch costs.

*Fetching.* `fetching` says how long a fetch may wait at the broker, by what came lately.

*Commits.* Faust enters the offsets between two carriers (`feed`) as a gap that ends *with* the second
carrier's own offset. Once that carrier is acknowledged its offset stands twice in the list of acknowledged
ones, and `consecutive_numbers`, which looks for the first unbroken run, takes the repetition for a break. So
every commit advances a partition by one carrier, however many were acknowledged: under load what is
committed falls ever further behind what is done, and a restart reads all of it again. We acknowledge in
order, so the highest acknowledged offset says it all, and no gap need be entered.

*Handing on.* Faust fetches again when it has handed on what it fetched, and for each carrier it makes four
tasks and waits for the first of them, several turns of the loop later. While the loop is busy each turn is
some milliseconds: most of what a record took from Kafka to its processor. A carrier that finds room needs
none of them.

`tests/contract` holds both: what Faust does, and what this makes of it.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from mode.services import WaitResults

from stream.runtime.kafka import eager
from stream.runtime.kafka.fetching import Fetched, Fetching


class InOrderConsumer(Consumer):  # type: ignore[misc]  # faust is not typed for us
    """Faust's consumer for apps that acknowledge the batches of a partition in order, and only so."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetched = Fetched(time.monotonic())

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's own
        """Return the next records; the fetches after them ask what `fetching` says."""
        records, active = await super()._wait_next_records(timeout)
        self.ask(self._fetched.count(sum(map(len, (records or {}).values())), time.monotonic()))
        return records, active

    def ask(self, fetching: Fetching) -> None:
        """Let the next fetches ask this of the broker."""
        client = self._thread._consumer
        if client is not None:  # not ended meanwhile
            client._fetcher._fetch_max_wait_ms, client._fetcher._fetch_min_bytes = fetching

    def _new_offset(self, tp: TP) -> int | None:
        """Return what may be committed: one past the highest acknowledged offset; None for nothing new."""
        acked: list[int] = self._acked[tp]
        if not acked:
            return None
        offset = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: what is committed does not follow from gaps."""

    async def wait_first(self, *waits: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109 - mode's own
        """Wait as Faust does; at once where the first is a coroutine with nothing to wait for."""
        first, *others = waits
        if isinstance(first, Coroutine):
            try:
                first = eager.begin(first)
            except eager.Done as done:
                _let_go(others)
                return WaitResults([first], [done.value], False)
            except BaseException:
                _let_go(others)
                raise
        return await super().wait_first(first, *others, timeout=timeout)


def _let_go(waits: list[Any]) -> None:
    for one in waits:
        if isinstance(one, Coroutine):
            one.close()


def consume_in_order(app: Any) -> None:
    """Let an app that has not been started consume so."""
    app.transport.Consumer = InOrderConsumer
