"""``yanshao up``: everything in one terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.commands.common import alerts_config_of, fail, local_broker, settings_of
from stream.runtime.signals import asked_to_end

if TYPE_CHECKING:
    from rich.console import Console

    from stream.runtime.system import Addresses, LocalSystem
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao up --demo                 the shipped day at speed, alerts as they fire
  yanshao up                        embedded runtime: POST events to http://127.0.0.1:8750/v1/events
  yanshao up --demo --speed 10 --stay
  yanshao up --kafka --demo         the same on a real Apache Kafka (needs Java 17 and Maven)
"""


BROKEN = 70
"""The embedded runtime met a fault of its own: as `CRASHED` of a worker (`stream.runtime.kafka.exits`)."""


@click.command(epilog=_EPILOG)
@click.option("--demo", is_flag=True, help="Play the shipped day on a store of its own.")
@click.option(
    "--speed", type=click.FloatRange(min=0.1, max=10_000), help="How many times as fast the day runs."
)
@click.option("--stay", is_flag=True, help="After the day, stay up until Ctrl-C.")
@click.option("--kafka", is_flag=True, help="Start the local Apache Kafka first and use it.")
@click.pass_context
def command(ctx: click.Context, demo: bool, speed: float | None, stay: bool, kafka: bool) -> None:
    """Run ingest, engine, alerts, delivery and metrics in one terminal; no other service needed."""
    settings = settings_of(ctx)
    if kafka:
        raise click.exceptions.Exit(_kafka(settings, speed, demo=demo, stay=stay))
    if demo:
        _demo(settings, speed, stay=stay)
    else:
        _live(settings)


def _kafka(settings: Settings, speed: float | None, *, demo: bool, stay: bool) -> int:
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from stream.packs import PackError  # noqa: PLC0415
    from stream.runtime.broker import BrokerError  # noqa: PLC0415
    from stream.runtime.kafka.up import run_up  # noqa: PLC0415
    from stream.runtime.topics import TopicsError  # noqa: PLC0415

    # The demo has a store and a broker of its own, which are gone when it ends.
    own = TemporaryDirectory(prefix="yanshao-demo-") if demo else nullcontext(str(settings.data_dir))
    try:
        with own as folder:
            settings = settings.model_copy(update={"data_dir": Path(folder)})
            return run_up(settings, local_broker(settings), click.echo, demo=demo, speed=speed, stay=stay)
    except (BrokerError, TopicsError, PackError) as error:
        fail(str(error))


def _demo(settings: Settings, speed: float | None, *, stay: bool) -> None:
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    from stream.runtime.clock import ScaledClock  # noqa: PLC0415
    from stream.runtime.demo import DEFAULT_SPEED, play, shipped_day  # noqa: PLC0415
    from stream.runtime.system import LocalSystem  # noqa: PLC0415

    console = Console()
    events = shipped_day()
    # Ports of their own: the demo runs beside whatever is installed.
    listen = settings.listen.model_copy(update={"port": 0, "metrics_port": 0})
    settings = settings.model_copy(update={"listen": listen})

    async def run(folder: Path) -> None:
        clock = ScaledClock(events[0][0], speed or DEFAULT_SPEED)
        system = LocalSystem(settings, folder, alerts_config_of(settings), clock=clock, console=console)
        system.source = "file"
        async with system.running(token=_demo_token()) as addresses:
            _banner(
                console,
                addresses,
                f"the shipped day: {len(events)} events, played at {speed or DEFAULT_SPEED:g} x",
            )
            clock.restart()
            await play(system.runtime, events, clock)
            await system.runtime.settled()
            await system.dispatcher.idle()
            await _recap(console, system)
            if stay:
                console.print("Staying up; Ctrl-C ends.")
                asked = asyncio.Event()
                with asked_to_end(asked.set):
                    await asked.wait()

    with TemporaryDirectory(prefix="yanshao-demo-") as folder:
        _run(run(Path(folder)))


def _live(settings: Settings) -> None:
    from rich.console import Console  # noqa: PLC0415

    from stream.runtime.clock import WallClock  # noqa: PLC0415
    from stream.runtime.system import LocalSystem  # noqa: PLC0415
    from stream.settings import ensure_data_dir, ensure_token  # noqa: PLC0415

    console = Console()
    data_dir = ensure_data_dir(settings)
    alerts_config = alerts_config_of(settings)

    async def run() -> None:
        asked = asyncio.Event()
        with asked_to_end(asked.set):  # before the door opens: who asks for an end right then is heard too
            await serve(asked)

    async def serve(asked: asyncio.Event) -> None:
        system = LocalSystem(settings, data_dir, alerts_config, clock=WallClock(), console=console)
        async with system.running(ensure_token(settings)) as addresses:
            _banner(console, addresses, f"store in {data_dir}; token in {data_dir / 'token'}")
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, system.reload))
            signalled = asyncio.create_task(asked.wait())
            ended = asyncio.create_task(system.runtime.ended())
            await asyncio.wait({signalled, ended}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            if not signalled.done():
                fail("the store's writer has ended; a restart goes on from what it kept", code=BROKEN)
            console.print("stopping: committing what waits ...")

    _run(run())


def _run(main: object) -> None:
    from stream.core.state import UnsupportedVersionError  # noqa: PLC0415
    from stream.packs import PackError  # noqa: PLC0415
    from stream.runtime.store import StoreVersionError  # noqa: PLC0415

    try:
        asyncio.run(main)  # type: ignore[arg-type]
    except (PackError, StoreVersionError, UnsupportedVersionError, OSError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


def _demo_token() -> str:
    from secrets import token_urlsafe  # noqa: PLC0415

    return token_urlsafe(24)


def _banner(console: Console, addresses: Addresses, what: str) -> None:
    console.print(f"[bold]Yanshao 言哨[/bold]  {what}")
    console.print(f"events   POST {addresses.events}", highlight=False)
    console.print(f"metrics  {addresses.metrics}  (open it in a browser)", highlight=False)
    console.print()


async def _recap(console: Console, system: LocalSystem) -> None:
    counts = await system.runtime.write(lambda store: store.tally())
    console.print()
    console.print(
        f"[bold]The day is over.[/bold] {counts.get('conversation', 0)} conversations, "
        f"{counts.get('finding', 0)} findings, {counts.get('alert', 0)} alerts.",
        highlight=False,
    )
    console.print("The same day as files: yanshao replay --demo --out out", highlight=False)
