"""``yanshao ola attainment``: how many clocks were kept, by policy, who owed, agent and day."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from stream.commands.alerts import opened
from stream.commands.common import (
    FINDINGS,
    as_json,
    bytes_of,
    fail,
    further_packs,
    knowledge_of,
    print_json,
    print_table,
    progress,
    reading,
    settings_of,
)

if TYPE_CHECKING:
    from stream.runtime.attainment_table import Row
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao ola attainment                               of the embedded store
  yanshao ola attainment day.jsonl.gz --csv kept.csv   of recorded events, replayed
  yanshao ola attainment monday.jsonl tuesday.jsonl --csv -
"""


@click.command("attainment", epilog=_EPILOG)
@click.argument("sources", metavar="[EVENTS]...", nargs=-1)
@click.option(
    "--csv", "target", type=click.Path(dir_okay=False, allow_dash=True), help="Write a CSV, - for here."
)
@further_packs
@as_json
@click.pass_context
def command(
    ctx: click.Context, sources: tuple[str, ...], target: str | None, packs: tuple[str, ...], as_json: bool
) -> None:
    """Count clocks met, missed and withdrawn, and how late, by day, policy, who owed and agent.

    EVENTS are replayed as by `yanshao replay`; without them the summaries of the embedded store are
    counted, of each conversation the latest. Columns: docs/cli.md.
    """
    from stream.runtime.attainment_table import Row, write_csv  # noqa: PLC0415

    settings = settings_of(ctx)
    rows, refused = _replayed(settings, sources, packs) if sources else (_stored(settings, packs), 0)
    if target is not None:
        with nullcontext(sys.stdout) if target == "-" else _written(target) as file:
            write_csv(rows, file)
    elif as_json:
        print_json([row._asdict() for row in rows])
    else:
        print_table(Row._fields, (["" if cell is None else str(cell) for cell in row] for row in rows))
    if refused:
        click.echo(f"{refused} lines were refused: see `yanshao replay`", err=True)
        raise click.exceptions.Exit(FINDINGS)


def _written(target: str) -> IO[str]:
    try:
        return Path(target).open("w", encoding="utf-8", newline="")
    except OSError as error:
        fail(f"{target}: {error.strerror}")


def _replayed(settings: Settings, sources: tuple[str, ...], packs: tuple[str, ...]) -> tuple[list[Row], int]:
    from stream.runtime import replay  # noqa: PLC0415
    from stream.runtime.attainment_table import tabulate  # noqa: PLC0415

    knowledge = knowledge_of(settings, packs)
    with reading(" ".join(sources)), progress(bytes_of(sources), "replay") as advance:
        done = replay.replay(knowledge, replay.read(sources, advance))
    summaries = [*done.earlier, *done.summaries.values()]
    rows = tabulate(knowledge.book, summaries, done.findings, settings.tzinfo)
    return rows, len(done.refused)


def _stored(settings: Settings, packs: tuple[str, ...]) -> list[Row]:
    from stream.runtime.attainment_table import stored, tabulate  # noqa: PLC0415

    book = knowledge_of(settings, packs).book
    with opened(settings.data_dir.expanduser()) as connection:
        summaries, findings = stored(connection)
        return tabulate(book, summaries, findings, settings.tzinfo)
