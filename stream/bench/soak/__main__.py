"""`python -m stream.bench.soak`: run a soak and say how it went.

Exit code 0: all that was judged held; 1: something did not.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from stream.bench.installation import WorkerFailedError
from stream.bench.session import Session
from stream.bench.soak.run import RATE, Soak
from stream.bench.soak.verdict import Line
from stream.runtime.signals import asked_to_end


async def _run(soak: Soak) -> list[Line]:
    with asked_to_end(soak.stopping.set):
        return await soak.run()


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.2), default=60.0, show_default=True, help="Of load.")
@click.option(
    "--rate", type=click.IntRange(min=1), default=RATE, show_default=True, help="Messages a second."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("out"), show_default=True)
def main(minutes: float, rate: int, out: Path) -> None:
    """Load a worker with all its roles; leave soak.csv, soak.svg, soak.md. Ctrl-C ends it with a verdict."""
    out.mkdir(parents=True, exist_ok=True)
    with Session(tell=lambda text: click.echo(text, err=True)) as session:
        why = session.why_no_kafka()
        if why is not None:
            raise click.ClickException(why)
        try:
            lines = asyncio.run(_run(Soak(session, out, minutes * 60, rate)))
        except WorkerFailedError as error:
            raise click.ClickException(str(error)) from error
    click.echo((out / "soak.md").read_text("utf-8"))
    sys.exit(any(line.held is False for line in lines))


if __name__ == "__main__":
    main()
