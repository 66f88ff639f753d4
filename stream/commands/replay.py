"""``yanshao replay``: recorded events through the same engine, as fast as it goes."""

from __future__ import annotations

from pathlib import Path

import click

from stream.commands.common import BAD_USE, FINDINGS, fail, knowledge_of, progress, settings_of

_EPILOG = """\b
Examples:
  yanshao replay day.jsonl --out out
  yanshao replay monday.jsonl.gz tuesday.jsonl.zst --out week --packs ./my-packs
  zcat day.jsonl.gz | yanshao replay - --out out --no-close
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="IN...", nargs=-1, required=True)
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the records.",
)
@click.option(
    "--packs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="A further pack directory; later ones override.",
)
@click.option(
    "--no-close", is_flag=True, help="Stop the clocks at the last event and leave open what is open."
)
@click.pass_context
def command(
    ctx: click.Context, sources: tuple[str, ...], out: Path, packs: tuple[str, ...], no_close: bool
) -> None:
    """Write findings, alerts, scores and conversations of recorded events to --out.

    Reads JSONL of the wire contract (.gz and .zst too, - for standard input). Refused lines go to
    OUT/dlq.jsonl with their reason, and the exit code is 1.
    """
    from stream.runtime import replay  # noqa: PLC0415

    missing = [source for source in sources if source != "-" and not Path(source).is_file()]
    if missing:
        fail("\n".join(f"{source}: no such file" for source in missing))
    settings = settings_of(ctx)
    knowledge = knowledge_of(settings, packs)
    sizes = [
        Path(source).stat().st_size
        for source in sources
        if source != "-" and not source.endswith((".gz", ".zst"))
    ]
    total = sum(sizes) if len(sizes) == len(sources) else None
    try:
        with progress(total, "replay") as advance:
            done = replay.replay(knowledge, replay.read(sources, advance), close=not no_close)
        replay.write(done, out, settings.tzinfo)
    except (OSError, EOFError) as error:
        fail(str(error), BAD_USE)
    click.echo(
        f"{done.events} events, {len(done.findings)} findings, {len(done.alerts)} alerts, "
        f"{len(done.summaries)} conversations, {len(done.refused)} refused -> {out}",
        err=True,
    )
    if done.refused:
        raise click.exceptions.Exit(FINDINGS)
