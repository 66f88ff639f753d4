"""``yanshao doctor``: is this machine and configuration fit to run?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stream.commands.common import FINDINGS, as_json, print_json, print_table, working

if TYPE_CHECKING:
    from rich.text import Text

    from stream.runtime.doctor import Check
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao doctor
  yanshao doctor --kafka                  brokers, topics, and what a local Kafka needs, too
  yanshao --config /etc/yanshao.yaml doctor --json
"""

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}


@click.command("doctor", epilog=_EPILOG)
@click.option("--kafka", is_flag=True, help="Check Kafka even where the configuration does not name one.")
@as_json
@click.pass_context
def command(ctx: click.Context, kafka: bool, as_json: bool) -> None:
    """Look at Python, packages, configuration, data directory, store, packs, ports, disk and Kafka.

    Nothing is changed. The exit code is 1 where there is a problem; warnings leave it 0.
    """
    with working("looking"):
        found = list(_examine(ctx.find_root().obj, kafka=kafka))
    problems = sum(check.verdict == "problem" for check in found)
    if as_json:
        print_json({"ok": not problems, "checks": msgspec.to_builtins(found)})
    else:
        print_table(("check", "", "found", "what to do"), (_row(check) for check in found))
        click.echo("fit to run" if not problems else f"{problems} problems")
    if problems:
        raise click.exceptions.Exit(FINDINGS)


def _examine(config: str | None, *, kafka: bool) -> Iterator[Check]:
    from stream import settings as reading  # noqa: PLC0415
    from stream.runtime import doctor  # noqa: PLC0415
    from stream.runtime.doctor import Check, Verdict  # noqa: PLC0415

    yield from doctor.run([doctor.machine])
    try:
        settings = reading.load(config)
    except reading.ConfigError as error:
        yield Check("configuration", Verdict.PROBLEM, "; ".join(error.problems), "docs/configuration.md")
        return
    receivers, check = _alerts(settings)
    yield check
    checks: list[Callable[[], Iterator[Check]]] = [lambda: doctor.configured(settings)]
    default = reading.Kafka()
    if kafka or settings.kafka.bootstrap != default.bootstrap:
        checks.append(lambda: doctor.kafka(settings, receivers))
    else:
        yield Check("kafka", Verdict.SKIPPED, "not configured", "--kafka checks it all the same")
    if kafka:
        checks.append(lambda: doctor.local_kafka(_jars))
    yield from doctor.run(checks)


def _alerts(settings: Settings) -> tuple[list[str], Check]:
    from alerts.config import AlertsConfigError  # noqa: PLC0415
    from stream.runtime.doctor import Check, Verdict  # noqa: PLC0415
    from stream.runtime.hours import parse_alerts  # noqa: PLC0415

    try:
        config = parse_alerts(settings)
    except AlertsConfigError as error:
        return [], Check("configuration", Verdict.PROBLEM, "; ".join(error.problems), "docs/alerts.md")
    names = sorted(config.receivers)
    source = settings.source if Path(settings.source).is_file() else "defaults"
    found = f"{source}; receivers: {', '.join(names)}"
    return names, Check("configuration", Verdict.OK, found)


def _jars() -> Path:
    from stream.runtime.broker import jars_path  # noqa: PLC0415
    from stream.testing import cache_home  # noqa: PLC0415

    return jars_path(cache_home(os.environ) / "kafka")


def _row(check: Check) -> tuple[str | Text, ...]:
    from rich.text import Text  # noqa: PLC0415

    return check.name, Text(check.verdict, style=_STYLES[check.verdict]), check.found, check.advice
