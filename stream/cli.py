"""The command line: names, and where each command lives. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

# name -> module under stream.commands; its attribute ``command`` is the click command.
COMMANDS: Final = {
    "up": ("up", "Run everything in one terminal; --demo plays the shipped day."),
    "worker": ("worker", "Run one Kafka worker: the daemon."),
    "ingest": ("ingest", "Map and re-key foreign events into chat.messages."),
    "replay": ("replay", "Run recorded events through the same engine, in simulated time."),
    "scan": ("scan", "Detect in single texts, one a line on standard input."),
    "send": ("send", "Feed recorded events to a running system."),
    "topics": ("topics", "Create or check the Kafka topics."),
    "kafka": ("kafka", "Start and stop a local Apache Kafka."),
    "packs": ("packs", "Check, show and compare the knowledge."),
    "rules": ("rules", "Test rules and explain why one fired."),
    "alerts": ("alerts", "List and show alerts."),
    "metrics": ("metrics", "Explain response metrics, message by message."),
    "ola": ("ola", "Show open clocks, explain clocks, attainment as CSV."),
    "dlq": ("dlq", "List and replay events that could not be used."),
    "config": ("config", "Show the configuration in force."),
    "evaluate": ("evaluate", "Measure detection on labelled data."),
    "train": ("train", "Make the learned scores from labelled data."),
    "doctor": ("doctor", "Is this machine and configuration fit to run?"),
    "capacity": ("capacity", "The size of an installation."),
    "bench": ("bench", "Measure speed and memory."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        command: click.Command = importlib.import_module(f"stream.commands.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such command '{args[0]}'.{hint}", ctx)
        return super().resolve_command(ctx, args)


_EPILOG = """\b
Examples:
  yanshao up --demo                         alerts of a shipped day, on this terminal
  yanshao replay day.jsonl.gz --out out     recorded chats through the same engine
  echo 我要投诉你们 | yanshao scan           what is found in one text
  yanshao worker                            the Kafka daemon
"""


@click.command(cls=_Lazy, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="yanshao", prog_name="yanshao")
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    help="Configuration file (else $YANSHAO_CONFIG, ./yanshao.yaml).",
)
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """Watch live customer-service chats and tell the right person in time (言哨)."""
    ctx.obj = config


if __name__ == "__main__":
    sys.exit(main())
