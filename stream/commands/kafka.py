"""``yanshao kafka``: a real Apache Kafka on this machine, for trials and tests."""

from __future__ import annotations

import click

from stream.commands.common import (
    FINDINGS,
    as_json,
    fail,
    local_broker,
    print_fields,
    print_json,
    settings_of,
    working,
)

_EPILOG = """\b
Examples:
  yanshao kafka start                     fetches Kafka once (54 MB, needs Java 17 and Maven), starts it
  yanshao kafka start --port 19092
  yanshao kafka status --json
  yanshao kafka stop
"""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.group("kafka", epilog=_EPILOG)
def command() -> None:
    """Start and stop a local single-node Apache Kafka, for trials: it answers this machine alone.

    Its data lies in the data directory and outlives it; it goes on running when the terminal closes.
    """


@command.command(epilog=_EPILOG)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 for any free one. Default: the local one that the configuration names.",
)
@as_json
@click.pass_context
def start(ctx: click.Context, port: int | None, as_json: bool) -> None:
    """Start it, and return when it answers. Does nothing where it runs already."""
    from stream.runtime.broker import BrokerError  # noqa: PLC0415 - kafka-python is slow to import

    settings = settings_of(ctx)
    broker = local_broker(settings)
    wanted = _configured_port(settings.kafka.bootstrap) if port is None else port
    try:
        with working("Apache Kafka is starting (the first time it is fetched: 54 MB)"):
            bootstrap = broker.start(wanted)
    except BrokerError as error:
        fail(str(error))
    if as_json:
        print_json(_status(ctx, responds=True))
        return
    click.echo(f"Apache Kafka answers at {bootstrap}")
    if bootstrap not in settings.kafka.bootstrap:
        click.echo("The configuration names another address. For this one:", err=True)
        click.echo(f"  export YANSHAO_KAFKA__BOOTSTRAP={bootstrap}", err=True)


@command.command(epilog=_EPILOG)
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop it in order. Its data stays."""
    broker = local_broker(settings_of(ctx))
    with working("Apache Kafka is stopping"):
        was_running = broker.stop()
    click.echo("stopped" if was_running else "it was not running")


@command.command(epilog=_EPILOG)
@as_json
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show whether it runs and answers; the exit code is 1 where it does not."""
    found = _status(ctx, responds=None)
    if as_json:
        print_json(found)
    else:
        state = (
            "answers"
            if found["responds"]
            else "runs, but does not answer"
            if found["running"]
            else "is not running"
        )
        print_fields(
            [
                ("Apache Kafka", state),
                ("address", str(found["bootstrap"] or "")),
                ("process", str(found["pid"] or "")),
                ("data", str(found["data_dir"])),
                ("log", str(found["log"])),
            ]
        )
    if not found["responds"]:
        raise click.exceptions.Exit(FINDINGS)


def _status(ctx: click.Context, *, responds: bool | None) -> dict[str, str | int | bool | None]:
    broker = local_broker(settings_of(ctx))
    known = broker.status()
    return {
        "running": known.running,
        "responds": broker.responds() if responds is None else responds,
        "bootstrap": known.bootstrap,
        "pid": known.pid,
        "data_dir": str(known.data_dir),
        "log": str(known.log),
    }


def _configured_port(bootstrap: tuple[str, ...]) -> int:
    """Return the port of a configured address of this machine; 0 (any) where brokers are elsewhere."""
    for address in bootstrap:
        host, _, port = address.rpartition(":")
        if host.strip("[]") in _LOOPBACK and port.isdigit():
            return int(port)
    return 0
