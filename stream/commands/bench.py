"""``yanshao bench``: speed and memory."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.commands.common import FINDINGS, print_table

if TYPE_CHECKING:
    from rich.text import Text

    from stream.bench.figures import Row

_EPILOG = """\b
Examples:
  yanshao bench                             everything; starts its own Kafka, takes about ten minutes
  yanshao bench core state                  two groups
  yanshao bench core --profile              and, where a figure is missed, where the time goes
  yanshao bench --json bench.json
  yanshao bench --list
\b
Exit codes: 0 no budget missed, 1 at least one missed.
"""


@click.command("bench", epilog=_EPILOG)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the figures there: a list of {name, value, unit, budget, held, why}.",
)
@click.option("--quick", is_flag=True, help="Small sizes: shows that everything works, not how fast.")
@click.option("--profile", is_flag=True, help="Show where the time goes in what misses its budget.")
@click.option("--list", "listing", is_flag=True, help="List the groups and their figures.")
def command(names: tuple[str, ...], file: Path | None, *, quick: bool, profile: bool, listing: bool) -> None:
    """Measure speed and memory, as ratios inside one run wherever there is a peer.

    A figure is held, missed, or not judged: for want of a budget, or because this machine cannot
    measure it; then it says why. What exactly is timed: docs/bench.md.
    """
    from stream.bench.registry import BENCHES, run  # noqa: PLC0415 - Faust is slow to import
    from stream.bench.session import Session  # noqa: PLC0415

    if unknown := [name for name in names if name not in BENCHES]:
        raise click.BadParameter(f"no {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    if listing:
        print_table(
            ("group", "figure", "unit", "budget", "what it is"),
            (
                (name, figure.name, figure.unit, str(figure.budget or ""), figure.about)
                for name, bench in BENCHES.items()
                for figure in bench.figures
            ),
        )
        return
    # Peers and brokers that are young complain of what is not there yet; failures reach us as exceptions.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    shown: list[Row] = []

    def keep(rows: Sequence[Row]) -> None:
        shown.extend(rows)
        if file is not None:
            documents = [row.document() for row in shown]
            file.write_text(json.dumps(documents, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    with _telling() as tell, Session(quick=quick, profile=profile, tell=tell, show=click.echo) as session:
        # Who ends it early would else leave its broker and workers behind.
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        session.on_exit(signal.signal, signal.SIGTERM, before)
        rows = run(session, names, keep)
    print_table(
        ("figure", "value", "unit", "budget", "held", "how"), [_cells(row) for row in rows], title="bench"
    )
    if any(row.held is False for row in rows):
        raise click.exceptions.Exit(FINDINGS)


def _cells(row: Row) -> Sequence[str | Text]:
    from rich.text import Text  # noqa: PLC0415 - slow to import

    held = {True: Text("yes", "green"), False: Text("missed", "bold red"), None: Text("–", "dim")}[row.held]
    value = "–" if row.value is None else f"{row.value:,.4g}" if row.value < 1_000 else f"{row.value:,.0f}"
    how = "; ".join(part for part in (row.how, row.why if row.value is None else "") if part)
    figure = row.figure
    return figure.name, value, figure.unit, str(figure.budget or ""), held, how or figure.about


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done, on standard error; silent where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status("bench") as status:
        yield status.update
