"""The command line as such: every command is there, says how to use it, and starts quickly."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from stream.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]

HEAVY = (
    "faust",
    "aiokafka",
    "kafka",
    "jieba",
    "pydantic",
    "aiohttp",
    "snownlp",
    "opencc",
    "msgspec",
    "rich",
    "yaml",
)


def _leaves() -> list[list[str]]:
    """Every command and subcommand, as typed."""
    found = []
    for name in COMMANDS:
        found.append([name])
        try:
            command = main.get_command(click.Context(main), name)
        except ImportError:  # told by the test of its help, not by all of this file
            continue
        if isinstance(command, click.Group):
            found += [[name, inner] for inner in command.commands]
    return found


@pytest.mark.parametrize("words", _leaves(), ids=" ".join)
def test_every_command_has_help_with_examples(words: list[str]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"yanshao {words[0]}" in result.output.split("Examples:")[1]


def test_every_command_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    missing = [" ".join(words) for words in _leaves() if f"`yanshao {' '.join(words)}" not in text]
    assert missing == []


@pytest.mark.parametrize("words", _leaves(), ids=" ".join)
def test_every_option_is_in_the_reference(words: list[str]) -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    command: click.Command | None = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    assert command is not None
    options = [option for option in command.params if isinstance(option, click.Option)]
    missing = [option.opts[0] for option in options if not any(f"`{name}" in text for name in option.opts)]
    assert missing == []


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["send", "--help"], ["worker", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom stream.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert re.findall(r"LOADED (.*)", done.stdout) == ["[]"], done.stdout


def test_mistyped_command_is_answered_with_the_right_one() -> None:
    result = CliRunner().invoke(main, ["relpay"])
    assert result.exit_code == 2
    assert "Did you mean 'replay'?" in result.output


def test_faulty_configuration_ends_with_all_faults_and_code_2(tmp_path: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("zonee: x\nlisten: {prt: 1}\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["--config", str(config), "config", "show"])
    assert result.exit_code == 2
    assert f"{config}:1: zonee: unknown key; did you mean 'zone'?" in result.output
    assert f"{config}:2: listen.prt: unknown key; did you mean 'port'?" in result.output
