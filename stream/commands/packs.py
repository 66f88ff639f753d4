"""``yanshao packs``: the knowledge; validate it, list it, compare two versions of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream.commands import noise
from stream.commands.common import (
    FINDINGS,
    as_json,
    fail,
    further_packs,
    print_fields,
    print_json,
    print_table,
    settings_of,
    severity,
    working,
)

if TYPE_CHECKING:
    from rich.text import Text

    from stream.core.book import ClockPolicy, RuleBook
    from stream.core.rules import Rule
    from stream.packs import Problem, RawPack
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao packs check                      what the configuration names, tests in the files included
  yanshao packs check ./my-packs           with a further directory on top
  yanshao packs show sensitive.complaint   the rules whose id begins so
  yanshao packs diff shipped ./my-packs    what a directory changes, by rule
  yanshao packs noise day.jsonl            which rules fire how often on recorded chats
"""


@click.group("packs", epilog=_EPILOG)
def command() -> None:
    """Check, show, compare and try the knowledge: terms, rules, clocks, categories."""


command.add_command(noise.command)


@command.command(epilog=_EPILOG)
@click.argument("directories", metavar="[DIR]...", nargs=-1, type=click.Path(exists=True, file_okay=False))
@click.option("--only", is_flag=True, help="Leave out the directories that the configuration names.")
@as_json
@click.pass_context
def check(ctx: click.Context, directories: tuple[str, ...], only: bool, as_json: bool) -> None:
    """Validate packs and run the tests in their files.

    Every problem of every file is shown with its place; the exit code is 1 where one is an error.
    Directories named here come on top of those of the configuration. Draft rules are checked too.
    """
    from stream import models, spelling  # noqa: PLC0415 - brings native code
    from stream.packs import Options, try_open  # noqa: PLC0415
    from stream.packs import check as checking  # noqa: PLC0415
    from stream.packs.lint import lint  # noqa: PLC0415
    from stream.packs.promises import read_promises, run_cases  # noqa: PLC0415

    settings = settings_of(ctx)
    if only and not directories:
        raise click.UsageError("--only needs a directory")
    chosen = [Path(name) for name in directories] if only else layered(settings, directories)
    with working("packs are being checked"):
        # With --only an id to disable may be in a directory that is left out.
        disable = () if only else settings.disable
        today = datetime.now(settings.tzinfo).date()
        book, packs, problems = try_open(chosen, Options(disable=disable, drafts=True), today)
        promises, _ = read_promises(chosen)
        if not _failed(problems):
            annotator = models.build_annotator(book.terms)
            problems += checking.run(book, annotator, packs)
            problems += checking.unused_lists(book, packs)
            normaliser = models.normaliser()
            problems += run_cases(promises, promises.build(normaliser), normaliser)
            problems += lint(book, annotator, packs, normaliser, spelling.spellings(), models.word_counts())
    problems.sort()
    failed = _failed(problems)
    counts = {
        "packs": len(packs),
        "rules": len(book.rules),
        "clocks": len(book.clocks),
        "terms": len(book.terms),
        "tests": sum(len(pack.cases) for pack in packs),
    }
    if as_json:
        print_json(
            {"ok": not failed, "version": book.version, **counts, "problems": [p._asdict() for p in problems]}
        )
    else:
        for problem in problems:
            click.echo(str(problem))
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        click.echo(f"{told}: " + ("errors" if failed else f"good, version {book.version}"))
    if failed:
        raise click.exceptions.Exit(FINDINGS)


@command.command(epilog=_EPILOG)
@click.argument("prefix", metavar="[ID]", default="")
@further_packs
@as_json
@click.pass_context
def show(ctx: click.Context, prefix: str, packs: tuple[str, ...], as_json: bool) -> None:
    """List rules and clocks with the moment at which each is decided; the whole of one that is named.

    ID is a rule's or clock's id, or how several begin: sensitive, ola, emotion.anger.
    """
    book, raw = _open(settings_of(ctx), packs)
    rules = [rule for rule in book.rules if _under(rule.id, prefix)]
    clocks = [policy for policy in book.clocks if _under(policy.id, prefix)]
    if not rules and not clocks:
        fail(f"no rule or clock with the id '{prefix}'{_suggestion(book, prefix)}")
    conditions = _conditions(raw)
    if as_json:
        print_json(
            {
                "version": book.version,
                "rules": [_rule_document(rule, conditions) for rule in rules],
                "clocks": [_clock_document(policy) for policy in clocks],
            }
        )
    elif len(rules) + len(clocks) == 1:
        document = _rule_document(rules[0], conditions) if rules else _clock_document(clocks[0])
        print_fields((name, _said(value)) for name, value in document.items())
    else:
        if rules:
            print_table(
                ("rule", "severity", "who", "decided", "fires", "tells", "pack"), map(_rule_row, rules)
            )
        if clocks:
            print_table(("clock", "id", "target", "warns", "tells", "pack"), map(_clock_row, clocks))
        click.echo(f"{len(rules)} rules, {len(clocks)} clocks, version {book.version}")


@command.command(epilog=_EPILOG)
@click.argument("before", metavar="OLD")
@click.argument("after", metavar="NEW")
@as_json
def diff(before: str, after: str, as_json: bool) -> None:
    """Show how two pack directories differ, by rule; `shipped` names the installed ones.

    The exit code is 1 where they differ, as with diff(1).
    """
    from stream.packs.diff import Change, compare  # noqa: PLC0415

    found = compare(_load(before), _load(after))
    if as_json:
        print_json(
            [
                {"change": one.change, "what": one.what, "id": one.id, "details": list(one.details)}
                for one in found
            ]
        )
    else:
        marks = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}
        for one in found:
            click.echo(f"{marks[one.change]} {one.what} {one.id}")
            for detail in one.details:
                click.echo(f"    {detail}")
        if not found:
            click.echo("no difference")
    if found:
        raise click.exceptions.Exit(FINDINGS)


def layered(settings: Settings, directories: Sequence[str]) -> list[str | Path]:
    """Return the configured pack directories with further ones on top, none twice."""
    from stream.runtime.knowledge import directories_of  # noqa: PLC0415

    chosen = directories_of(settings)
    known = {Path(entry).resolve() for entry in chosen if isinstance(entry, Path)}
    return [*chosen, *(Path(name) for name in directories if Path(name).resolve() not in known)]


def _open(settings: Settings, packs: Sequence[str]) -> tuple[RuleBook, tuple[RawPack, ...]]:
    from stream.packs import Options, try_open  # noqa: PLC0415

    options = Options(disable=settings.disable, drafts=True)
    book, raw, problems = try_open(layered(settings, packs), options)
    if _failed(problems):
        fail("\n".join(str(problem) for problem in problems))
    return book, raw


def _load(directory: str) -> tuple[RawPack, ...]:
    from stream.packs import SHIPPED, PackError, load  # noqa: PLC0415

    try:
        return load([SHIPPED if directory == SHIPPED else Path(directory)])
    except PackError as error:
        fail(str(error))


def _failed(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _under(name: str, prefix: str) -> bool:
    return not prefix or name == prefix or name.startswith(prefix.rstrip(".") + ".")


def _suggestion(book: RuleBook, name: str) -> str:
    from stream.core.rules.source import suggest  # noqa: PLC0415

    return suggest(name, [rule.id for rule in book.rules] + [policy.id for policy in book.clocks])


def _conditions(packs: Sequence[RawPack]) -> dict[str, dict[str, str]]:
    """Return what is written for `when` and `unless` of every rule, the last layer's."""
    from stream.packs.written import written  # noqa: PLC0415

    return {
        rule.id: {
            key: written(rule.node.entries[key]) for key in ("when", "unless") if key in rule.node.entries
        }
        for pack in packs
        for rule in pack.rules
    }


def _rule_document(rule: Rule, conditions: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": rule.title,
        "kind": rule.kind,
        "severity": rule.severity,
        "status": rule.status,
        "role": rule.role,
        "subject": rule.subject,
        "scope": {key: sorted(values) for key, values in rule.scope},
        **conditions.get(rule.id, {}),
        "window": rule.when.window or "conversation",
        "on": rule.on,
        "wait_seconds": rule.wait_ms / 1000 if rule.wait_ms else None,
        "fire": _fire(rule),
        "points": rule.points,
        "audiences": list(rule.audiences),
        "why": rule.why,
        "advice": rule.advice,
        "pack": rule.pack_version,
        "place": f"{rule.path}:{rule.line}",
    }


def _clock_document(policy: ClockPolicy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "clock": policy.clock,
        "target_seconds": policy.target_ms / 1000,
        "warn_seconds": [moment / 1000 for moment in policy.warn_ms],
        "warn_before_seconds": [moment / 1000 for moment in policy.warn_before_ms],
        "grace_seconds": policy.grace_ms / 1000,
        "severity": dict(policy.severity),
        "audiences": {stage: list(names) for stage, names in policy.audience.items()},
        "counts": sorted(policy.counts),
        "match": {key: sorted(values) for key, values in policy.match},
        "why": dict(policy.why),
        "advice": policy.advice,
        "pack": policy.pack_version,
        "place": f"{policy.path}:{policy.line}",
    }


def _rule_row(rule: Rule) -> tuple[str | Text, ...]:
    decided = f"{rule.on} after {_seconds(rule.wait_ms)}" if rule.wait_ms else str(rule.on)
    status = "" if rule.status == "active" else f" ({rule.status})"
    tells = ", ".join(rule.audiences) or "–"
    return (
        rule.id + status,
        severity(rule.severity),
        rule.role,
        decided,
        _fire(rule),
        tells,
        rule.pack_version,
    )


def _clock_row(policy: ClockPolicy) -> tuple[str, ...]:
    tells = ", ".join(dict.fromkeys(name for names in policy.audience.values() for name in names))
    warns = ", ".join(_seconds(moment) for moment in policy.warn_ms)
    warns = warns or ", ".join(f"-{_seconds(before)}" for before in policy.warn_before_ms) or "–"
    target = _seconds(policy.target_ms) if policy.target_ms else "promised"
    return (policy.clock, policy.id, target, warns, tells or "–", policy.pack_version)


def _fire(rule: Rule) -> str:
    return f"every {_seconds(rule.fire.cooldown_ms)}" if rule.fire.cooldown_ms else str(rule.fire.firing)


def _seconds(ms: int) -> str:
    from stream.settings import duration_text  # noqa: PLC0415

    return duration_text(ms)


def _said(value: object) -> str:
    """Return a value as people read it; empty for nothing, so that its line is left out."""
    if value is None or value in ([], {}, ""):
        return ""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_said(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
