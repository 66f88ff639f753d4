"""``yanshao rules``: run the tests of rules, and say why one fired or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stream.commands.common import (
    FINDINGS,
    as_json,
    console,
    fail,
    further_packs,
    plain,
    print_json,
    reading,
    settings_of,
    working,
)
from stream.commands.packs import layered

if TYPE_CHECKING:
    from stream.core.book import RuleBook
    from stream.core.events import Received
    from stream.core.rules import Rule
    from stream.packs import RawPack
    from stream.runtime.explain import Explanation, Moment
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao rules test                                      all tests written in the packs
  yanshao rules test emotion.anger --packs ./my-packs
  yanshao rules explain emotion.anger.strong chat.txt     lines such as `customer: 气死我了`, `+60s`
  yanshao rules explain sensitive.complaint.regulator day.jsonl --conversation c-8
"""


@click.group("rules", epilog=_EPILOG)
def command() -> None:
    """Test rules, and explain why one fired or not."""


@command.command(epilog=_EPILOG)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@further_packs
@as_json
@click.pass_context
def test(ctx: click.Context, ids: tuple[str, ...], packs: tuple[str, ...], as_json: bool) -> None:
    """Run the tests in the pack files, of all rules or of those whose id is or begins with ID.

    Each failure is shown with its place; the exit code is 1 where there is one.
    """
    from stream import models  # noqa: PLC0415 - brings native code
    from stream.packs import check  # noqa: PLC0415

    book, raw = _open(settings_of(ctx), packs)
    chosen = [_chosen(pack, ids) for pack in raw]
    tests = sum(len(pack.cases) for pack in chosen)
    if ids and not tests:
        fail(f"no test of a rule '{' or '.join(ids)}'{_suggestion(book, ids[0])}")
    with working("rules are being tested"):
        problems = sorted(check.run(book, models.build_annotator(book.terms), chosen))
    rules = len({case.rule_id for pack in chosen for case in pack.cases})
    if as_json:
        failures = [problem._asdict() for problem in problems]
        print_json({"ok": not problems, "rules": rules, "tests": tests, "failures": failures})
    else:
        for problem in problems:
            click.echo(str(problem))
        click.echo(f"{tests} tests of {rules} rules, {len(problems)} failed")
    if problems:
        raise click.exceptions.Exit(FINDINGS)


@command.command(epilog=_EPILOG)
@click.argument("rule_id", metavar="RULE")
@click.argument("source", metavar="IN", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--conversation", help="Which conversation of an events file; needed where it has several.")
@further_packs
@as_json
@click.pass_context
def explain(
    ctx: click.Context,
    rule_id: str,
    source: str,
    *,
    conversation: str | None,
    packs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say why RULE fired or not on the conversation in IN, message by message.

    IN holds events of the wire contract, one a line (.gz and .zst too), or a dialogue: lines
    `customer: …`, `agent: …`, and `+60s` where time passes. After the last line a day passes and
    the conversation is closed, as in a replay.
    """
    from stream.packs.written import operators  # noqa: PLC0415
    from stream.runtime import explain as explaining  # noqa: PLC0415
    from stream.runtime.knowledge import of_book  # noqa: PLC0415

    book, raw = _open(settings_of(ctx), packs)
    rule = book.rules.get(rule_id)
    if rule is None:
        if book.clock_policy_by_id(rule_id) is not None:
            fail(f"'{rule_id}' is a clock, not a rule: see `yanshao packs show {rule_id}`")
        fail(f"no rule '{rule_id}'{_suggestion(book, rule_id)}")
    written = [
        list(operators(one.node.entries["when"])) for pack in raw for one in pack.rules if one.id == rule_id
    ]
    events = _events(source, conversation)
    told = explaining.explain(of_book(book), rule, written[-1], events)
    if as_json:
        import msgspec  # noqa: PLC0415

        print_json({"status": rule.status, "on": rule.on, **msgspec.to_builtins(told)})
    else:
        _print(rule, told)


def _print(rule: Rule, told: Explanation) -> None:
    from rich.text import Text  # noqa: PLC0415

    out = console()
    status = "" if rule.status == "active" else f", {rule.status}"
    out.print(
        Text(f"{rule.id} ({rule.title}): about {rule.role}, decided at {rule.on}{status}", style="bold")
    )
    for moment in told.moments:
        out.print(_heading(told, moment))
        for operator in moment.operators:
            found = ", ".join(operator.terms) or (
                f"{operator.score:.2f}" if operator.score is not None else ""
            )
            mark = "yes" if operator.holds else "no "
            out.print(Text(plain(f"      {mark} {operator.written}" + (f"  ({found})" if found else ""))))
        out.print(Text(f"      -> {moment.verdict}", style="bold green" if moment.fired else "dim"))
    out.print(
        Text({0: "did not fire", 1: "fired once"}.get(told.fired, f"fired {told.fired} times"), style="bold")
    )
    for finding in told.findings:
        out.print(Text(plain(f"  {finding.severity}: {finding.why}")))


def _heading(told: Explanation, moment: Moment) -> Any:
    from rich.text import Text  # noqa: PLC0415

    passed = (moment.at - told.moments[0].at) / 1000
    if moment.number is None:
        return Text(plain(f"      +{passed:g} s {moment.text}".rstrip()))
    return Text(plain(f"{moment.number:>4}  +{passed:g} s  {moment.role}: {moment.text}"))


def _open(settings: Settings, packs: Sequence[str]) -> tuple[RuleBook, tuple[RawPack, ...]]:
    """Return the book with its draft rules, and the packs as written."""
    from stream.packs import Options, try_open  # noqa: PLC0415
    from stream.runtime.knowledge import limits_of  # noqa: PLC0415

    options = Options(disable=settings.disable, drafts=True, limits=limits_of(settings))
    book, raw, problems = try_open(layered(settings, packs), options)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        fail("\n".join(errors))
    return book, raw


def _chosen(pack: RawPack, ids: Sequence[str]) -> RawPack:
    """Return a pack with the tests of the chosen rules only."""
    if not ids:
        return pack
    kept = tuple(
        case
        for case in pack.cases
        if any(case.rule_id == name or case.rule_id.startswith(f"{name}.") for name in ids)
    )
    return dataclasses.replace(pack, cases=kept)


def _suggestion(book: RuleBook, name: str) -> str:
    from stream.core.rules.source import suggest  # noqa: PLC0415

    return suggest(name, [rule.id for rule in book.rules])


def _events(source: str, conversation: str | None) -> list[Received]:
    """Return the events of one conversation, from an events file or from a dialogue."""
    from stream import wire  # noqa: PLC0415

    with reading(source):
        lines = wire.read_events(source)
        first = next(lines, None)
        if first is None:
            fail(f"{source}: nothing in it")
        if first[1].lstrip().startswith(b"{"):
            return _recorded(source, _chain(first, lines), conversation)
        return _dialogue(source, _chain(first, lines))


def _chain(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def _recorded(source: str, lines: Iterator[tuple[int, bytes]], conversation: str | None) -> list[Received]:
    """Return the events of the conversation asked for, or of the only one; what is refused is told."""
    from stream import wire  # noqa: PLC0415

    events: list[Received] = []
    named = conversation
    for number, raw in lines:
        try:
            received = wire.decode(raw, received_at=None)
        except wire.InvalidMessage as error:
            click.echo(f"{source}:{number}: {error.reason}: {error.detail}", err=True)
            continue
        owner = wire.conversation_id(received.event)
        if owner is None:
            continue
        named = named or owner
        if owner == named:
            events.append(received)
        elif conversation is None:
            fail(f"{source} holds several conversations: choose one with --conversation (the first: {named})")
    if not events:
        fail(
            f"{source}: no event of conversation '{conversation}'" if conversation else f"{source}: no event"
        )
    return events


def _dialogue(source: str, lines: Iterator[tuple[int, bytes]]) -> list[Received]:
    """Read a dialogue as the tests in a pack write one."""
    from stream.core.rules.source import Fields, Items, Mark, Report, Text  # noqa: PLC0415
    from stream.packs.cases import read_cases  # noqa: PLC0415
    from stream.runtime.explain import dialogue  # noqa: PLC0415

    spoken = tuple(
        Text(raw.decode("utf-8", "replace").strip(), Mark(number, 1), quoted=True) for number, raw in lines
    )
    test = Fields({"rule": Text("-"), "dialogue": Items(spoken), "hits_at": Items(())}, {})
    report = Report(Path(source).name if source != "-" else source)
    cases = read_cases(report, Items((test,)))
    if report.problems:
        fail("\n".join(str(problem) for problem in report.problems))
    return dialogue(cases[0].lines)
