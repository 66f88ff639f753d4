"""How a worker ends: one exit code for each reason, so that whoever restarts it can tell them apart.

Codes start at 70, above those of shells and of the command line. What an operator does about each
stands beside it; `docs/operations.md` repeats it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable
from enum import IntEnum

from aiokafka.errors import KafkaError

logger = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit codes of `yanshao worker` and `yanshao ingest`. All but `OK` ask for a restart or a hand."""

    OK = 0
    CRASHED = 70  # an exception nobody foresaw: the log has it; restart, report it
    POISON = 71  # too many unusable records in a row: a bad deploy upstream; mend it before restarting
    STALLED = 72  # a partition has lag and made no progress: restart; recurring, the log names the record
    LOOP_BLOCKED = 73  # the event loop stood still: restart; recurring, the log has the stack
    RECOVERY = 74  # state was not read back in time: the broker is slow or the changelog not compacted
    FENCED = 75  # expelled from the group, or no word from it: another may own the partitions; restart
    BROKER = 76  # the broker does not confirm: restart once it is back
    TOPICS = 77  # a topic is missing or has other partitions: `yanshao topics check`
    TOO_NEW = 78  # a newer release wrote the state: do not roll back, or drain first; nothing is damaged
    OVERDUE = 79  # an orderly stop took too long and was cut short: nothing is lost, some is repeated


class WorkerExit(Exception):  # noqa: N818 - not an error of its own: it carries the way to end
    """Ends the process with `code`. The text goes to the log: ids and numbers only."""

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def describe(error: BaseException) -> str:
    """Return an exception's type and where it was raised, without its text, which may quote a message."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{type(error).__name__}\n{frames}".rstrip()


async def to_exit(work: Awaitable[None]) -> Exit:
    """Await the work of a process and return the exit code that its end asks for, with the reason logged."""
    try:
        await work
    except WorkerExit as ending:
        logger.critical("%s; exit code %d (%s)", ending, ending.code, ending.code.name)
        return ending.code
    except KafkaError as error:
        logger.critical("the broker fails: %s; exit code %d", type(error).__name__, Exit.BROKER)
        return Exit.BROKER
    except Exception as error:  # noqa: BLE001 - the process ends; what it was decides only the code
        logger.critical("unforeseen: %s; exit code %d", describe(error), Exit.CRASHED)
        return Exit.CRASHED
    return Exit.OK
