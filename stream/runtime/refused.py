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
    data_dir: Path, listen: Listen, token: str, *, wanted: Callable[[int, str], bool]
) -> tuple[int, int]:
    """Send the wanted letters again; return how many were taken and how many refused again.

    ``wanted`` is asked with number and reason. A letter leaves the store once it is taken: a crash in
    between leaves it there, and a message that comes twice is known by its id.

    Raises:
        stream.runtime.send.SendError: No process takes them.
        sqlite3.Error: The store cannot be read or written.
    """
    with open_read_only(data_dir) as connection:
        letters = [
            (number, raw)
            for number, reason, _, _, raw in Store(connection).refused()
            if wanted(number, reason)
        ]
    taken = asyncio.run(_send(letters, door(listen), token))
    if taken:
        with closing(connect(data_dir / FILE_NAME)) as connection:
            store = Store(connection)
            store.begin()
            store.drop_refused(taken)
            store.commit()
    return len(taken), len(letters) - len(taken)


async def _send(letters: list[tuple[int, bytes]], url: str, token: str) -> list[int]:
    """Post letters one by one, in order, and return the numbers of those that were taken."""
    report = Report()
    taken = []
    async with HttpTarget(url, token, report) as target:
        for number, raw in letters:
            before = report.sent
            await target.put(Planned(raw, None, 0.0))
            await target.drain()
            if report.sent > before:
                taken.append(number)
    return taken
