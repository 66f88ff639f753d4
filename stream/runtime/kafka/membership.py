"""This worker's place in the group: which partitions it gets, and whether it still has them.

Co-partitioning: the worker that owns chat.messages/3 must own qa.timers/3 and qa.contacts/3 too. Faust's
assignor gives topics of equal partition count to one worker by number, as long as it sees them as one
group; it groups them by a tuple made from a set of members, whose order may differ between two equal
sets, and then splits what belongs together. `CoPartitioner` groups by the set itself.

Fencing: a worker that was stopped past its session does not know that others took over. Its last good
heartbeat is the one thing it can know without asking; half the session is left for what is under way.
Where that is longer ago it waits for the group's next word: a broker that restarts answers nobody, and
gives the partitions to nobody else either.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from faust.assignor.partition_assignor import PartitionAssignor

from stream.runtime.kafka.exits import Exit, WorkerExit

PATIENCE_S = 45.0
"""How long to wait for the group's word. A broker is back in 5 to 20 s; the watchdog acts at 60 s."""

LOOK_S = 0.05
"""How often the waiting look again: a quarter of what a clock may be late by design."""


class CoPartitioner(PartitionAssignor):  # type: ignore[misc]  # faust is not typed for us
    """Faust's sticky assignor; topics of one partition count and one set of readers stay together."""

    @classmethod
    def _group_co_subscribed(
        cls, topics: Iterable[str], subscriptions: Mapping[str, Iterable[str]]
    ) -> list[set[str]]:
        readers: dict[str, set[str]] = defaultdict(set)
        for member, subscription in subscriptions.items():
            for topic in subscription:
                readers[topic].add(member)
        groups: dict[frozenset[str], set[str]] = defaultdict(set)
        for topic in topics:
            groups[frozenset(readers[topic])].add(topic)
        # The order decides who gets the odd partition; it must be the same on whichever worker leads.
        return sorted(groups.values(), key=sorted)


class Heartbeats:
    """Knows when the group's coordinator last answered that this worker is a member.

    `observe` is called on the consumer's own thread, `sure` on the main one.
    """

    def __init__(self, session_timeout_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = session_timeout_s / 2
        self._now = now
        self._last = now()
        self._expelled = False

    def age(self) -> float:
        """Return seconds since the last good heartbeat (or assignment)."""
        return self._now() - self._last

    def good(self) -> None:
        """Note that the coordinator just said yes."""
        self._last = self._now()
        self._expelled = False

    async def sure(self) -> None:
        """Return once the partitions are surely still ours: at once, or when the group says so.

        Raises:
            WorkerExit: They may be another's by now: the group has expelled this worker, or did not
                answer for `PATIENCE_S`.
        """
        begun = self._now()
        while (age := self.age()) > self._limit:
            if self._expelled:
                raise WorkerExit(Exit.FENCED, f"expelled from the group, last heartbeat {age:.1f} s ago")
            if self._now() - begun > PATIENCE_S:
                raise WorkerExit(Exit.FENCED, f"no heartbeat for {age:.1f} s, {self._limit:.1f} s allowed")
            await asyncio.sleep(LOOK_S)

    def observe(self, app: Any) -> None:
        """Listen to the heartbeats of a started Faust app; again after each assignment does no harm.

        aiokafka keeps the time of its last heartbeat in a local variable, so its one method that makes
        a heartbeat is wrapped. Joining the group counts as well: the caller notes it with `good`.
        """
        coordinator = app.consumer._thread._consumer._coordinator
        beat = coordinator._do_heartbeat
        if getattr(beat, "watched_by", None) is self:
            return

        async def watched() -> Any:
            asked = self._now()
            success = False
            try:
                success = await beat()
            finally:
                if success:
                    self._last = max(self._last, asked)
                elif not coordinator.member_id:
                    # The group's word was no: aiokafka has forgotten who it was there.
                    self._expelled = True
            return success

        watched.watched_by = self  # type: ignore[attr-defined]
        coordinator._do_heartbeat = watched
