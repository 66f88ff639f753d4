"""The embedded store's dead letters, sent once more through the door of the running process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from stream.runtime.send import Planned, Report
from stream.runtime.send_http import HttpTarget, door
from stream.runtime.store import FILE_NAME, Store, connect, open_read_only
from stream.settings import Listen


def replay(
    data_dir: Path, listen: Listen, token: str, *, wanted: Callable[[int, str, int], bool]
) -> tuple[int, int]:
    """Send the wanted letters again, in order; return how many were taken and how many refused again.

    ``wanted`` is asked with number, reason and time of refusal. A letter leaves the store as soon as it is
    taken, so what is stopped half-way goes on there; where the process dies between the two, one message
    comes twice, and is known by its id.

    Raises:
        stream.runtime.send.SendError: No process takes them; those before were taken.
        sqlite3.Error: The store cannot be read or written.
    """
    with open_read_only(data_dir) as connection:
        letters = [
            (number, raw)
            for number, reason, _, at, raw in Store(connection).refused()
            if wanted(number, reason, at)
        ]
    with closing(connect(data_dir / FILE_NAME)) as connection:
        taken = asyncio.run(_send(letters, door(listen), token, Store(connection)))
    return taken, len(letters) - taken


async def _send(letters: list[tuple[int, bytes]], url: str, token: str, store: Store) -> int:
    """Post letters one by one, in order; those that were taken leave the store. Returns how many."""
    report = Report()
    async with HttpTarget(url, token, report) as target:
        for number, raw in letters:
            before = report.sent
            await target.put(Planned(raw, None, 0.0))
            await target.drain()
            store.begin()
            if report.sent > before:
                store.drop_refused([number])
            else:
                store.drop_refused_anew(number)
            store.commit()
    return report.sent
