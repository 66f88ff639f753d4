"""``yanshao config``: the configuration in force."""

from __future__ import annotations

import click

from stream.commands.common import as_json, print_json, settings_of

_EPILOG = """\b
Examples:
  yanshao config show
  yanshao --config /etc/yanshao.yaml config show --json
  YANSHAO_LISTEN__PORT=9000 yanshao config show
"""


@click.group("config", epilog=_EPILOG)
def command() -> None:
    """Show the configuration in force. All keys: docs/configuration.md."""


@command.command(epilog=_EPILOG)
@as_json
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Print defaults, file and environment merged, as YAML; every secret is masked."""
    from pathlib import Path  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    from stream import settings as reading  # noqa: PLC0415
    from stream.commands.common import alerts_config_of  # noqa: PLC0415

    settings = settings_of(ctx)
    alerts_config_of(settings)  # what is shown is what would be used: its faults are faults here
    shown = reading.show(settings)
    if as_json:
        print_json(yaml.safe_load(shown))
        return
    there = Path(settings.source).is_file()
    click.echo(f"# {settings.source if there else 'no file: defaults and environment'}")
    click.echo(shown, nl=False)
