"""What delivery is configured to do, and how the `alerts:` section of `yanshao.yaml` becomes it.

`parse` reports every fault at once. Secrets enter by environment variable or file and leave only
through `Secret.reveal`; no repr, no error and no log shows one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any

from alerts.hours import Calendars, Hours
from alerts.model import Severity
from alerts.net import AllowPrivate
from alerts.retry import RetryPolicy
from alerts.wire import DEFAULT_ZONE

Locate = Callable[[tuple[str | int, ...]], str | None]
"""`path:line` of a key path of the section, where whoever read the file knows it."""


class ReceiverType(StrEnum):
    """The receivers there are; `alerts.receivers.RECEIVERS` has the code of each."""

    CONSOLE = "console"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    WEBHOOK = "webhook"
    WECOM = "wecom"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A string that does not show itself."""

    _value: str

    def reveal(self) -> str:
        """The string, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, slots=True)
class ReceiverConfig:
    """One receiver. `url` is secret too: robots carry their token in it.

    `secrets` sign, each of them: two during a rotation of a webhook's key, else one or none.
    `max_in_flight` is how many notifications may be on their way at once.
    """

    name: str
    type: ReceiverType
    url: Secret | None = None
    secrets: tuple[Secret, ...] = ()
    timeout_s: float = 15.0
    max_in_flight: int = 1
    allow_private: AllowPrivate = field(default_factory=AllowPrivate)
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True)
class Route:
    """Which receivers hear of what. All keys of `match` must hold, each with any of its values.

    A value may end in `*` for "begins with". `go_on` (`continue` in the file) lets later routes add
    their receivers. Without `hours` it tells at any hour.
    """

    match: Mapping[str, tuple[str, ...]]
    receivers: tuple[str, ...]
    go_on: bool = False
    hours: Hours | None = None


CONSOLE = ReceiverConfig(name="console", type=ReceiverType.CONSOLE)
"""Always there, so that an installation without any configuration tells somebody."""


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """The whole section. Without any configuration alerts of `medium` and above go to the console.

    `calendars` has every calendar that there is, if a route names one: what an earlier configuration
    held finds its own.
    """

    receivers: Mapping[str, ReceiverConfig] = field(default_factory=lambda: {CONSOLE.name: CONSOLE})
    routes: tuple[Route, ...] = ()
    default_receivers: tuple[str, ...] = (CONSOLE.name,)
    minimum_severity: Severity = Severity.MEDIUM
    zone: tzinfo = DEFAULT_ZONE
    calendars: Calendars = field(default_factory=dict)


class AlertsConfigError(ValueError):
    """The section cannot be used. `problems` has one line for each fault, with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def parse(
    raw: Mapping[str, Any] | None,
    *,
    source: str,
    env: Mapping[str, str] | None = None,
    locate: Locate | None = None,
    calendars: Callable[[], Calendars] = dict,
) -> AlertsConfig:
    """The configuration in `raw`, the value of the `alerts:` key (None or empty: all defaults).

    `source` is the file it stands in: it heads error lines, and relative `*_file` paths start at its
    folder. `env` is where `*_env` names are looked up, by default the process's environment.
    `calendars` says which there are; it is asked only if a route names one.

    Raises:
        AlertsConfigError: with all faults.
    """
    from alerts import config_file  # noqa: PLC0415 - pydantic costs start-up time that defaults need not pay

    if not raw:
        return AlertsConfig()
    return config_file.build(
        raw,
        source=source,
        folder=Path(source).parent,
        env=os.environ if env is None else env,
        locate=locate or (lambda _: None),
        calendars=calendars,
    )
