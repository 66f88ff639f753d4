"""Recorded events, line by line: plain, gzip or Zstandard files, or standard input.

Lines come as bytes with their number, so that a refused one can be named. A line longer than any
record is cut, not read into memory: what is left of it is still too large for ``decode``.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

import zstandard

from stream.wire.inbound import MAX_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN: Final = "-"
_BOM: Final = b"\xef\xbb\xbf"
# One byte over the limit makes a cut line refusable, two more leave room for its line ending.
_LINE_BYTES: Final = MAX_BYTES + 3
_CHUNK: Final = 128 * 1024  # one Zstandard block, so that no read comes back with half of one


def read_events(*sources: str | Path | IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield (line number, line without its ending) of every line that is not blank.

    Sources are read one after another, each from line 1: paths (``.gz`` and ``.zst`` are unpacked),
    ``-`` for standard input, or open binary files, which are left open.

    Raises:
        OSError: a file cannot be opened or is damaged (``gzip.BadGzipFile`` is one).
        zstandard.ZstdError: a Zstandard file is damaged.
        EOFError: a compressed file ends too soon.
    """
    for source in sources:
        with open_lines(source) as file:
            yield from lines(file)


def open_lines(source: str | Path | IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    """Open one source of ``read_events`` for reading; what was already open stays open on exit."""
    if not isinstance(source, str | Path):
        return nullcontext(source)
    if str(source) == STDIN:
        return nullcontext(sys.stdin.buffer)
    path = Path(source)
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return io.BufferedReader(_Zstandard(path), _CHUNK)
    return path.open("rb")


def lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    r"""Yield (number, content) of the lines of an open binary file, blank ones left out.

    A byte-order mark before the first line is dropped. ``\n`` and ``\r\n`` end a line.
    """
    for number, line in enumerate(_bounded(file), start=1):
        content = (line.removeprefix(_BOM) if number == 1 else line).rstrip(b"\r\n")
        if content and not content.isspace():
            yield number, content


def _bounded(file: IO[bytes]) -> Iterable[bytes]:
    """Yield one piece a line: the line, or its first ``_LINE_BYTES`` bytes."""
    while line := file.readline(_LINE_BYTES):
        yield line
        while len(line) == _LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(_LINE_BYTES)


class _Zstandard(io.RawIOBase):
    """Unpacks a Zstandard file of one or several frames (``cat a.zst b.zst``).

    The library's own reader takes the end of a file that was cut off for the end of the data; here
    it is an EOFError, as it is with gzip.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._started = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._ready:
            packed = self._frame.unused_data if self._frame.eof else b""
            packed = packed or self._file.read(_CHUNK)
            if not packed:
                if self._started and not self._frame.eof:
                    raise EOFError("the Zstandard file ends before its end marker")
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._started = True
            self._ready = memoryview(self._frame.decompress(packed))
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
