"""``yanshao ingest``: foreign events into ``chat.messages``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.commands.common import fail, log_to_stderr, settings_of

if TYPE_CHECKING:
    from stream.wire.mapping import Mapping

_EPILOG = """\b
Examples:
  yanshao ingest --from http                                   events of the wire contract, POST /v1/events
  yanshao ingest --from http --mapping chatwoot                a Chatwoot webhook
  yanshao ingest --from rasa.events --mapping rasa             Rasa's Kafka event broker
  yanshao ingest --from my.chats --mapping ./my-mapping.yaml
\b
Exit codes: 0 told to stop, 2 wrong configuration, 70 and above: docs/cli.md.
"""


@click.command("ingest", epilog=_EPILOG)
@click.option("--from", "source", required=True, metavar="TOPIC|http", help="Where foreign events come from.")
@click.option("--mapping", metavar="FILE|NAME", help="A mapping file, or the name of one that is shipped.")
@click.pass_context
def command(ctx: click.Context, source: str, mapping: str | None) -> None:
    """Map and re-key foreign events into chat.messages, until SIGTERM or Ctrl-C.

    Without --mapping the events are those of the wire contract. What cannot be mapped goes to qa.dlq
    untouched (from a topic), or is refused with its reason (over HTTP).
    """
    settings = settings_of(ctx)
    chosen = _mapping(mapping) if mapping is not None else None
    log_to_stderr()
    from stream.runtime.kafka.ingest import run_ingest  # noqa: PLC0415 - aiokafka is slow to import

    raise click.exceptions.Exit(run_ingest(settings, source=source, mapping=chosen))


def _mapping(name: str) -> Mapping:
    from stream.wire.mapping import MappingError, load, shipped  # noqa: PLC0415

    if name not in shipped() and not Path(name).is_file():
        fail(f"{name}: no such file, and none is shipped under that name ({', '.join(shipped())})")
    try:
        return load(name)
    except MappingError as error:
        fail(str(error))
