"""``yanshao ola explain``: why each clock of recorded events went as it did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click
from click.exceptions import Exit

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
    progress,
    reading,
    settings_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from stream.core.events import Received
    from stream.runtime.clock_story import ClockStory, ConversationStory, Happened, IssueStory, Trial
    from stream.runtime.replay import Refused

_EPILOG = """\b
Examples:
  yanshao ola explain day.jsonl.gz
  yanshao ola explain day.jsonl --conversation c-8 --clock leg
  yanshao ola explain day.jsonl --clock leg#2 --json
"""


@click.command("explain", epilog=_EPILOG)
@click.argument("sources", metavar="EVENTS...", nargs=-1, required=True)
@click.option("--conversation", help="Only this conversation.")
@click.option("--clock", "wanted", help="Only clocks of this kind (leg), or this one (leg#2).")
@further_packs
@as_json
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    *,
    conversation: str | None,
    wanted: str | None,
    packs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Say of every clock in EVENTS which policy it got and why, and what happened to it by what.

    EVENTS are replayed as by `yanshao replay`; times are shown in the configured zone. Legs of issues
    follow with their times. The exit code is 1 where lines were refused.
    """
    from stream.runtime import replay  # noqa: PLC0415
    from stream.runtime.explain_clocks import explain  # noqa: PLC0415

    settings = settings_of(ctx)
    knowledge = knowledge_of(settings, packs)
    refused: list[Refused] = []
    with reading(" ".join(sources)), progress(bytes_of(sources), "explain") as advance:
        told = explain(knowledge, _taken(replay.read(sources, advance), refused, conversation))
    if conversation is not None and not told:
        fail(f"no event of conversation '{conversation}'")
    for story in told if wanted is not None else ():
        story.clocks = [one for one in story.clocks if wanted in (one.kind, one.clock_id)]
        story.without_policy = [one for one in story.without_policy if one.kind == wanted]
        story.issues = []
    if as_json:
        print_json([_document(story, settings.tzinfo) for story in told])
    else:
        page = _Page(console(), settings.tzinfo)
        for story in told:
            page.conversation(story)
    for one in refused:
        click.echo(f"{one.source}:{one.line}: {one.reason}: {one.detail}", err=True)
    if refused:
        raise Exit(FINDINGS)


def _taken(
    events: Iterable[Received | Refused], refused: list[Refused], conversation: str | None
) -> Iterator[Received]:
    """Yield the events asked for; other conversations' leave their time, until which clocks run."""
    from stream.core.engine import conversation_of  # noqa: PLC0415
    from stream.core.events import Received, Tick  # noqa: PLC0415

    last_t: int | None = None
    for one in events:
        if not isinstance(one, Received):
            refused.append(one)
            continue
        last_t = one.t if last_t is None else max(last_t, one.t)
        if conversation is None or isinstance(one.event, Tick) or conversation_of(one.event) == conversation:
            yield one
    if last_t is not None:
        yield Received(Tick(at=last_t), last_t)


class _Page:
    """Prints stories for people."""

    def __init__(self, out: Console, zone: tzinfo) -> None:
        self._out = out
        self._zone = zone

    def conversation(self, story: ConversationStory) -> None:
        """Print one conversation."""
        if not (story.clocks or story.issues or story.without_policy):
            return
        self._line(f"{story.conversation_id}", "bold")
        for clock in story.clocks:
            self._clock(clock)
        for choice in story.without_policy:
            self._line(f"  {choice.kind}: no clock at {self._at(choice.at)}, for no policy holds", "bold")
            self._trials(choice.trials)
        for issue in story.issues:
            self._issue(issue)

    def _clock(self, clock: ClockStory) -> None:
        about = f", issue {clock.issue_id}" if clock.issue_id else ""
        self._line(f"  {clock.clock_id}: {clock.owes} owes{about}; {clock.state.replace('_', ' ')}", "bold")
        self._trials(clock.trials)
        target = " as promised" if clock.target_ms is None else f" {_length(clock.target_ms)}"
        of = " of working time" if clock.calendar else ""
        moments = "; ".join(f"{one.what} {self._at(one.at)}" for one in clock.moments)
        self._line(f"    {clock.policy}: target{target}{of}; unless answered: {moments}")
        for one in clock.happened:
            self._line(f"      {self._at(one.at)}  {one.what}{_by(one)}{self._left(one)}")

    def _trials(self, trials: Sequence[Trial]) -> None:
        for trial in trials:
            why = ", ".join(trial.why) or "asks for nothing"
            self._line(f"    {'holds' if trial.holds else 'no   '} {trial.policy}: {why}", "dim")

    def _issue(self, issue: IssueStory) -> None:
        self._line(f"  issue {issue.issue_id}: {issue.state.replace('_', ' ')}", "bold")
        for leg in issue.legs:
            until = "still" if leg.until is None else self._at(leg.until)
            length = "" if leg.until is None else f"  {_length(leg.until - leg.since)}"
            self._line(f"      {self._at(leg.since)} to {until}  {leg.leg}{length}")
        total = ", ".join(f"{name} {_length(length)}" for name, length in issue.legs_ms.items() if length)
        self._line(f"      together: {total or '0 s'}")

    def _left(self, one: Happened) -> str:
        if one.due is not None:
            return f"; due {self._at(one.due)}"
        if one.over_ms is None:
            return ""
        return f"; {_length(one.over_ms)} over" if one.over_ms > 0 else f"; {_length(-one.over_ms)} left"

    def _at(self, at: int) -> str:
        moment = datetime.fromtimestamp(at // 1000, self._zone)
        part = f".{at % 1000:03}" if at % 1000 else ""
        return f"{moment:%m-%d %H:%M:%S}{part}"

    def _line(self, text: str, style: str = "") -> None:
        from rich.text import Text  # noqa: PLC0415

        self._out.print(Text(plain(text), style=style))


def _by(one: Happened) -> str:
    return "" if one.by == "time" else f" ({one.by})"


def _length(milliseconds: int) -> str:
    """Return a length as people say it: 1 h 2 min 3.5 s."""
    seconds, rest = divmod(milliseconds, 1000)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    small = f"{seconds + rest / 1000:g} s" if seconds or rest or not milliseconds else ""
    parts = (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", small)
    return " ".join(part for part in parts if part)


_TIMES = frozenset({"at", "since", "until", "due", "started_at"})


def _document(story: ConversationStory, zone: tzinfo) -> Any:
    """Return a story with its times as RFC 3339; lengths stay milliseconds."""
    import msgspec  # noqa: PLC0415

    from alerts.wire import rfc3339  # noqa: PLC0415

    def written(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: written(inner, key) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [written(inner) for inner in value]
        return rfc3339(value, zone) if name in _TIMES and isinstance(value, int) else value

    return written(msgspec.to_builtins(story))
