"""``yanshao metrics``: where the response metrics of a conversation come from, message by message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream.commands.alerts import opened
from stream.commands.common import (
    as_json,
    bytes_of,
    console,
    fail,
    plain,
    print_json,
    progress,
    reading,
    settings_of,
)
from stream.core.platforms import DEFINITIONS

if TYPE_CHECKING:
    from datetime import tzinfo

    from stream.core.outputs import Summary
    from stream.core.platforms import Contribution, Figure
    from stream.runtime.responses import Life, Told
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao metrics explain c-8                              a conversation of the embedded runtime
  yanshao metrics explain c-8 day.jsonl.gz                 one of recorded events
  yanshao metrics explain c-8 --definition jd_v1 --json
"""

# Figures of one conversation are not yet those that a platform shows.
_JOINED = {
    "jd_v1": "sessions of the same customer that begin within ten minutes of this one's close belong to it",
    "pdd_v1": "a customer counts once a day, whatever number of conversations that day had",
}


@click.group("metrics", epilog=_EPILOG)
def command() -> None:
    """Explain response metrics by the definitions of platforms (docs/response-metrics.md)."""


@command.command(epilog=_EPILOG)
@click.argument("conversation", metavar="CONVERSATION")
@click.argument("sources", metavar="[EVENTS]...", nargs=-1)
@click.option(
    "--definition",
    "wanted",
    multiple=True,
    type=click.Choice(list(DEFINITIONS)),
    help="Only this definition; may be repeated.",
)
@as_json
@click.pass_context
def explain(
    ctx: click.Context, conversation: str, sources: tuple[str, ...], *, wanted: tuple[str, ...], as_json: bool
) -> None:
    """Show every unit of CONVERSATION by each definition, and the figures they come to.

    Which message opened it and which reply closed it (lines are numbered from 1 by time, clocks are those
    of Beijing), what was capped or left out, and why. EVENTS are recorded events (JSONL of the wire
    contract; .gz and .zst too, - for standard input); without any, the summary in the store of the
    embedded runtime is told, running or not.
    """
    settings = settings_of(ctx)
    found = _recorded(settings, conversation, sources) if sources else _stored(settings, conversation)
    told = [(life, _told(life, wanted)) for life in found]
    if as_json:
        documents = [_document(life, units, settings.tzinfo) for life, units in told]
        print_json({"conversation_id": conversation, "summaries": documents})
        return
    for number, (life, units) in enumerate(told):
        if number:
            console().print()
        _print(life, units, settings.tzinfo)


def _told(life: Life, wanted: tuple[str, ...]) -> tuple[Told, ...]:
    """Return what a life gives by the wanted definitions; the command ends where it lacks one."""
    from stream.runtime.responses import tell  # noqa: PLC0415 - brings the engine

    told = tell(life.summary, wanted or DEFINITIONS)
    missing = set(wanted) - {one.definition.id for one in told}
    if missing or not told:
        what = ", ".join(sorted(missing)) or "response metrics"
        fail(
            f"the summary of conversation '{life.summary.conversation_id}' was made without {what}: name "
            "its recorded events, or see `metrics.definitions` in the configuration"
        )
    return told


def _recorded(settings: Settings, conversation: str, sources: tuple[str, ...]) -> tuple[Life, ...]:
    """Return the conversation as it was recorded; the command ends where it was not."""
    from stream.runtime import replay  # noqa: PLC0415
    from stream.runtime.knowledge import limits_of  # noqa: PLC0415
    from stream.runtime.responses import recorded  # noqa: PLC0415

    missing = [source for source in sources if source != "-" and not Path(source).is_file()]
    if missing:
        fail("\n".join(f"{source}: no such file" for source in missing))
    named = ", ".join(sources)
    with reading(named), progress(bytes_of(sources), "read") as advance:
        found, refused = recorded(replay.read(sources, advance), conversation, limits_of(settings))
    if refused:
        click.echo(f"{refused} refused: `yanshao replay` says which lines, and why", err=True)
    if not found:
        fail(f"{named}: no event of conversation '{conversation}'")
    return found


def _stored(settings: Settings, conversation: str) -> tuple[Life, ...]:
    """Return the conversation as the store has it; the command ends where it does not."""
    from stream.runtime.responses import stored  # noqa: PLC0415

    with opened(settings.data_dir.expanduser()) as connection:
        found = stored(connection, conversation)
    if not found:
        fail(f"no summary of conversation '{conversation}' in the store: one is written at the close")
    return found


def _print(life: Life, told: tuple[Told, ...], zone: tzinfo) -> None:
    from rich.text import Text  # noqa: PLC0415

    from stream.core.platforms import told as sentence  # noqa: PLC0415

    summary, out = life.summary, console()
    out.print(Text(plain(f"{summary.conversation_id}: {_heading(summary, zone)}"), style="bold"))
    for one in told:
        counted = sum(unit.counts for unit in one.units)
        by = one.definition.unit.replace("_", " ")
        out.print()
        out.print(
            Text(f"{one.definition.id}, by {by}: {counted} of {len(one.units)} below count", style="bold")
        )
        for unit in one.units:
            out.print(Text(plain(f"  {sentence(unit)}{_names(life, unit)}")))
        for name, figure in one.figures.items():
            out.print(Text(f"  {name} = {_quotient(figure)}", style="green"))
        if one.definition.id in _JOINED:
            out.print(Text(f"  ({_JOINED[one.definition.id]})", style="dim"))


def _heading(summary: Summary, zone: tzinfo) -> str:
    from stream.core.lines import DROPPED  # noqa: PLC0415
    from stream.wire import rfc3339  # noqa: PLC0415

    closed = "taken for closed" if summary.inferred else "closed"
    dropped = summary.counted.get(DROPPED, 0)
    cut = f"; its first {dropped} messages are not known any more" if dropped else ""
    return f"{closed} {rfc3339(summary.closed_at, zone)}, revision {summary.revision}{cut}"


def _names(life: Life, unit: Contribution) -> str:
    """Return the ids of the messages that opened and closed a unit, where they are known."""
    opened_by, answered_by = _message(life, unit.opened_by), _message(life, unit.answered_by)
    if opened_by is None:
        return ""
    return f"  [{opened_by}]" if answered_by is None else f"  [{opened_by} → {answered_by}]"


def _message(life: Life, number: int | None) -> str | None:
    return life.messages[number - 1] if number is not None and life.messages else None


def _quotient(figure: Figure) -> str:
    value = "nothing to measure" if figure.value is None else _decimal(figure.value)
    return f"{_decimal(figure.numerator)} / {figure.denominator} = {value}"


def _decimal(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _document(life: Life, told: tuple[Told, ...], zone: tzinfo) -> dict[str, Any]:
    from stream.wire import rfc3339  # noqa: PLC0415

    summary = life.summary
    return {
        "revision": summary.revision,
        "closed_at": rfc3339(summary.closed_at, zone),
        "inferred": summary.inferred,
        "definitions": {
            one.definition.id: {
                "unit": one.definition.unit,
                "sources": one.definition.sources,
                "units": [_unit(life, unit, zone) for unit in one.units],
                "figures": {
                    name: {
                        "numerator": figure.numerator,
                        "denominator": figure.denominator,
                        "value": figure.value,
                    }
                    for name, figure in one.figures.items()
                },
            }
            for one in told
        },
    }


def _unit(life: Life, unit: Contribution, zone: tzinfo) -> dict[str, Any]:
    from stream.core.platforms import told as sentence  # noqa: PLC0415
    from stream.wire import rfc3339  # noqa: PLC0415

    return {
        "opened_at": rfc3339(unit.opened_at, zone),
        "opened_by": unit.opened_by,
        "opened_by_message": _message(life, unit.opened_by),
        "since": rfc3339(unit.since, zone),
        "answered_at": None if unit.answered_at is None else rfc3339(unit.answered_at, zone),
        "answered_by": unit.answered_by,
        "answered_by_message": _message(life, unit.answered_by),
        "verdict": unit.verdict,
        "counts": unit.counts,
        "counted_ms": unit.ms,
        "opens_turn": unit.opens_turn,
        "told": sentence(unit),
    }
