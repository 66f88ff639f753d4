"""What a newer release wrote is refused before anything is done with it: read as older, it would lose much.

Two ways to say that a record is newer. States and customers carry their version inside (`stream.core.state`,
`stream.core.customers`). Records of our own topics are JSON, to which fields may be added at any time; a
release that must change them so that an older one would misread them gives them the header `HEADER`. This
release writes format 1, for which there is none.

`chat.messages` is other people's: what cannot be used there is a dead letter, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from stream.core.state import UnsupportedVersionError
from stream.runtime.kafka.exits import Exit, WorkerExit
from stream.runtime.kafka.feed import Record

HEADER = "yanshao-format"
"""Its value is the format's number in decimal digits."""

FORMAT = 1
"""What this release reads and writes."""


def refuse_newer(record: Record, topic: str) -> None:
    """Return if a record of a topic of ours has a format of this release.

    Raises:
        WorkerExit: A newer release wrote it.
    """
    for name, value in record.headers:
        if name == HEADER and not (value.isdigit() and int(value) <= FORMAT):
            raise WorkerExit(
                Exit.TOO_NEW,
                f"{topic} offset {record.offset} has a format that this release does not know;"
                f" it reads up to {FORMAT}",
            )


@contextmanager
def readable(where: str) -> Iterator[None]:
    """Let records of a topic be decoded inside; `where` is the topic with its partition.

    Raises:
        WorkerExit: A newer release wrote one of them, or it is no record at all. Either way this release
            must not go on without it.
    """
    try:
        yield
    except UnsupportedVersionError as error:
        raise WorkerExit(Exit.TOO_NEW, f"{where}: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The text of the error may quote what stands there.
        raise WorkerExit(
            Exit.TOO_NEW, f"{where} holds a record that this release cannot read ({type(error).__name__})"
        ) from None
