"""``yanshao topics``: the Kafka topics of an installation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from stream.commands.common import (
    FINDINGS,
    alerts_config_of,
    as_json,
    fail,
    print_json,
    print_table,
    settings_of,
    working,
)

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

    from stream.runtime.topics import Difference, Topic
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao topics check                    what is missing or differs; changes nothing
  yanshao topics apply                    makes and mends it
  yanshao topics apply --partitions 32    once and for all: keys move when the count changes
"""

_partitions = click.option(
    "--partitions",
    type=click.IntRange(1, 4096),
    help="Partitions of chat.messages and of all that go with it; else kafka.partitions.",
)


@click.group("topics", epilog=_EPILOG)
def command() -> None:
    """Create or check the Kafka topics, at the brokers that the configuration names."""


@command.command(epilog=_EPILOG)
@_partitions
@as_json
@click.pass_context
def check(ctx: click.Context, partitions: int | None, as_json: bool) -> None:
    """Show how the topics there are differ from those wanted; the exit code is 1 where they do."""
    from stream.runtime import topics  # noqa: PLC0415 - kafka-python is slow to import

    settings = settings_of(ctx)
    wanted = _wanted(settings, partitions)
    with _admin(settings) as admin:
        differences = topics.check(admin, wanted)
    if as_json:
        print_json({"topics": [topic.name for topic in wanted], "differences": _plain(differences)})
    elif differences:
        _print(differences)
        fatal = any(difference.fatal for difference in differences)
        click.echo(
            "Partition counts cannot be changed in place: see docs/cli.md."
            if fatal
            else "`yanshao topics apply` puts this right.",
            err=True,
        )
    else:
        click.echo(f"{len(wanted)} topics are as wanted")
    if differences:
        raise click.exceptions.Exit(FINDINGS)


@command.command(epilog=_EPILOG)
@_partitions
@as_json
@click.pass_context
def apply(ctx: click.Context, partitions: int | None, as_json: bool) -> None:
    """Create what is missing and set what differs. Doing it again changes nothing.

    Refused as a whole where partition counts differ. Replication factors of topics that exist need
    a reassignment by hand; they are shown, and the exit code is 1.
    """
    from stream.runtime import topics  # noqa: PLC0415

    settings = settings_of(ctx)
    wanted = _wanted(settings, partitions)
    with _admin(settings) as admin, working("the topics are being made"):
        try:
            done = topics.apply(admin, wanted)
        except topics.TopicsError as error:
            fail(str(error), FINDINGS)
    if as_json:
        print_json(
            {
                "created": list(done.created),
                "altered": _plain(done.altered),
                "remaining": _plain(done.remaining),
            }
        )
    else:
        for name in done.created:
            click.echo(f"created {name}")
        for one in done.altered:
            click.echo(f"set {one.topic}: {one.what} = {one.wanted} (was {one.found})")
        changed = len(done.created) + len(done.altered)
        click.echo(f"{len(wanted)} topics, {changed} changes")
        if done.remaining:
            _print(done.remaining)
    if done.remaining:
        raise click.exceptions.Exit(FINDINGS)


def _wanted(settings: Settings, partitions: int | None) -> list[Topic]:
    from stream.runtime import cluster  # noqa: PLC0415
    from stream.runtime.topics import TopicsError  # noqa: PLC0415

    try:
        return cluster.wanted_topics(settings.kafka, alerts_config_of(settings).receivers, partitions)
    except TopicsError as error:
        fail(str(error))


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    from stream.runtime import cluster  # noqa: PLC0415

    try:
        with cluster.admin(settings.kafka) as admin:
            yield admin
    except cluster.UnreachableError as error:
        fail(f"{error}. Is it running? (a local one: yanshao kafka start)")


def _plain(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    return [
        {"topic": one.topic, "what": one.what, "wanted": one.wanted, "found": one.found, "fatal": one.fatal}
        for one in differences
    ]


def _print(differences: Sequence[Difference]) -> None:
    print_table(
        ("topic", "what", "wanted", "found"),
        [(one.topic, one.what, one.wanted, "–" if one.found is None else one.found) for one in differences],
    )
