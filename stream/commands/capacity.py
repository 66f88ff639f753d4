"""``yanshao capacity``: the size of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stream.commands.common import as_json, print_fields, print_json, print_table

if TYPE_CHECKING:
    from stream.runtime.capacity import Plan

_EPILOG = """\b
Examples:
  yanshao capacity --messages-per-day 5000000
  yanshao capacity --messages-per-day 27000000 --peak 12 --receivers 4      a promotion night
  yanshao capacity --messages-per-day 200000 --open 3000 --json
"""


@click.command("capacity", epilog=_EPILOG)
@click.option("--messages-per-day", type=click.FloatRange(1), required=True, help="Messages of a whole day.")
@click.option("--open", "open_", type=click.IntRange(1), help="Conversations open at once at the peak.")
@click.option("--peak", type=click.FloatRange(1), help="The busiest minute over the day's mean (default 5).")
@click.option("--receivers", type=click.IntRange(0), default=1, show_default=True, help="Alert receivers.")
@click.option("--replication", type=click.IntRange(1), default=3, show_default=True, help="Copies in Kafka.")
@click.option("--records-per-core", type=click.FloatRange(1), help="Measured here (`yanshao bench kafka`).")
@as_json
def command(
    *,
    messages_per_day: float,
    open_: int | None,
    peak: float | None,
    receivers: int,
    replication: int,
    records_per_core: float | None,
    as_json: bool,
) -> None:
    """Say how many workers, partitions and brokers a load needs, with memory and disk.

    A sum over measured costs (docs/scale.md says which), not a measurement. Leave out --open and it is
    worked out from the messages.
    """
    from stream.runtime import capacity  # noqa: PLC0415
    from stream.runtime.topics import shipped  # noqa: PLC0415

    load = capacity.Load(
        messages_per_day,
        open_ or 0,
        peak or capacity.PEAK,
        receivers,
        replication,
        records_per_core or capacity.RECORDS_PER_CORE,
    )
    plan = capacity.plan(load, shipped())
    if as_json:
        print_json(_document(plan))
        return
    gib = 1 << 30
    mib = 1 << 20
    print_fields(
        (
            ("peak", f"{plan.peak_rate:,.0f} messages/s, {plan.open_conversations:,} conversations open"),
            ("", f"{plan.held_conversations:,} held, most of them over but for what was promised"),
            ("workers", f"{plan.workers} of one core, {plan.worker_memory / mib:,.0f} MiB each"),
            ("partitions", f"{plan.partitions} (cannot be changed later without draining)"),
            ("a worker dies", f"its partitions go on after about {plan.recovery_s:.0f} s"),
            ("", f"alerts of its receivers are sent after about {plan.delivery_s:.0f} s"),
            ("brokers", f"{plan.brokers}, writing {plan.broker_write / mib:,.1f} MiB/s in all"),
            ("disk", f"{plan.disk_total / gib:,.1f} GiB over all brokers"),
        )
    )
    print_table(("topic", "GiB"), ((name, f"{size / gib:,.2f}") for name, size in plan.disk.items()))


def _document(plan: Plan) -> dict[str, object]:
    return {
        "peak_messages_per_second": round(plan.peak_rate, 1),
        "open_conversations": plan.open_conversations,
        "held_conversations": plan.held_conversations,
        "workers": plan.workers,
        "worker_memory_bytes": round(plan.worker_memory),
        "recovery_seconds": round(plan.recovery_s, 1),
        "delivery_seconds": round(plan.delivery_s, 1),
        "partitions": plan.partitions,
        "brokers": plan.brokers,
        "broker_write_bytes_per_second": round(plan.broker_write),
        "disk_bytes": {name: round(size) for name, size in plan.disk.items()},
        "disk_bytes_total": round(plan.disk_total),
    }
