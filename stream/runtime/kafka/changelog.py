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
from stream.runtime.conversations import Held
from stream.runtime.kafka.snapshots import Applied, Image

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
    """Takes the records of one changelog partition in log order and keeps, per key, the right one.

    It may begin with what a snapshot held: the records from the snapshot's offset on, or from any offset
    before it, then come to the same as all records of the log.
    """

    def __init__(self) -> None:
        self._latest: dict[str, Latest] = {}
        self._held: dict[str, Held] = {}
        self._gone: dict[str, Applied] = {}
        self.records = 0
        self.superseded = 0
        self.begun = False
        """Whether it began with a snapshot."""
        self.covered = Coverage()
        """Up to where the log was read; whoever reads it says so."""

    def __len__(self) -> int:
        return len(self._latest) + len(self._held) + len(self._gone)

    def begin_with(self, image: Image) -> None:
        """Take what a snapshot held; it is this replay's from now on."""
        self._held, self._gone = image.held, image.gone
        self.begun = True

    def take(self, rows: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        """Take the next (key, value) rows.

        Raises:
            msgspec.MsgspecError: A value is no state record.
        """
        latest = self._latest
        for key, value in rows:
            self.records += 1
            conversation_id = (key or b"").decode()
            if self.begun:
                self._fetch(conversation_id)
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

    def _fetch(self, conversation_id: str) -> None:
        """Put what the snapshot has of a conversation among the records, as one that came before."""
        held = self._held.pop(conversation_id, None)
        if held is not None:
            applied = _decoder.decode(held.raw).head.applied
            self._latest[conversation_id] = Latest(order(applied), applied, held.raw, is_gone=False)
        elif (applied_gone := self._gone.pop(conversation_id, None)) is not None:
            self._latest[conversation_id] = Latest(order(applied_gone), applied_gone, b"", is_gone=True)

    def held(self) -> Iterator[tuple[str, Held]]:
        """Yield the conversations that no record has changed since the snapshot."""
        yield from self._held.items()

    def states(self) -> Iterator[tuple[str, bytes]]:
        """Yield the conversations that records told of: id and state record."""
        for conversation_id, entry in self._latest.items():
            if not entry.is_gone:
                yield conversation_id, entry.raw

    def state(self, conversation_id: str) -> bytes | None:
        """Return the state record of a conversation; None where it is gone or never was."""
        entry = self._latest.get(conversation_id)
        if entry is not None:
            return None if entry.is_gone else entry.raw
        held = self._held.get(conversation_id)
        return None if held is None else held.raw

    def gone(self) -> Mapping[str, Applied]:
        """Return the conversations that are gone and may be read again, with what they had applied."""
        told = {name: entry.applied for name, entry in self._latest.items() if entry.is_gone}
        return {**self._gone, **told}


def adds_nothing(image: Image, rows: Iterable[tuple[bytes | None, bytes | None]]) -> bool:
    """Say whether the image stays as it is when these records of its changelog are taken, too.

    Raises:
        msgspec.MsgspecError: A value is no state record.
    """
    replay = Replay()
    replay.begin_with(Image(dict(image.held), dict(image.gone), image.offset, image.at))
    replay.take(rows)
    found = {name: one.raw for name, one in replay.held()} | dict(replay.states())
    return found == {name: one.raw for name, one in image.held.items()} and replay.gone() == image.gone


class Coverage:
    """Up to which offset of the changelog a partition's memory has everything.

    A worker hears where each batch that it writes begins. One that begins where the batch before it ended
    says that nobody else wrote: then memory has all there is before it. Another beginning says that
    something else stands between (of a worker that was stopped past its session, or a batch of our own
    twice), and memory may lack it: the offset stays where it is, until what stands between is looked at.
    """

    def __init__(self) -> None:
        self.offset = 0
        self.at = 0
        """When the log surely ended at `offset`, milliseconds UTC."""
        self._next = 0
        self._confirmed_at = 0
        self._strange = -1

    @property
    def end(self) -> int:
        """The offset behind the last record of ours that is confirmed."""
        return self._next

    @property
    def sound(self) -> bool:
        """Whether nothing of others is known to stand behind `offset`."""
        return self._strange <= self.offset

    def confirmed(self, begin: int, records: int, now_ms: int) -> None:
        """Note that a batch of ours was written from `begin` on."""
        self._confirmed_at = now_ms
        if begin != self._next:
            self._strange = begin
        elif self.sound:
            self.offset, self.at = begin, now_ms
        self._next = begin + records

    def reach(self, end: int, now_ms: int) -> None:
        """Begin anew: memory was read back from the log, which ended there."""
        self.offset = self._next = end
        self.at = now_ms
        self._strange = -1

    def looked_at(self, end: int) -> None:
        """Note that memory has whatever stands before `end`, by whomever it was written."""
        self.offset, self.at = end, self._confirmed_at
