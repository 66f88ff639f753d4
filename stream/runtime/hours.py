"""The alerts section with the calendars that its routes may name: those of the packs, as they now stand.

Delivery knows hours by name only (``alerts.hours``). What the configuration is checked against is read
once, at the start, and only where a route names a calendar; what counts from then on is the calendar of
the book in force, so a reload of packs changes hours as it changes everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from alerts import config as alerts_config
from alerts.config import AlertsConfig, AlertsConfigError
from alerts.hours import Calendars, OpenHours
from stream.core.calendars import Calendar, NoWorkingTimeError
from stream.core.worktime import Worktime
from stream.packs.calendars import read_calendars
from stream.runtime.knowledge import directories_of
from stream.settings import Settings


def parse_alerts(settings: Settings) -> AlertsConfig:
    """Return the alerts section, parsed.

    Raises:
        alerts.config.AlertsConfigError: With all its faults, or those of the calendars it asks for.
    """
    return alerts_config.parse(
        settings.alerts,
        source=settings.source,
        locate=lambda path: settings.locate("alerts", *path),
        calendars=lambda: _read(settings),
    )


def in_force(config: AlertsConfig, calendars: Callable[[], Mapping[str, Calendar]]) -> AlertsConfig:
    """Return the section with hours that follow ``calendars``, those of the packs in force.

    A calendar that a reload took away counts as it was at the start, until the next start refuses the
    route that names it.
    """
    hours = {name: _InForce(name, calendars, at_start) for name, at_start in config.calendars.items()}
    return replace(config, calendars=hours)


class _Worked:
    """The hours of one calendar (``alerts.hours.OpenHours``)."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._worktime = Worktime(calendar)

    def next_open(self, t_ms: int) -> int:
        """Return the first working instant at or after ``t_ms``; ``t_ms`` where there never is one."""
        try:
            return self._worktime.add(t_ms, 1) - 1
        except NoWorkingTimeError:
            return t_ms


class _InForce:
    """The hours of the calendar that bears a name now (``alerts.hours.OpenHours``)."""

    def __init__(
        self, name: str, calendars: Callable[[], Mapping[str, Calendar]], at_start: OpenHours
    ) -> None:
        self._name = name
        self._calendars = calendars
        self._at_start = at_start
        self._latest: _Worked | None = None

    def next_open(self, t_ms: int) -> int:
        """Return the first working instant at or after ``t_ms``."""
        calendar = self._calendars().get(self._name)
        if calendar is None:
            return self._at_start.next_open(t_ms)
        latest = self._latest
        if latest is None or latest.calendar is not calendar:
            self._latest = latest = _Worked(calendar)
        return latest.next_open(t_ms)


def _read(settings: Settings) -> Calendars:
    calendars, problems = read_calendars(directories_of(settings))
    faults = [str(problem) for problem in problems if problem.severity == "error"]
    if faults:
        raise AlertsConfigError(faults)
    return {name: _Worked(calendar) for name, calendar in calendars.items()}
