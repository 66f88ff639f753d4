"""``yanshao packs noise``: which rules fire how often on recorded chats, with samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stream.commands.common import (
    FINDINGS,
    as_json,
    bytes_of,
    console,
    fail,
    further_packs,
    knowledge_of,
    plain,
    print_json,
    print_table,
    progress,
    reading,
    settings_of,
    severity,
)

if TYPE_CHECKING:
    from stream.evaluate.noise import Noise, Sample

_KINDS = ("emotion", "sensitive", "ola", "script", "protocol", "privacy", "service")
_SEVERITIES = ("info", "low", "medium", "high", "critical")

_EPILOG = """\b
Examples:
  yanshao packs noise day.jsonl
  yanshao packs noise monday.jsonl.gz tuesday.jsonl.zst --severity medium --samples 10
  yanshao packs noise day.jsonl --packs ./my-packs --rule sensitive.complaint
  yanshao packs noise day.jsonl --kind sensitive --kind script --kind privacy --json
"""


@click.command("noise", epilog=_EPILOG)
@click.argument("sources", metavar="IN...", nargs=-1, required=True)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Only these kinds.")
@click.option(
    "--severity",
    "least",
    type=click.Choice(_SEVERITIES),
    default="info",
    show_default=True,
    help="At least this severity.",
)
@click.option("--rule", "prefix", default="", help="A rule's or clock's id, or how several begin.")
@click.option("--samples", default=3, show_default=True, type=click.IntRange(0), help="Shown of each rule.")
@click.option("--seed", default=7, show_default=True, help="Another seed shows other samples.")
@further_packs
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    kinds: tuple[str, ...],
    least: str,
    prefix: str,
    samples: int,
    seed: int,
    packs: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Count what each rule says on recorded chats, for every 100 messages of those it is about.

    IN holds events of the wire contract, one a line (.gz and .zst too, - for standard input). Samples are
    chosen at random, the same for the same recording and seed, and masked. Lines that cannot be used are
    counted, and the exit code is then 1.
    """
    from stream.core.outputs import Severity  # noqa: PLC0415 - brings native code
    from stream.evaluate import noise  # noqa: PLC0415
    from stream.runtime import replay  # noqa: PLC0415

    missing = [source for source in sources if source != "-" and not Path(source).is_file()]
    if missing:
        fail("\n".join(f"{source}: no such file" for source in missing))
    settings = settings_of(ctx)
    knowledge = knowledge_of(settings, packs)
    wanted = noise.Wanted(frozenset(kinds), Severity(least), prefix, samples, seed)
    with reading(", ".join(sources)), progress(bytes_of(sources), "noise") as advance:
        found = noise.measure(knowledge, replay.read(sources, advance), wanted)
    if as_json:
        import msgspec  # noqa: PLC0415

        print_json(msgspec.to_builtins(found))
    else:
        _print(found, prefix)
    if found.refused:
        click.echo(f"{found.refused} lines could not be used", err=True)
        raise click.exceptions.Exit(FINDINGS)


def _print(found: Noise, prefix: str) -> None:
    from rich.text import Text  # noqa: PLC0415

    print_table(
        ("rule", "severity", "about", "fired", "conversations", "per 100 messages"),
        (
            (
                one.rule_id,
                severity(one.severity),
                one.subject,
                str(one.count),
                str(one.conversations),
                _rate(one.per_100),
            )
            for one in found.rules
        ),
    )
    if found.kinds:
        print_table(
            ("kind", "about", "alarms", "per 100 messages"),
            ((one.kind, one.subject, str(one.alarms), _rate(one.per_100)) for one in found.kinds),
            title="Alarms, medium and above",
        )
    out = console()
    for rule in found.rules:
        if rule.samples:
            out.print(Text(f"{rule.rule_id}, {rule.severity}", style="bold"))
        for sample in rule.samples:
            out.print(Text(f"  {_where(sample)}  {plain(sample.evidence)}"))
    written = ", ".join(f"{count:,} of {role}" for role, count in found.messages.items())
    out.print(
        f"{found.events:,} events, {found.conversations:,} conversations, messages: {written or 'none'}"
    )
    if not found.rules:
        out.print(f"nothing fired{f' under {prefix}' if prefix else ''}")


def _rate(per_100: float | None) -> str:
    return "-" if per_100 is None else f"{per_100:.2f}"


def _where(sample: Sample) -> str:
    return plain(sample.message_id or f"{sample.conversation_id} (a silence)")
