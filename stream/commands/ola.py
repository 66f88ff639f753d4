"""``yanshao ola``: what is owed now; why each clock of a recording went as it did; how many were kept."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from stream.commands import ola_attainment, ola_explain
from stream.commands.alerts import opened
from stream.commands.common import (
    as_json,
    build_table,
    console,
    fail,
    print_json,
    progress,
    settings_of,
)
from stream.commands.dlq import reachable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from stream.core.book import RuleBook
    from stream.runtime.board import Board, OpenClock
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao ola open                          what is owed now, the most overdue first
  yanshao ola open --watch --kind leg       live, until Ctrl-C
  yanshao ola open --kafka --owing 仓库     from qa.state, without disturbing the workers
  yanshao ola explain day.jsonl --conversation c-8
  yanshao ola attainment day.jsonl --csv -
"""

_COLUMNS = ("left", "state", "kind", "owes", "conversation", "issue", "since", "due", "policy")
_STYLES = {"breached": "bold red", "warned": "yellow", "paused": "dim"}

REFRESH_S = 1.0
"""How often the live table is drawn anew: times are shown in seconds."""

_FRAME_LINES = 6
"""Lines of the terminal that are no rows: title, heads, rules, and one for the cursor."""


@click.group("ola", epilog=_EPILOG)
def command() -> None:
    """Look at clocks: who owes the next word, until when, and how it went."""


command.add_command(ola_explain.command)
command.add_command(ola_attainment.command)


@command.command("open", epilog=_EPILOG)
@click.option("--kind", "kinds", multiple=True, help="Only clocks of this kind; may be repeated.")
@click.option("--owing", multiple=True, help="Only what this agent or department owes; may be repeated.")
@click.option("--policy", "policies", multiple=True, help="Only this policy, or how several ids begin.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Most clocks to show.")
@click.option("--kafka", is_flag=True, help="Those in qa.state, not those of the embedded store.")
@click.option("--watch", is_flag=True, help="Draw it anew every second, until Ctrl-C.")
@as_json
@click.pass_context
def open_(
    ctx: click.Context,
    *,
    kinds: tuple[str, ...],
    owing: tuple[str, ...],
    policies: tuple[str, ...],
    limit: int,
    kafka: bool,
    watch: bool,
    as_json: bool,
) -> None:
    """Show what is owed now, by the time that is left: the most overdue first, paused clocks too.

    Reads the store of the embedded runtime (`yanshao up`), running or not, or with --kafka the states
    of the workers. Time left counts in the policy's working time where it has a calendar.
    """
    from stream.runtime.board import Board, Wanted  # noqa: PLC0415

    if watch and as_json:
        raise click.UsageError("--watch draws for people: without --json")
    settings = settings_of(ctx)
    wanted = Wanted(frozenset(kinds), frozenset(owing), frozenset(policies))
    board = Board(_book(settings), wanted)
    view = _View(board, limit, settings.tzinfo)
    with _source(settings, board, kafka=kafka) as refresh:
        if watch:
            _watch(view, refresh)
        elif as_json:
            now = _now_ms()
            print_json([_document(one, now, settings.tzinfo) for one in board.rows(now)[:limit]])
        else:
            console().print(view.table(_now_ms()))


@dataclass(frozen=True, slots=True)
class _View:
    """How the board is shown: so many rows, in this time zone."""

    board: Board
    limit: int
    zone: tzinfo

    def table(self, now: int, room: int | None = None) -> Table:
        """Return the board as a table; ``room`` is how many rows the terminal has, where that matters."""
        rows = self.board.rows(now)
        shown = rows[: self.limit if room is None else min(self.limit, max(1, room))]
        return build_table(
            _COLUMNS, [self._row(one, now) for one in shown], title=_title(rows, len(shown), now, self.zone)
        )

    def _row(self, clock: OpenClock, now: int) -> tuple[str | Text, ...]:
        from rich.text import Text  # noqa: PLC0415

        stands = clock.standing(now)
        style = _STYLES.get(stands, "")
        return (
            Text(_duration(clock.left_ms(now)), style=style),
            Text(stands, style=style),
            clock.kind,
            clock.owes,
            clock.conversation_id,
            clock.issue_id or "",
            _moment(clock.started_at, self.zone),
            _moment(clock.due, self.zone),
            clock.policy,
        )


def _title(rows: list[OpenClock], shown: int, now: int, zone: tzinfo) -> str:
    late = sum(one.standing(now) == "breached" for one in rows)
    paused = sum(one.paused_at is not None for one in rows)
    more = f", {shown} shown" if shown < len(rows) else ""
    return f"{len(rows)} open, {late} breached, {paused} paused{more}; {_moment(now, zone)}"


def _watch(view: _View, refresh: Callable[[], None]) -> None:
    from rich.live import Live  # noqa: PLC0415

    out = console()
    if not out.is_terminal:
        raise click.UsageError("--watch needs a terminal")
    # Not KeyboardInterrupt, which is lost where it is raised amid a destructor.
    ended = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: ended.set())
    try:
        with Live(console=out, auto_refresh=False) as live:
            while not ended.is_set():
                begun = time.monotonic()
                live.update(view.table(_now_ms(), out.height - _FRAME_LINES), refresh=True)
                refresh()
                ended.wait(max(0.0, REFRESH_S - (time.monotonic() - begun)))
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _source(settings: Settings, board: Board, *, kafka: bool) -> Iterator[Callable[[], None]]:
    """Fill the board, and yield a function that brings it up to date; faults end the command."""
    from msgspec import MsgspecError  # noqa: PLC0415

    from stream.core.state import UnsupportedVersionError  # noqa: PLC0415

    try:
        with (_kafka if kafka else _embedded)(settings, board) as refresh:
            yield refresh
    except UnsupportedVersionError as error:
        fail(str(error))
    except MsgspecError:
        fail("a record is no conversation's state")


@contextmanager
def _embedded(settings: Settings, board: Board) -> Iterator[Callable[[], None]]:
    from stream.runtime.store import Store  # noqa: PLC0415

    with opened(settings.data_dir.expanduser()) as connection:
        store = Store(connection)
        seen: list[int] = []

        def refresh() -> None:
            # SQLite's own mark of what others have written; nothing new, nothing to read.
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if seen != [version]:
                rows: Any = store.conversations()
                with closing(rows):
                    board.replace(rows)
                seen[:] = [version]

        refresh()
        yield refresh


@contextmanager
def _kafka(settings: Settings, board: Board) -> Iterator[Callable[[], None]]:
    from stream.runtime.kafka.follow import following  # noqa: PLC0415

    with reachable(settings, "state"), following(settings.kafka) as follower:
        with progress(follower.records, "qa.state") as advance:
            follower.read(board.put, advance)
        yield lambda: follower.follow(board.put)


def _book(settings: Settings) -> RuleBook:
    """Return the policies in force: their calendars say how much time is left."""
    from stream.packs import Options, PackError, open_book  # noqa: PLC0415
    from stream.runtime.knowledge import directories_of, limits_of  # noqa: PLC0415

    try:
        return open_book(
            directories_of(settings), Options(disable=settings.disable, limits=limits_of(settings))
        )
    except PackError as error:
        fail(str(error))


def _document(clock: OpenClock, now: int, zone: tzinfo) -> dict[str, Any]:
    from alerts.wire import rfc3339  # noqa: PLC0415

    return {
        "conversation_id": clock.conversation_id,
        "clock_id": clock.clock_id,
        "kind": clock.kind,
        "policy": clock.policy,
        "state": clock.standing(now),
        "owes": clock.owes,
        "issue_id": clock.issue_id,
        "started_at": rfc3339(clock.started_at, zone),
        "due": rfc3339(clock.due, zone),
        "paused_at": None if clock.paused_at is None else rfc3339(clock.paused_at, zone),
        "left_seconds": clock.left_ms(now) / 1000,
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moment(at: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at / 1000, zone):%m-%d %H:%M:%S}"


def _duration(milliseconds: int) -> str:
    """Return a length as 1:02:03, with a minus where it is over; a millisecond over is a second over."""
    seconds = milliseconds // 1000
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
