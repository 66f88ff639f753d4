"""``yanshao worker``: the Kafka daemon."""

from __future__ import annotations

import gc

import click

from stream.commands.common import alerts_config_of, fail, log_to_stderr, settings_of

_EPILOG = """\b
Examples:
  yanshao worker                                    all roles in one process
  yanshao worker --role conversations               only one of them; start others elsewhere
  YANSHAO_KAFKA__WORKER_NAME=w2 YANSHAO_LISTEN__METRICS_PORT=8752 yanshao worker
\b
Exit codes: 0 told to stop, 2 wrong configuration, 70 and above: docs/cli.md.
"""

_ROLES = ("conversations", "alerts", "delivery")


@click.command("worker", epilog=_EPILOG)
@click.option(
    "--role", "roles", multiple=True, type=click.Choice(_ROLES), help="Do only this; may be repeated."
)
@click.option(
    "--driver",
    type=click.Choice(["wall", "stream"]),
    default="wall",
    show_default=True,
    help="Where time comes from; `stream`: from the records alone, for recorded events.",
)
@click.pass_context
def command(ctx: click.Context, roles: tuple[str, ...], driver: str) -> None:
    """Run one Kafka worker until SIGTERM or Ctrl-C. Scale by starting more, up to the partitions.

    Each worker needs a name of its own (kafka.worker_name, by default the host's) and a metrics port.
    /metrics, /healthz and /readyz answer at listen.metrics_host and listen.metrics_port.
    """
    # What a start makes is there to stay: looking for garbage in it is a tenth of its time.
    gc.disable()
    settings = settings_of(ctx)
    alerts_config_of(settings)
    log_to_stderr()
    from stream.packs import PackError  # noqa: PLC0415
    from stream.runtime.kafka.names import Role  # noqa: PLC0415
    from stream.runtime.kafka.process import run_worker  # noqa: PLC0415 - Faust is slow to import
    from stream.runtime.kafka.worker import Driver  # noqa: PLC0415

    try:
        code = run_worker(settings, [Role(name) for name in roles or _ROLES], driver=Driver(driver))
    except PackError as error:
        fail(str(error))
    raise click.exceptions.Exit(code)
