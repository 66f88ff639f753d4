"""What commands share: settings with readable errors, knowledge, exit codes, a quiet progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

if TYPE_CHECKING:
    from alerts.config import AlertsConfig
    from stream.runtime.conversations import Knowledge
    from stream.settings import Settings

# Design §11: 0 good, 1 findings of the check itself, 2 wrong use or bad input.
FINDINGS: Final = 1
BAD_USE: Final = 2


def fail(message: str, code: int = BAD_USE) -> NoReturn:
    """End the command with a message on standard error."""
    click.echo(message, err=True)
    raise click.exceptions.Exit(code)


def settings_of(ctx: click.Context) -> Settings:
    """Return the settings in force; a fault in them ends the command, all faults told."""
    from stream import settings  # noqa: PLC0415 - pydantic is slow to import

    try:
        return settings.load(ctx.find_root().obj)
    except settings.ConfigError as error:
        fail(str(error))


def alerts_config_of(settings: Settings) -> AlertsConfig:
    """Return the receivers and routes in force."""
    from alerts.config import AlertsConfigError, parse  # noqa: PLC0415

    try:
        return parse(settings.alerts, source=settings.source)
    except AlertsConfigError as error:
        fail(str(error))


def knowledge_of(settings: Settings, extra: Sequence[str] = (), data_dir: Path | None = None) -> Knowledge:
    """Return the knowledge in force, with ``extra`` pack directories on top."""
    from stream.packs import PackError  # noqa: PLC0415
    from stream.runtime.knowledge import directories_of, limits_of, open_knowledge  # noqa: PLC0415

    try:
        return open_knowledge(
            [*directories_of(settings), *map(Path, extra)],
            disable=settings.disable,
            limits=limits_of(settings),
            data_dir=data_dir,
        )
    except PackError as error:
        fail(str(error))


@contextmanager
def progress(total: int | None, label: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that moves a progress bar on, on standard error; silent where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount: bar.advance(task, amount)
