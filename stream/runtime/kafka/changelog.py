"""What `qa.state` holds: per conversation its latest state, or the offsets of one that is gone.

A state record is what `stream.core.state` writes, nothing added. A *gone* record has the same head
(version 0, which no state has) and nothing behind it: it keeps the offsets that a forgotten
conversation had applied until the group's commits have passed them, so that messages read again after
a crash do not open it anew. Then a tombstone deletes the key.

Which record of a key is right is decided by the offsets it had applied, not by its place in the log: a
worker that was stopped past its session and woken may still have appended an older state after a newer
one. Messages decide first: what they did is in no other place. Timers come last: a clock whose timer
was not applied is due again and gets another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from stream.core.state import Source

Applied = tuple[int, ...]

GONE = 0
"""The version of a gone record."""


class _Head(msgspec.Struct, array_like=True, gc=False):
    """The first fields of `stream.core.state.State`; a test holds the two together."""

    conversation_id: str
    opened_at: int
    last_at: int
    applied: tuple[int, ...]


class _Record(msgspec.Struct, array_like=True, gc=False):
    version: int
    head: _Head


_decoder = msgspec.msgpack.Decoder(_Record)
_encoder = msgspec.msgpack.Encoder()


def gone(conversation_id: str, applied: Applied) -> bytes:
    """Return the record of a forgotten conversation."""
    return _encoder.encode(_Record(GONE, _Head(conversation_id, 0, 0, applied)))


class Latest(msgspec.Struct, frozen=True, gc=False):
    """The record of a key that counts so far; the collector need not look at each while all are read."""

    order: Applied
    applied: Applied
    raw: bytes
    is_gone: bool


def order(applied: Applied) -> Applied:
    """Return what records of one key are compared by: messages, then control, then timers."""
    return applied[Source.MESSAGES], applied[Source.CONTROL], applied[Source.TIMERS]


class Replay:
    """Takes the records of one changelog partition in log order and keeps, per key, the right one."""

    def __init__(self) -> None:
        self._latest: dict[str, Latest] = {}
        self.records = 0
        self.superseded = 0

    def __len__(self) -> int:
        return len(self._latest)

    def take(self, rows: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take the next (key, value) rows.

        Raises:
            msgspec.MsgspecError: A value is no state record.
        """
        latest = self._latest
        for key, value in rows:
            self.records += 1
            conversation_id = (key or b"").decode()
            if value is None:
                latest.pop(conversation_id, None)
                continue
            record = _decoder.decode(value)
            rank = order(record.head.applied)
            known = latest.get(conversation_id)
            if known is not None and rank < known.order:
                self.superseded += 1
                continue
            latest[conversation_id] = Latest(rank, record.head.applied, value, record.version == GONE)

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Yield the conversations that are there: id and state record."""
        for conversation_id, entry in self._latest.items():
            if not entry.is_gone:
                yield conversation_id, entry.raw

    def state(self, conversation_id: str) -> bytes | None:
        """Return the state record of a conversation; None where it is gone or never was."""
        entry = self._latest.get(conversation_id)
        return None if entry is None or entry.is_gone else entry.raw

    def gone(self) -> Mapping[str, Applied]:
        """Return the conversations that are gone and may be read again, with what they had applied."""
        return {name: entry.applied for name, entry in self._latest.items() if entry.is_gone}
