"""What the embedded runtime's writer leaves behind, so that `/healthz` can tell whether it gets on.

Times are `time.monotonic()`, in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

STUCK_S = 30.0
"""A transaction takes a tenth of a second, on a slow disk a few; another reader is waited for five."""

PROBE_S = 1.0
"""How often a store that refused a transaction is asked whether it writes again, where nothing else comes."""


@dataclass(slots=True)
class Pulse:
    """Since when a transaction is under way, and since when the store refuses them."""

    begun_at: float | None = None
    refused_at: float | None = None

    def begin(self, now: float) -> None:
        """Note that a transaction begins."""
        self.begun_at = now

    def end(self) -> None:
        """Note that it is over, one way or the other."""
        self.begun_at = None

    def wrote(self) -> None:
        """Note that the store has taken a transaction."""
        self.refused_at = None

    def refused(self, now: float) -> None:
        """Note that the store refused a transaction: the disk is full, or broken, or the file is."""
        self.refused_at = now if self.refused_at is None else self.refused_at

    def unready(self, now: float) -> list[str]:
        """Return why events would not be taken now."""
        stuck = self._stuck(now)
        if self.refused_at is not None:
            stuck.append(f"the store has refused to write for {now - self.refused_at:.0f} s")
        return stuck

    def unhealthy(self, now: float) -> list[str]:
        """Return what has not got on for so long that it will not by itself."""
        lasting = self.refused_at is not None and now - self.refused_at > STUCK_S
        return self.unready(now) if lasting else self._stuck(now)

    def _stuck(self, now: float) -> list[str]:
        if self.begun_at is None or now - self.begun_at <= STUCK_S:
            return []
        return [f"a transaction has been under way for {now - self.begun_at:.0f} s"]
