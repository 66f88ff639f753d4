"""What the documents name is there: paths, modules, commands, options, links, dependencies."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import click
import pytest

from stream import cli
from stream.runtime.kafka.exits import Exit

ROOT = Path(__file__).resolve().parents[2]
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
DECISIONS = ROOT / "docs" / "decisions"
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *DECISIONS.glob("*.md")})
# These say how things were or will be as well, and may name what is gone.
PRESENT = [page for page in PAGES if page.parent != DECISIONS and page.name != "CHANGELOG.md"]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
every_present = pytest.mark.parametrize("page", PRESENT, ids=lambda page: page.relative_to(ROOT).as_posix())

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PATH = re.compile(r"(?<![\w/.-])((?:stream|alerts|lexicons|deploy|tests|docs)/[\w./@*-]+)")
MODULE = re.compile(r"(?:stream|alerts)(?:\.(?!jsonl\b)\w+)+")
MAKE = re.compile(r"\bmake ([a-z]+)\b")
# Not a call of the command: a folder, a unit's name, an address.
CALL = re.compile(r"(?<![\w/.-])(?:\S*/bin/)?yanshao((?: (?:[a-z]+\b|--?[a-z-]+|[^\s|;&`]+))+)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path) -> Iterator[str]:
    """Every code span and every line of every code block."""
    text = text_of(page)
    for block in FENCE.findall(text):
        yield from block.splitlines()[1:-1]
    yield from SPAN.findall(FENCE.sub("", text))


def headings(page: Path) -> list[str]:
    return [line for line in FENCE.sub("", text_of(page)).splitlines() if line.startswith("#")]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower())
    return words.replace(" ", "-")


# Links and paths ---------------------------------------------------------------------------------


@every_page
def test_every_link_of_ours_leads_somewhere(page: Path):
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in {slug(heading) for heading in headings(found)}, target


@every_present
def test_every_path_named_is_there(page: Path):
    missing = []
    for code in code_of(page):
        for path in PATH.findall(code):
            wanted = path.rstrip(".")
            if not any(ROOT.glob(wanted)) and not any(ROOT.glob(f"{wanted}*")):
                missing.append(path)
    assert not missing


@every_present
def test_every_module_named_is_there(page: Path):
    missing = [
        name for code in code_of(page) if MODULE.fullmatch(code) and not _is_there(code) for name in [code]
    ]
    assert not missing


def _is_there(name: str) -> bool:
    """A module, or a name that a module defines; nothing is imported but packages."""
    for at in range(name.count("."), 0, -1):
        parts = name.split(".")
        module, rest = ".".join(parts[: at + 1]), parts[at + 1 :]
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            spec = None
        if spec is not None and spec.origin is not None:
            return not rest or rest[0] in Path(spec.origin).read_text(encoding="utf-8")
    return False


# Commands ----------------------------------------------------------------------------------------


def calls(page: Path) -> Iterator[list[str]]:
    for code in code_of(page):
        for words in CALL.findall(code.partition("#")[0]):
            yield words.split()


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words call, and the words left over."""
    command: click.Command = cli.main
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *rest = words
        found = command.get_command(context, name)
        assert found is not None, f"{name} is no command of {command.name}"
        command, words = found, rest
        context = click.Context(command, parent=context)
    return command, words


@every_present
def test_every_command_named_is_there_with_its_options(page: Path):
    for words in calls(page):
        command, rest = command_of(words)
        known = {option for parameter in command.params for option in parameter.opts} | {"--help", "-h"}
        for word in rest:
            if re.fullmatch(r"--[a-z-]+", word):
                assert word in known, f"{command.name} {word}"


@every_present
def test_every_make_target_named_is_there(page: Path):
    targets = set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    assert {name for code in code_of(page) for name in MAKE.findall(code)} <= targets


# The two READMEs ---------------------------------------------------------------------------------


def test_both_readmes_have_the_same_sections():
    levels = [[heading.split(" ")[0] for heading in headings(page)] for page in (README, CHINESE)]
    assert levels[0] == levels[1]


def test_both_readmes_show_the_same_code_tables_and_pictures():
    def shape(page: Path) -> list[tuple[str, list[str], list[str], int]]:
        sections = re.split(r"^#+ .*$", FENCE.sub("", text_of(page)), flags=re.MULTILINE)
        return [
            (
                str(section.count("![")),
                sorted(target for target in LINK.findall(section) if not target.startswith("README")),
                sorted(code for code in SPAN.findall(section) if code.isascii()),
                len(re.findall(r"^\|", section, re.MULTILINE)),
            )
            for section in sections
        ]

    assert FENCE.findall(text_of(README)) == FENCE.findall(text_of(CHINESE))
    for heading, english, chinese in zip_longest(["", *headings(README)], shape(README), shape(CHINESE)):
        assert english == chinese, heading


def test_the_commands_stand_near_the_top_of_both_readmes():
    for page in (README, CHINESE):
        top = "\n".join(text_of(page).splitlines()[:25])
        assert "\nmake run\n" in top
        assert "\nmake test\n" in top


# Dependencies ------------------------------------------------------------------------------------


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ]", requirement)[0] for requirement in requirements}


PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]


@pytest.mark.parametrize(
    ("heading", "wanted"),
    [
        ("## At run time", _names(PROJECT["dependencies"])),
        ("## For development", _names(PROJECT["optional-dependencies"]["dev"])),
        ("## For training", _names(PROJECT["optional-dependencies"]["train"])),
        ("## For benchmarks", _names(PROJECT["optional-dependencies"]["bench"])),
    ],
)
def test_every_dependency_has_its_line(heading: str, wanted: set[str]):
    section = text_of(ROOT / "docs" / "dependencies.md").partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \|", section, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(named) == sorted(wanted)


# Other tables that must keep up with the code ------------------------------------------------------


def test_operations_explains_every_exit_code():
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", text_of(ROOT / "docs" / "operations.md"), re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(code.value, code.name) for code in Exit]


def test_the_layers_drawn_are_those_that_are_enforced():
    contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    drawn = next(
        block
        for block in FENCE.findall(text_of(ROOT / "docs" / "architecture.md"))
        if "stream.cli\n" in block
    )
    rows = [
        set(re.findall(r"\b[a-z]+\b", line.partition("   ")[0].replace("stream.", "")))
        for line in drawn.splitlines()[1:-1]
    ]
    inner = [set(re.findall(r"\b[a-z]+\b", line)) for line in drawn.splitlines() if line.startswith("    ")]
    outer = [row for row in rows if row]
    for contract, shown in ((contracts[0], outer), (contracts[1], inner)):
        layers = [set(re.findall(r"stream(?:\.core)?\.([a-z]+)", layer)) for layer in contract["layers"]]
        assert shown == layers, contract["name"]


def test_the_index_of_decisions_is_complete():
    index = text_of(DECISIONS / "README.md")
    for page in DECISIONS.glob("[0-9]*.md"):
        assert f"({page.name})" in index
    numbers = sorted(page.name[:4] for page in DECISIONS.glob("[0-9]*.md"))
    assert len(numbers) == len(set(numbers))


def test_every_module_that_the_package_docstring_names_is_there():
    docstring = ast.get_docstring(ast.parse(text_of(ROOT / "stream" / "__init__.py")))
    assert docstring
    for name in re.findall(r"``([a-z_]+\.[a-z_.]+|alerts|packs|alerting|lexicons)``", docstring):
        parts = name.split(".")
        if parts[0] in {"chat", "qa", "dlq"}:
            continue
        homes = [ROOT / "stream", ROOT]
        assert any(
            home.joinpath(*parts[:at]).with_suffix(".py").is_file() or home.joinpath(*parts[:at]).is_dir()
            for home in homes
            for at in (len(parts), max(1, len(parts) - 1))
        ), name


def test_no_page_holds_invisible_characters():
    for page in PAGES:
        assert not re.search(r"[\u200b-\u200f\u2060\ufeff\u00a0]", text_of(page)), page.name


def test_every_name_that_a_recipe_gives_is_in_the_file_it_names():
    recipes = re.split(r"^## ", text_of(ROOT / "CONTRIBUTING.md"), flags=re.MULTILINE)[1:]
    unknown = []
    for recipe in recipes:
        files = [ROOT / path for path in PATH.findall(recipe) if (ROOT / path).is_file()]
        known = "\n".join(text_of(file) for file in files)
        # `ClockKind`, `CLOCK_TITLES`, `clocks.answer`, `not_in`; single words may be anything.
        names = [name for name in SPAN.findall(recipe) if re.fullmatch(r"[A-Za-z]\w*(\.[a-z]+)?", name)]
        unknown += [
            name for name in names if re.search(r"[A-Z_.]", name) and name.rpartition(".")[2] not in known
        ]
    assert unknown == []
