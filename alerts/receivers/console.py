"""The terminal: an alert as a supervisor would like to read it. No network, always accepted."""

from __future__ import annotations

from datetime import tzinfo

from rich.box import HEAVY, ROUNDED
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from alerts.model import Alert, AlertStatus, Notification, Severity
from alerts.retry import ACCEPTED, Verdict
from alerts.text import Line, Measure, Message, compose

_MEASURE = Measure(findings=5, passage=600)
"""A screen, not a scroll: more is in `yanshao alerts show`."""

_COLOURS = {
    Severity.INFO: "cyan",
    Severity.LOW: "blue",
    Severity.MEDIUM: "yellow",
    Severity.HIGH: "dark_orange",
    Severity.CRITICAL: "red",
}


class ConsoleSender:
    """Prints notifications on `console` (default: standard output). Never fails."""

    def __init__(self, zone: tzinfo, console: Console | None = None) -> None:
        self._zone = zone
        self._console = console or Console()

    async def send(self, notification: Notification, now_ms: int) -> Verdict:  # noqa: ARG002 - nothing to sign
        """Print it."""
        self._console.print(render(notification, self._zone))
        return ACCEPTED

    async def close(self) -> None:
        """Nothing to close."""


def render(notification: Notification, zone: tzinfo) -> RenderableType:
    """The alert as a panel: colour by severity, what was said, what to do. Pure."""
    alert = notification.alert
    message = compose(alert, notification.audiences, zone, _MEASURE)
    colour = _colour(alert)
    loud = alert.status is AlertStatus.FIRING and alert.severity is Severity.CRITICAL
    return Panel(
        Group(_table(message, colour), *_links(message)),
        title=Text(f" {message.title} ", style=f"bold white on {colour}" if loud else f"bold {colour}"),
        title_align="left",
        subtitle=Text(message.footer, style="dim"),
        subtitle_align="right",
        border_style=colour,
        box=HEAVY if loud else ROUNDED,
    )


def _colour(alert: Alert) -> str:
    return _COLOURS[alert.severity] if alert.status is AlertStatus.FIRING else "green"


def _table(message: Message, colour: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for line in message.lines:
        table.add_row(Text(line.name), _said(line, colour))
    return table


def _said(line: Line, colour: str) -> Text:
    # Text, never markup: what a customer typed must not style the terminal, nor steer it.
    plain = "".join(character if character.isprintable() else " " for character in line.text)
    if line.quote:
        return Text(f"“{plain}”", style=f"italic {colour}")
    return Text(plain, style="bold" if line.name == "建议" else "")


def _links(message: Message) -> list[Text]:
    return [Text(f"{word} → {href}", style="underline dim") for word, href in message.links]
