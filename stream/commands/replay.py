"""``yanshao replay``: recorded events through the same engine, as fast as it goes."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.resources import as_file, files
from pathlib import Path

import click

from stream.commands.common import FINDINGS, bytes_of, fail, knowledge_of, progress, settings_of

_EPILOG = """\b
Examples:
  yanshao replay day.jsonl --out out
  yanshao replay monday.jsonl.gz tuesday.jsonl.zst --out week --packs ./my-packs
  yanshao replay --demo --out out
  zcat day.jsonl.gz | yanshao replay - --out out --no-close
"""


@click.command(epilog=_EPILOG)
@click.argument("sources", metavar="[IN]...", nargs=-1)
@click.option("--demo", is_flag=True, help="Read the shipped day.")
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
    ctx: click.Context,
    sources: tuple[str, ...],
    demo: bool,
    out: Path,
    packs: tuple[str, ...],
    no_close: bool,
) -> None:
    """Write findings, alerts, scores and conversations of recorded events to --out.

    Reads JSONL of the wire contract (.gz and .zst too, - for standard input). Refused lines go to
    OUT/dlq.jsonl with their reason, and the exit code is 1.
    """
    import zlib  # noqa: PLC0415

    from zstandard import ZstdError  # noqa: PLC0415

    from stream.runtime import replay  # noqa: PLC0415

    if demo == bool(sources):
        raise click.UsageError("name recorded events, or --demo")
    missing = [source for source in sources if source != "-" and not Path(source).is_file()]
    if missing:
        fail("\n".join(f"{source}: no such file" for source in missing))
    settings = settings_of(ctx)
    knowledge = knowledge_of(settings, packs)
    shipped = as_file(files("stream.resources") / "demo" / "day.jsonl") if demo else nullcontext()
    try:
        with shipped as day, progress(bytes_of(sources), "replay") as advance:
            events = replay.read([str(day)] if demo else sources, advance)
            done = replay.replay(
                knowledge, events, close=not no_close, conversation_url=settings.conversation.url
            )
        replay.write(done, out, settings.tzinfo)
    except (OSError, EOFError, zlib.error, ZstdError) as error:
        fail(str(error))
    click.echo(
        f"{done.events} events, {len(done.findings)} findings, {len(done.alerts)} alerts, "
        f"{len(done.summaries)} conversations, {len(done.refused)} refused -> {out}",
        err=True,
    )
    if done.refused:
        raise click.exceptions.Exit(FINDINGS)
