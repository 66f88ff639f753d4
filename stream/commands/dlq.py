"""``yanshao dlq``: what could not be used, and its second chance."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from stream.commands.alerts import opened
from stream.commands.common import FINDINGS, as_json, fail, print_json, print_table, settings_of

if TYPE_CHECKING:
    from stream.runtime.kafka.dlq import DeadLetter
    from stream.settings import Settings

_EPILOG = """\b
Examples:
  yanshao dlq list                              the embedded store's
  yanshao dlq list --kafka --reason not_json    those in qa.dlq
  yanshao dlq list --json --raw                 with the bytes themselves (personal data!)
  yanshao dlq replay --reason key_mismatch      once the cause is mended
  yanshao dlq replay --kafka --since 2h         what was refused in the last two hours
"""

_kafka = click.option("--kafka", is_flag=True, help="Those in qa.dlq, not those of the embedded store.")
_reason = click.option("--reason", help="Only those refused for this reason.")


class _Since(click.ParamType):
    """A moment: so long ago (`90m`, `2d`), or RFC 3339. Its value is epoch milliseconds."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from datetime import datetime  # noqa: PLC0415

        from stream.runtime.clock import WallClock  # noqa: PLC0415
        from stream.settings import duration_ms  # noqa: PLC0415

        try:
            return WallClock().now_ms() - duration_ms(value)
        except ValueError:
            pass
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail("expected how long ago (90m, 2d) or RFC 3339 with an offset", param, ctx)
        return int(moment.timestamp() * 1000)


_since = click.option(
    "--since", type=_Since(), help="Only those refused since: so long ago (90m, 2d), or RFC 3339."
)


class Letter(NamedTuple):
    """A dead letter of either runtime."""

    number: int
    at: int
    reason: str
    detail: str
    place: str
    raw: bytes
    replayed_at: int | None = None
    cut: bool = False


class Asked(NamedTuple):
    """Which letters a command is about; nothing said: all of them."""

    reason: str | None = None
    since: int | None = None
    numbers: tuple[int, ...] = ()

    def takes(self, number: int, reason: str, at: int) -> bool:
        """Return whether a letter is one of them."""
        return (
            (not self.numbers or number in self.numbers)
            and (self.reason is None or reason == self.reason)
            and (self.since is None or at >= self.since)
        )


@click.group("dlq", epilog=_EPILOG)
def command() -> None:
    """List and replay events that could not be used. Reasons: docs/events.md."""


@command.command("list", epilog=_EPILOG)
@_kafka
@_reason
@_since
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Most to show, the latest."
)
@click.option("--raw", is_flag=True, help="Show the bytes too; they may hold personal data.")
@as_json
@click.pass_context
def list_(
    ctx: click.Context,
    *,
    kafka: bool,
    reason: str | None,
    since: int | None,
    limit: int,
    raw: bool,
    as_json: bool,
) -> None:
    """List dead letters, the oldest first: when, why, and whence. Not their text, unless asked."""
    from collections import deque  # noqa: PLC0415

    settings = settings_of(ctx)
    asked = Asked(reason, since)
    letters = deque(
        (one for one in _letters(settings, kafka=kafka) if asked.takes(one.number, one.reason, one.at)),
        maxlen=limit,
    )
    if as_json:
        print_json([_document(letter, settings, raw=raw) for letter in letters])
    elif letters:
        columns = ("number", "refused", "reason", "detail", "from", "bytes", "sent back")
        print_table(columns, (_row(letter, settings, raw=raw) for letter in letters))
    else:
        click.echo("no dead letters", err=True)


@command.command(epilog=_EPILOG)
@click.argument("numbers", metavar="[NUMBER]...", nargs=-1, type=click.IntRange(0))
@_kafka
@_reason
@_since
@click.option("--again", is_flag=True, help="With --kafka: also those that were sent back before.")
@as_json
@click.pass_context
def replay(
    ctx: click.Context,
    numbers: tuple[int, ...],
    *,
    kafka: bool,
    reason: str | None,
    since: int | None,
    again: bool,
    as_json: bool,
) -> None:
    """Send dead letters back to where they came from: all, those of a reason, or those with NUMBER.

    They go in order, and each once: stopped half-way, the same command goes on where it was.
    Embedded: to the HTTP door of `yanshao up`, which must be running; what is taken now leaves the dead
    letters, what is refused again stays. Kafka: to its own topic and partition; letters stay in qa.dlq
    until retention takes them. The exit code is 1 where some were refused again, or are there in part
    only and cannot be sent.
    """
    settings = settings_of(ctx)
    asked = Asked(reason, since, numbers)
    if again and not kafka:
        fail("--again is for --kafka: what the embedded runtime has taken is no dead letter any more")
    done = _replay_kafka(settings, asked, again=again) if kafka else _replay_embedded(settings, asked)
    if as_json:
        print_json(done)
    else:
        click.echo(", ".join(f"{name} {count}" for name, count in done.items()))
    if done.get("refused again") or done.get("in part only"):
        raise click.exceptions.Exit(FINDINGS)


def _replay_embedded(settings: Settings, asked: Asked) -> dict[str, int]:
    from stream.runtime.refused import replay  # noqa: PLC0415
    from stream.runtime.send import SendError  # noqa: PLC0415
    from stream.settings import ensure_token  # noqa: PLC0415

    with opened(settings.data_dir.expanduser()) as _:
        pass  # there is one, and this release can read it
    try:
        taken, again = replay(
            settings.data_dir.expanduser(), settings.listen, ensure_token(settings), wanted=asked.takes
        )
    except SendError as error:
        fail(str(error))
    return {"taken": taken, "refused again": again}


def _replay_kafka(settings: Settings, asked: Asked, *, again: bool) -> dict[str, int]:
    from stream.runtime.kafka import dlq  # noqa: PLC0415

    with reachable(settings, "dlq"):
        sent = dlq.replay(
            settings.kafka,
            lambda letter: asked.takes(letter.number, letter.reason, letter.at),
            again=again,
        )
    return {"sent": sent.count, "in part only": sent.cut}


@contextmanager
def reachable(settings: Settings, name: str) -> Iterator[None]:
    """Check that brokers answer and have the topic of ``Names``; end the command where they stop doing so."""
    from kafka.errors import KafkaError  # noqa: PLC0415

    from stream.runtime import cluster  # noqa: PLC0415
    from stream.runtime.kafka.names import Names  # noqa: PLC0415

    try:
        topic = getattr(Names(settings.kafka.topic_prefix), name)
        with cluster.admin(settings.kafka) as admin:
            if topic not in admin.list_topics():
                fail(f"there is no topic {topic}: yanshao topics apply")
        yield
    except (cluster.UnreachableError, KafkaError) as error:
        fail(str(error) or type(error).__name__)


def _letters(settings: Settings, *, kafka: bool) -> Iterator[Letter]:
    if kafka:
        from stream.runtime.kafka import dlq  # noqa: PLC0415

        with reachable(settings, "dlq"):
            yield from map(_of_kafka, dlq.list_dead_letters(settings.kafka))
        return
    from stream.runtime.store import Store  # noqa: PLC0415

    with opened(settings.data_dir.expanduser()) as connection:
        for number, reason, detail, at, raw in Store(connection).refused():
            yield Letter(number, at, reason, detail, "embedded", raw)


def _of_kafka(letter: DeadLetter) -> Letter:
    place = f"{letter.topic}/{letter.partition}@{letter.offset}" if letter.offset >= 0 else letter.topic
    return Letter(
        letter.number,
        letter.at,
        letter.reason,
        letter.detail,
        place,
        letter.value or b"",
        letter.replayed_at,
        letter.cut,
    )


def _document(letter: Letter, settings: Settings, *, raw: bool) -> dict[str, Any]:
    from alerts.wire import rfc3339  # noqa: PLC0415

    document: dict[str, Any] = {
        "number": letter.number,
        "refused_at": rfc3339(letter.at, settings.tzinfo),
        "reason": letter.reason,
        "detail": letter.detail,
        "from": letter.place,
        "bytes": len(letter.raw),
        "cut": letter.cut,
        "replayed_at": None if letter.replayed_at is None else rfc3339(letter.replayed_at, settings.tzinfo),
    }
    if raw:
        # Base64: what is here is here because it may be no text at all.
        document["raw_base64"] = base64.b64encode(letter.raw).decode()
    return document


def _row(letter: Letter, settings: Settings, *, raw: bool) -> tuple[str, ...]:
    from alerts.wire import rfc3339  # noqa: PLC0415

    shown = letter.raw.decode("utf-8", "backslashreplace") if raw else str(len(letter.raw))
    at = rfc3339(letter.at, settings.tzinfo)
    back = "" if letter.replayed_at is None else rfc3339(letter.replayed_at, settings.tzinfo)
    part = " (in part)" if letter.cut else ""
    return (str(letter.number), at, letter.reason, letter.detail, letter.place, f"{shown}{part}", back)
