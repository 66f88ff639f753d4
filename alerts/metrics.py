"""What delivery counts, as a Protocol: the application decides where the numbers go.

Labels come from closed sets: `receiver` from the configuration, the rest from the enums of
`alerts.model` and from `Repeat`. No id is ever a label.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from alerts.model import Outcome, Reason


class Repeat(StrEnum):
    """How the same id came a second time."""

    ACCEPTED_AGAIN = "accepted_again"  # an upstream replay; not sent again
    AFTER_RESTART = "after_restart"  # was possibly in flight at the crash; sent again


class DeliveryMetrics(Protocol):
    """The dispatcher's view of a metrics registry. Implementations must not raise or block."""

    def accepted(self, receiver: str) -> None:
        """Counter: a notification became durable in the ledger."""
        ...

    def repeated(self, receiver: str, repeat: Repeat) -> None:
        """Counter: an id came again. `AFTER_RESTART` is an upper bound for messages seen twice."""
        ...

    def attempted(self, receiver: str, reason: Reason | None) -> None:
        """Counter: one attempt ended; `None` means that the receiver took it."""
        ...

    def finished(self, receiver: str, outcome: Outcome, reason: Reason | None) -> None:
        """Counter: a notification became `delivered`, `failed` or `dropped`."""
        ...

    def delivered_after(self, receiver: str, seconds: float) -> None:
        """Histogram, seconds: from the alert's business time to the receiver's acceptance.

        Where the notification was held, from the opening of its hours.
        """
        ...

    def queue_depth(self, receiver: str, entries: int) -> None:
        """Gauge: open entries of the receiver, those in flight among them."""
        ...

    def receiver_up(self, receiver: str, up: bool) -> None:
        """Gauge: 0 from a receiver's first unreachable or throttled answer to its next acceptance."""
        ...

    def ledger_failed(self) -> None:
        """Counter: the ledger or the dead-letter callback raised; the write is repeated."""
        ...


class NoMetrics:
    """Counts nothing."""

    def accepted(self, receiver: str) -> None:
        """Nothing."""

    def repeated(self, receiver: str, repeat: Repeat) -> None:
        """Nothing."""

    def attempted(self, receiver: str, reason: Reason | None) -> None:
        """Nothing."""

    def finished(self, receiver: str, outcome: Outcome, reason: Reason | None) -> None:
        """Nothing."""

    def delivered_after(self, receiver: str, seconds: float) -> None:
        """Nothing."""

    def queue_depth(self, receiver: str, entries: int) -> None:
        """Nothing."""

    def receiver_up(self, receiver: str, up: bool) -> None:
        """Nothing."""

    def ledger_failed(self) -> None:
        """Nothing."""
