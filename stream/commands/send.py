"""``yanshao send``: recorded events to a running system."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.commands.common import FINDINGS, as_json, fail, print_json, progress, reading, settings_of

if TYPE_CHECKING:
    from stream.runtime.send import Plan, Report, Target, Unusable
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao send day.jsonl --to http                   as recorded: an hour takes an hour
  yanshao send day.jsonl --to http --speed 60        an hour in a minute; clocks stay what they are
  yanshao send day.jsonl.gz --to kafka --rate 1000   a thousand a second, whatever was recorded
  yanshao send day.jsonl --to kafka --recorded       untouched, for a system on the `stream` driver
"""

# Lines that cannot be sent are named up to here; the summary has the count.
_NAMED = 20


@click.command("send", epilog=_EPILOG)
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--to", type=click.Choice(["kafka", "http"]), required=True, help="Which door to use.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Events a second, evenly.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), help="How many times as fast as recorded.")
@click.option("--recorded", is_flag=True, help="Keep times and ids, and every line as it is.")
@click.option("--url", help="Where to POST; else the door that the configuration names (listen).")
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    *,
    to: str,
    rate: float | None,
    speed: float | None,
    recorded: bool,
    url: str | None,
    as_json: bool,
) -> None:
    """Feed the recorded events in IN (JSONL, .gz, .zst, - for standard input) to a running system.

    Times are shifted so that the first event is now, and conversation, message and issue ids get a
    suffix of this run. With --rate and --speed, the rate is the most that is sent. The exit code is 1
    where events were refused or lines are no events, 2 where the system cannot be reached.
    """
    from stream.runtime.send import Plan, Report  # noqa: PLC0415

    settings = settings_of(ctx)
    plan = Plan(f"~{secrets.token_hex(3)}", rate, speed, recorded)
    report = Report()
    _run(settings, source, plan, report, url if to == "http" else None, to)
    if as_json:
        print_json(_document(report, plan))
    else:
        click.echo(_summary(report), err=True)
    if report.refused or report.unusable:
        raise click.exceptions.Exit(FINDINGS)


def _run(settings: Settings, source: str, plan: Plan, report: Report, url: str | None, to: str) -> None:
    """Send it all; what keeps it from being sent ends the command."""
    from stream.runtime.send import READ_AHEAD, SendError, planned, send  # noqa: PLC0415

    async def run(advance: Callable[[int], None]) -> None:
        from stream import wire  # noqa: PLC0415
        from stream.runtime.clock import WallClock  # noqa: PLC0415

        async with _target(settings, report, url, to) as target:
            events = planned(wire.read_events(source), plan, WallClock().now_ms())
            ahead = 1 if source == "-" else READ_AHEAD
            await send(events, target, report, ahead=ahead, unusable=_teller(source), progress=advance)

    try:
        total = None if source == "-" else _lines(source)
        with reading(source), progress(total, "send") as advance:
            asyncio.run(run(advance))
    except SendError as error:
        fail(f"{error}\n{_summary(report)}")
    except KeyboardInterrupt:
        click.echo(f"\n{_summary(report)}", err=True)
        raise


def _target(
    settings: Settings, report: Report, url: str | None, to: str
) -> AbstractAsyncContextManager[Target]:
    if to == "kafka":
        from stream.runtime.send_kafka import KafkaTarget  # noqa: PLC0415

        return KafkaTarget(settings.kafka, report)
    from stream.runtime.send_http import HttpTarget, door  # noqa: PLC0415
    from stream.settings import ensure_token  # noqa: PLC0415

    return HttpTarget(url or door(settings.listen), ensure_token(settings), report)


def _lines(source: str) -> int | None:
    """Return how many lines a plain file has, for the progress bar; None where counting costs as much."""
    if source.endswith((".gz", ".zst")):
        return None
    with Path(source).open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _teller(source: str) -> Callable[[Unusable], None]:
    told = 0

    def tell(line: Unusable) -> None:
        nonlocal told
        told += 1
        if told <= _NAMED:
            click.echo(f"{source}:{line.line}: {line.reason}: {line.detail}", err=True)

    return tell


def _summary(report: Report) -> str:
    rate = report.sent / report.seconds if report.seconds else 0.0
    parts = [f"sent {report.sent} of {report.read} events in {report.seconds:.1f} s ({rate:.0f}/s)"]
    if report.refused:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(report.reasons.items()))
        parts.append(f"{report.refused} refused ({reasons})")
    if report.unusable:
        parts.append(f"{report.unusable} lines are no events")
    if report.late_ms >= 100:
        parts.append(f"behind the plan by up to {report.late_ms / 1000:.1f} s")
    return "; ".join(parts)


def _document(report: Report, plan: Plan) -> dict[str, object]:
    return {
        "read": report.read,
        "sent": report.sent,
        "refused": report.refused,
        "reasons": report.reasons,
        "unusable": report.unusable,
        "seconds": round(report.seconds, 3),
        "late_ms": round(report.late_ms),
        "suffix": "" if plan.recorded else plan.suffix,
    }
