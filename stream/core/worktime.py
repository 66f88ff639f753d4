"""In which time a clock counts: round the clock, or the working time of a calendar."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream.core.calendars import Calendar, HolidaysUnknownError, add, measure


@dataclass(frozen=True)
class Worktime:
    """Sums of working time that always have an answer; ``calendar`` is None for round the clock.

    In years whose public holidays are not known yet the calendar goes by the week: a clock that is a
    holiday off is better than a worker that stops at the turn of the year. Loading warns of it.
    """

    calendar: Calendar | None = None
    _by_week: Calendar | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep the calendar that goes by the week: it remembers the days it has worked out."""
        object.__setattr__(self, "_by_week", None if self.calendar is None else self.calendar.by_week())

    def add(self, t: int, amount_ms: int) -> int:
        """Return when so much working time has passed since ``t``, in milliseconds UTC."""
        if self.calendar is None or self._by_week is None:
            return t + amount_ms
        try:
            return add(self.calendar, t, amount_ms)
        except HolidaysUnknownError:
            return add(self._by_week, t, amount_ms)

    def measure(self, a: int, b: int) -> int:
        """Return the working time from ``a`` to ``b``, in milliseconds."""
        if self.calendar is None or self._by_week is None:
            return b - a
        try:
            return measure(self.calendar, a, b)
        except HolidaysUnknownError:
            return measure(self._by_week, a, b)


ALWAYS = Worktime()
