"""What a partition's memory holds, in a file of the worker's own: recovery begins there and not with the log.

A file stands for its changelog up to an offset: it has everything that the records before that offset came
to, and nothing that the changelog has not confirmed. It is never the truth. One that is broken, cut short,
another's, too old or of a newer release is refused, and the whole changelog is read instead.

The file is a row of blocks, each with its length and CRC-32 in front: a header, the conversations in blocks
of some hundreds, then those that are gone. It is written beside the old one, flushed to the disk, and takes
the old one's name only when whole.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedReader, BufferedWriter
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from stream.core.limits import Limits
from stream.core.standing import Standing
from stream.core.state import VERSION
from stream.runtime.conversations import DERIVATION, Held

FORMAT: Final = 1
"""Raised with every change of what stands in the file or where."""

ROWS: Final = 500
"""Conversations a block: some 700 KiB, which one thread encodes or decodes in about a millisecond."""

LARGEST_BLOCK: Final = 1 << 30
"""No block of ours is as large; a length beyond it is a broken one, and nobody must reserve that memory."""

SUFFIX: Final = ".snapshot"
_UNFINISHED: Final = ".part"

_FRAME: Final = struct.Struct("<II")

Open = tuple[tuple[str, Standing], ...]
Overdue = tuple[tuple[str, int], ...]
Applied = tuple[int, ...]

_Row = tuple[str, bytes, int | None, str, Open, tuple[str, ...], Overdue]
_Gone = tuple[str, Applied]


class RefusedError(Exception):
    """A file that must not be used; the text says why, in words for an operator."""


class Interrupted(Exception):  # noqa: N818 - no error: the worker has no time left to write
    """The writing was given up; the old file is as it was."""


class Header(msgspec.Struct, array_like=True, frozen=True):
    """What a file is of. `at` (milliseconds UTC) is when the changelog surely ended at `offset`.

    `derived` names what loading reads out of a record (when it is due, what is open): where that differs
    the records are right and are decoded again.
    """

    format: int
    topic: str
    topic_id: str
    partition: int
    offset: int
    at: int
    derived: str
    conversations: int
    gone: int


class _Format(msgspec.Struct, array_like=True):
    format: int


@dataclass(slots=True)
class Image:
    """What the memory of a partition held, and the changelog too, up to `offset` at `at` at least."""

    held: dict[str, Held]
    gone: dict[str, Applied]
    offset: int
    at: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which file is right: of this partition of this very topic, and not older than `not_before`."""

    topic: str
    topic_id: str
    partition: int
    derived: str
    not_before: int
    not_after: int


_encoder = msgspec.msgpack.Encoder()
_header = msgspec.msgpack.Decoder(Header)
_format = msgspec.msgpack.Decoder(_Format)
_rows = msgspec.msgpack.Decoder(list[_Row])
_gone = msgspec.msgpack.Decoder(list[_Gone])


def derived_by(limits: Limits) -> str:
    """Return a name for how what is held of a record follows from it; another name, decode again."""
    return f"{DERIVATION}.{VERSION} {limits!r}"


def path_of(folder: Path, partition: int) -> Path:
    """Return where the conversations of a partition are kept."""
    return folder / f"state-{partition}{SUFFIX}"


# Writing ----------------------------------------------------------------------------------------------------


def write(
    path: Path, image: Image, *, topic: str, topic_id: str, partition: int, derived: str,
    go_on: Callable[[], bool] = lambda: True,
) -> int:  # fmt: skip
    """Put a file in the place of the old one; it is on the disk when this returns. Returns its size in bytes.

    Blocks; meant for a thread, and `go_on` is asked between blocks whether there is time.

    Raises:
        OSError: It cannot be written; the old one is as it was.
        Interrupted: There was no time.
    """
    header = Header(
        FORMAT, topic, topic_id, partition, image.offset, image.at, derived, len(image.held), len(image.gone)
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}{_UNFINISHED}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            for block in _blocks(header, image):
                if not go_on():
                    raise Interrupted
                _put(file, block)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _flush_folder(path.parent)
    return size


def _blocks(header: Header, image: Image) -> Iterator[bytes]:
    yield _encoder.encode(header)
    held = iter(image.held.items())
    while rows := [
        (name, one.raw, one.due_at, one.due_id, one.open, one.alerts, one.overdue)
        for name, one in islice(held, ROWS)
    ]:
        yield _encoder.encode(rows)
    gone = iter(image.gone.items())
    while ended := list(islice(gone, ROWS)):
        yield _encoder.encode(ended)


def _put(file: BufferedWriter, block: bytes) -> None:
    file.write(_FRAME.pack(len(block), zlib.crc32(block)))
    file.write(block)


def _flush_folder(folder: Path) -> None:
    """Let the new name survive a loss of power, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


# Reading ----------------------------------------------------------------------------------------------------


def read(path: Path, wanted: Wanted) -> Image:
    """Return what the file holds. Blocks; meant for a thread.

    Held conversations whose derivation differs have no `due_at`, so that they are decoded again.

    Raises:
        FileNotFoundError: There is none.
        RefusedError: It must not be used.
    """
    try:
        with path.open("rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, wanted)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RefusedError(f"it cannot be read ({type(error).__name__})") from error
    except msgspec.MsgspecError as error:
        raise RefusedError("it is broken (no such records)") from error


def _read(file: BufferedReader, size: int, wanted: Wanted) -> Image:
    first = _block(file, size)
    found = _format.decode(first).format
    if found != FORMAT:
        raise RefusedError(f"it has format {found}, this release reads {FORMAT}")
    header = _header.decode(first)
    _judge(header, wanted)
    image = Image({}, {}, header.offset, header.at)
    hold = _Holding(image.held, known=header.derived == wanted.derived)
    while len(image.held) < header.conversations:
        hold.take(_rows.decode(_block(file, size)))
    while len(image.gone) < header.gone:
        image.gone.update(_gone.decode(_block(file, size)))
    if file.read(1) or (len(image.held), len(image.gone)) != (header.conversations, header.gone):
        raise RefusedError("it is broken (more in it than it says)")
    return image


def _judge(header: Header, wanted: Wanted) -> None:
    if (header.topic, header.topic_id, header.partition) != (
        wanted.topic,
        wanted.topic_id,
        wanted.partition,
    ):
        raise RefusedError("it is of another topic, or of one that was deleted and made again")
    if header.at < wanted.not_before:
        raise RefusedError("it is older than the changelog keeps its deletions")
    if header.at > wanted.not_after:
        raise RefusedError("it comes from the future: the machine's clock was, or is, wrong")


def _block(file: BufferedReader, size: int) -> bytes:
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        raise RefusedError("it is cut short")
    length, checksum = _FRAME.unpack(frame)
    if length > min(size, LARGEST_BLOCK):
        raise RefusedError("it is broken (a length that cannot be)")
    block = file.read(length)
    if len(block) < length:
        raise RefusedError("it is cut short")
    if not block or zlib.crc32(block) != checksum:
        raise RefusedError("it is broken (a checksum is wrong)")
    return block


@dataclass(slots=True)
class _Holding:
    """Makes held conversations of rows; what many have in common is there once."""

    held: dict[str, Held]
    known: bool
    _common: dict[Any, Any] = field(default_factory=dict)

    def take(self, rows: Sequence[_Row]) -> None:
        if not rows:
            raise RefusedError("it is broken (an empty block)")
        share = self._common.setdefault
        for name, raw, due_at, due_id, open_, alerts, overdue in rows:
            self.held[name] = Held(
                raw,
                due_at if self.known else None,
                share(due_id, due_id),
                share(open_, open_),
                share(alerts, alerts),
                overdue,
            )


def purge(folder: Path, not_before: int) -> int:
    """Delete what a writer left unfinished and what is too old to be of use; how many files those were.

    Raises:
        OSError: The folder cannot be read or changed.
    """
    if not folder.is_dir():
        return 0
    old = [
        path
        for path in folder.iterdir()
        if path.name.endswith(_UNFINISHED)
        or (path.name.endswith(SUFFIX) and path.stat().st_mtime * 1000 < not_before)
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
