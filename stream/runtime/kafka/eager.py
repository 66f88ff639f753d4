"""A coroutine begun at once: one that has nothing to wait for needs no task and no turn of the loop.

Python 3.12 has this as eager tasks.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Done(Exception):  # noqa: N818 - an outcome, raised as generators raise theirs
    """The coroutine has ended; `value` is what it returned."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def begin(coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Run a coroutine up to its first wait and return the rest of it, to be awaited or made a task.

    Up to that wait it runs in the caller's task, behind it in whichever task the rest is awaited in: not for
    coroutines that wait within `asyncio.timeout` or a task group that they have opened.

    Raises:
        Done: It ended without a wait.
        Exception: Whatever it raised before its first wait.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as ended:
        raise Done(ended.value) from None
    return _await(coroutine, waits_for)


async def _await(begun: Coroutine[Any, Any, T], waits_for: Any) -> T:
    try:
        return await _rest(begun, waits_for)
    finally:
        begun.close()


@types.coroutine
def _rest(begun: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001 - a cancellation above all: it belongs to the coroutine
            advance = partial(begun.throw, error)
        else:
            advance = partial(begun.send, sent)
        try:
            waits_for = advance()
        except StopIteration as ended:
            value: T = ended.value
            return value
