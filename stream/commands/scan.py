"""``yanshao scan``: one text a line, with no conversation round it."""

from __future__ import annotations

import sys
from typing import IO

import click

from stream.commands.common import FINDINGS, knowledge_of, settings_of

_EPILOG = """\b
Examples:
  echo 再不发货我就去12315投诉 | yanshao scan
  yanshao scan --role agent < replies.txt
  echo '{"text": "加我微信聊"}' | yanshao scan --role agent
"""


@click.command(epilog=_EPILOG)
@click.option(
    "--role",
    type=click.Choice(["customer", "agent"]),
    default="customer",
    show_default=True,
    help="Who wrote the texts.",
)
@click.option(
    "--packs", multiple=True, type=click.Path(exists=True, file_okay=False), help="A further pack directory."
)
@click.pass_context
def command(ctx: click.Context, role: str, packs: tuple[str, ...]) -> None:
    """Print one JSON line for each text on standard input.

    A line is a text, or an object {"text": ...}. Spans are character offsets into the text as given.
    A line that is no UTF-8 or a broken object is reported with its number, and the exit code is 1.
    """
    from stream.runtime.scan import scan_lines  # noqa: PLC0415

    knowledge = knowledge_of(settings_of(ctx), packs)
    source: IO[bytes] = sys.stdin.buffer
    bad = 0
    for number, answer, problem in scan_lines(knowledge, source, role, interactive=sys.stdin.isatty()):
        if problem is not None:
            click.echo(f"line {number}: {problem}", err=True)
            bad += 1
        sys.stdout.buffer.write(answer + b"\n")
        sys.stdout.buffer.flush()
    if bad:
        raise click.exceptions.Exit(FINDINGS)
