"""What the Kafka runtime counts beyond what every runtime counts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stream import metrics as m
from stream.core.events import Message, Received
from stream.metrics import Metrics
from stream.runtime.conversations import Applied, Input
from stream.runtime.counting import Counting
from stream.runtime.customers import Told
from stream.runtime.kafka.hottest import Hottest
from stream.wire import Reason

SOURCE = "kafka"


class Counts:
    """The `Observer` of the conversation processors, and the other happenings of a worker."""

    def __init__(self, metrics: Metrics) -> None:
        self.hottest = Hottest()
        self._metrics = metrics
        self._counting = Counting(metrics)
        self._step_seconds = metrics.histogram(m.BATCH_SECONDS, "step")
        self._stages = {stage: metrics.histogram(m.BATCH_SECONDS, stage) for stage in ("outputs", "state")}
        self._late = metrics.histogram(m.CLOCK_LATENESS, "included")
        self._late_without_wait = metrics.histogram(m.CLOCK_LATENESS, "excluded")

    def applied(self, inputs: Sequence[Input], applied: Applied, seconds: float) -> None:
        """Count a batch that was applied in memory."""
        self._step_seconds.observe(seconds)
        self._counting.received((entry.item for entry in inputs if isinstance(entry.item, Received)), SOURCE)
        self._counting.applied(applied)
        self.hottest.note(
            (
                item.event.conversation_id
                for item, _, _ in inputs
                if isinstance(item, Received) and isinstance(item.event, Message)
            ),
            time.monotonic(),
        )

    def told(self, told: Told) -> None:
        """Count what was applied to customers in memory."""
        self._counting.told(told)

    def dead(self, reason: Reason) -> None:
        """Count a dead letter."""
        self._counting.refused(reason, dead_letter=True)
        if reason is Reason.INTERNAL:
            self._metrics.inc(m.INTERNAL_ERRORS, "engine")

    def confirmed(self, stage: str, seconds: float) -> None:
        """Observe how long the confirmation of a batch's outputs or states took."""
        self._stages[stage].observe(seconds)

    def recovered(self, seconds: float) -> None:
        """Note how long a partition's recovery took."""
        self._metrics.gauge(m.RECOVERY_SECONDS).set(seconds)

    def clock(self, late_ms: int, late_without_wait_ms: int) -> None:
        """Observe how late a clock spoke."""
        self._late.observe(late_ms / 1000)
        self._late_without_wait.observe(late_without_wait_ms / 1000)

    def snapshot_failed(self) -> None:
        """Count a snapshot that could not be written."""
        self._metrics.inc(m.SNAPSHOT_FAILURES)

    def rebalanced(self) -> None:
        """Count an assignment."""
        self._metrics.inc(m.REBALANCES)
