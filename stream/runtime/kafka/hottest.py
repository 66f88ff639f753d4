"""How large a share of the messages one conversation has, without saying which.

Counted as Misra and Gries (1982) do: a bounded number of counters, of which the largest is too small by at
most a counted message in every ``COUNTERS``. Ids stay in memory; what is told is a share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

COUNTERS: Final = 128
"""A share is wrong by less than 1%: a tenth, of which one wants to know, is told from chance."""

WINDOW_S: Final = 60.0
"""Long enough that a customer who sends three lines at night is no storm where others write too."""

FEWEST: Final = 600
"""Messages of a window below which no share is told: ten a second hold up nobody."""


class Hottest:
    """The share of the hottest conversation in the last whole window. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._messages = 0
        self._since: float | None = None
        self._share = 0.0

    def note(self, conversation_ids: Iterable[str], now: float) -> None:
        """Count the messages of a batch, a conversation's id each."""
        batch = Counter(conversation_ids)
        self._roll(now)
        self._messages += batch.total()
        counts = self._counts
        for name, count in batch.items():
            counts[name] = counts.get(name, 0) + count
        if len(counts) > COUNTERS:
            # What the next one below the kept would have had is taken from all: the bound of the method.
            floor = sorted(counts.values(), reverse=True)[COUNTERS]
            self._counts = {name: count - floor for name, count in counts.items() if count > floor}

    def share(self, now: float) -> float:
        """Return the share, 0 to 1."""
        self._roll(now)
        return self._share

    def _roll(self, now: float) -> None:
        if self._since is None:
            self._since = now
        elif now - self._since >= WINDOW_S:
            busy = self._messages >= FEWEST
            self._share = max(self._counts.values(), default=0) / self._messages if busy else 0.0
            self._counts, self._messages, self._since = {}, 0, now
