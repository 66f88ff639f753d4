"""What commands share: settings with readable errors, knowledge, exit codes, how results are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from alerts.config import AlertsConfig
    from stream.runtime.broker import LocalBroker
    from stream.runtime.conversations import Knowledge
    from stream.settings import Settings

# Design §11: 0 good, 1 findings of the check itself, 2 wrong use or bad input.
FINDINGS: Final = 1
BAD_USE: Final = 2

# A table that is piped away is not folded: whoever searches it finds whole lines.
_PIPED_WIDTH: Final = 1000

# The colours of alerts on the terminal, so that a list reads as the alerts themselves do.
_SEVERITY_STYLES: Final = {
    "info": "cyan",
    "low": "blue",
    "medium": "yellow",
    "high": "dark_orange",
    "critical": "bold red",
}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
further_packs = click.option(
    "--packs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="A further pack directory; later ones override.",
)


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
    from alerts.config import AlertsConfigError  # noqa: PLC0415 - see settings_of
    from stream.runtime.hours import parse_alerts  # noqa: PLC0415

    try:
        return parse_alerts(settings)
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
def reading(source: str) -> Iterator[None]:
    """End the command where a recording cannot be read: missing, forbidden, damaged, cut off."""
    import zlib  # noqa: PLC0415

    import zstandard  # noqa: PLC0415

    try:
        yield
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        fail(f"{source}: {error}")


def bytes_of(sources: Sequence[str]) -> int | None:
    """Return the bytes of recordings, where they can be known before they are read."""
    if not sources or any(source == "-" or source.endswith((".gz", ".zst")) for source in sources):
        return None
    return sum(Path(source).stat().st_size for source in sources)


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


@contextmanager
def working(label: str) -> Iterator[None]:
    """Show that something of unknown length goes on, on standard error; silent where that is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status(label):
        yield


def print_json(document: Any) -> None:
    """Print a JSON document for programs; people may read it too."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def console() -> Console:
    """Return standard output for text that may hold what customers wrote: no markup, no emoji codes."""
    from rich.console import Console  # noqa: PLC0415

    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False, soft_wrap=not sys.stdout.isatty())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, title: str = "") -> None:
    """Print rows under their columns; one line each where the output is piped."""
    console().print(build_table(columns, rows, title=title))


def build_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, title: str = "") -> Table:
    """Return rows under their columns."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def print_fields(pairs: Iterable[tuple[str, str | RenderableType]]) -> None:
    """Print names with their values, one below the other; what is empty is left out."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value != "":
            grid.add_row(Text(name), Text(plain(value)) if isinstance(value, str) else value)
    console().print(grid)


def plain(text: str) -> str:
    """Return a text in one line that cannot steer the terminal, whatever a customer typed."""
    return "".join(character if character.isprintable() else " " for character in text)


def severity(name: str) -> Text:
    """Return a severity in its colour."""
    from rich.text import Text  # noqa: PLC0415

    return Text(name, style=_SEVERITY_STYLES.get(name, ""))


def local_broker(settings: Settings) -> LocalBroker:
    """Return the local Apache Kafka of the data directory; its jars are shared by all of a machine."""
    from stream.runtime.broker import LocalBroker  # noqa: PLC0415
    from stream.settings import ensure_data_dir  # noqa: PLC0415
    from stream.testing import cache_home  # noqa: PLC0415

    return LocalBroker(cache_home(os.environ) / "kafka", ensure_data_dir(settings) / "kafka")


def log_to_stderr() -> None:
    """Send the log to standard error, one line a record: what a service manager collects."""
    import logging  # noqa: PLC0415

    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # They tell every rebalance step and every request; what matters of it we tell ourselves.
    for chatty in ("aiokafka", "faust", "mode", "kafka", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
