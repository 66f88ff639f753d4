"""The conversations of one partition: events in, records and changed states out.

This is the one place where decode's results, the annotator, the engine and alerting meet; replay,
the embedded runtime and the Kafka runtime all call it, so they cannot drift. It does no I/O: it
holds the states as bytes, a heap of what comes due (derived, never the source of truth), and
returns what the runtime must make durable. Whatever is not made durable is made again: an input
whose offset the state already holds is skipped, one that it does not hold gives the same records
with the same ids.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from stream import alerting
from stream.core import clocks, engine
from stream.core import state as states
from stream.core.annotation import EMPTY, Annotation
from stream.core.engine import Step
from stream.core.events import Message, Received, Role, Tick, Timer
from stream.core.rules import Rule
from stream.core.standing import Standing
from stream.core.state import APPLIED, State
from stream.runtime.applied import Applied, Input, Knowledge, Record
from stream.runtime.held import DERIVATION, Held, derive, write

__all__ = [
    "DERIVATION",
    "Applied",
    "Conversations",
    "Held",
    "Input",
    "Knowledge",
    "Reading",
    "Record",
    "conversation_of",
]

# Stale heap entries are swept when they outnumber the conversations so many times over.
_SWEEP_FACTOR = 4
_SWEEP_MINIMUM = 1024

_NOTHING = (-1,) * len(APPLIED)

Reading = tuple[Annotation, Sequence[Rule] | None]
"""A message's annotation, and the rules it concerns."""
_UNREAD: Reading = (EMPTY, None)


class Conversations:
    """All open conversations of one partition (or of the whole embedded runtime)."""

    def __init__(self, *, source_partition: int | None = None, conversation_url: str | None = None) -> None:
        self._held: dict[str, Held] = {}
        self._dues: list[tuple[int, str]] = []
        # Offsets that a forgotten conversation had applied, until the source's commits have passed them.
        self._gone: dict[str, tuple[int, ...]] = {}
        self._source_partition = source_partition
        self._conversation_url = conversation_url

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, conversation_id: str) -> bool:
        return conversation_id in self._held

    def state_bytes(self) -> int:
        """Return the size of all state records held."""
        return sum(len(held.raw) for held in list(self._held.values()))

    def open_clocks(self) -> Counter[tuple[str, Standing]]:
        """Return how many clocks are open, by kind and by how they stand."""
        # A copy: whoever scrapes asks while another thread applies the next batch.
        return Counter(one for held in list(self._held.values()) for one in held.open)

    def open_alerts(self) -> Counter[str]:
        """Return how many alerts fire, by severity."""
        return Counter(severity for held in list(self._held.values()) for severity in held.alerts)

    def overdue(self) -> dict[str, int]:
        """Return by kind the earliest target that has passed of an open clock, in milliseconds UTC."""
        found: dict[str, int] = {}
        for held in list(self._held.values()):
            for kind, target_at in held.overdue:
                found[kind] = min(target_at, found.get(kind, target_at))
        return found

    def raw(self) -> Iterator[tuple[str, bytes]]:
        """Yield every conversation's id and record."""
        for conversation_id, held in self._held.items():
            yield conversation_id, held.raw

    def load(self, knowledge: Knowledge, conversation_id: str, raw: bytes) -> None:
        """Take a record back from durable storage, and its next due clock with it.

        Raises:
            stream.core.state.UnsupportedVersionError: A newer release wrote the record.
        """
        self._hold(conversation_id, derive(knowledge.book.limits, states.decode(raw), raw))

    def adopt(self, knowledge: Knowledge, conversation_id: str, held: Held) -> None:
        """Take back what was held, as it was held; decoded only where something of it was on its way.

        Raises:
            stream.core.state.UnsupportedVersionError: A newer release wrote the record.
        """
        if held.due_at is None:
            self.load(knowledge, conversation_id, held.raw)
        else:
            self._hold(conversation_id, held)

    def image(self) -> tuple[dict[str, Held], dict[str, tuple[int, ...]]]:
        """Return what is held, and what is gone and may be read again: copies of what never changes."""
        return dict(self._held), dict(self._gone)

    def load_gone(self, conversation_id: str, applied: tuple[int, ...]) -> None:
        """Take back the offsets of a conversation that was forgotten but may be read again."""
        self._gone[conversation_id] = applied

    def drop_gone(self, committed: Sequence[int]) -> list[str]:
        """Let go of forgotten conversations whose offsets lie below ``committed`` (next offset a source).

        Returns their ids: a changelog may now delete their keys.
        """
        done = [
            conversation_id
            for conversation_id, applied in self._gone.items()
            if all(offset < limit for offset, limit in zip(applied, committed, strict=True))
        ]
        for conversation_id in done:
            del self._gone[conversation_id]
        return done

    # Applying -----------------------------------------------------------------------------------

    def apply(
        self, knowledge: Knowledge, inputs: Sequence[Input], reads: Sequence[Reading] | None = None
    ) -> Applied:
        """Apply a batch in order; a tick lets every conversation's clocks come due first.

        A conversation is read before the first event of it and written behind the last: while it is
        worked on it stays in the processor's cache, where states kept decoded would not be. What was
        written is held when the whole batch is done: one that fails leaves all as it was. ``reads`` is
        what ``read`` says of the inputs, where it was asked for more of them at once.
        """
        done = Applied()
        texts = self.read(knowledge, inputs) if reads is None else reads
        names = [conversation_of(entry) for entry in inputs]
        last = {name: place for place, name in enumerate(names)}
        working: dict[str, State | None] = {}
        written: dict[str, Held | None] = {}
        for place, (entry, name, read) in enumerate(zip(inputs, names, texts, strict=True)):
            if name is not None:
                self._apply_one(knowledge, entry, name, read, working, done)
                if last[name] == place and name in working:
                    written[name] = _write(knowledge, working.pop(name))
            elif isinstance(entry.item, Received) and isinstance(entry.item.event, Tick):
                written.update({name: _write(knowledge, state) for name, state in working.items()})
                self._commit(written, done)
                working, written = {}, {}
                self._tick(knowledge, entry.item.t, done)
            else:  # news of no conversation (an agent's presence in the shop)
                done.counted["no_conversation"] += 1
        self._commit(written, done)
        return done

    @staticmethod
    def read(knowledge: Knowledge, inputs: Sequence[Input]) -> list[Reading]:
        """Return what there is to know of each input's text alone, which is cheaper for many together."""
        texts: list[str] = []
        scored: list[bool] = []
        where: list[int] = []
        for index, entry in enumerate(inputs):
            item = entry.item
            if isinstance(item, Received) and isinstance(item.event, Message) and item.event.content.text:
                texts.append(item.event.content.text)
                scored.append(item.event.sender.role is Role.CUSTOMER)
                where.append(index)
        read = [_UNREAD] * len(inputs)
        if texts:
            candidates = knowledge.book.rules.candidates
            for index, annotation in zip(where, knowledge.annotator.annotate(texts, scored), strict=True):
                message: Any = inputs[index].item
                read[index] = annotation, candidates(message.event.sender.role, annotation)
        return read

    def _apply_one(
        self,
        knowledge: Knowledge,
        entry: Input,
        conversation_id: str,
        read: Reading,
        working: dict[str, State | None],
        done: Applied,
    ) -> None:
        item, source, offset = entry
        if conversation_id in working:
            state = working[conversation_id]
        else:
            held = self._held.get(conversation_id)
            state = None if held is None else states.decode(held.raw)
        applied: Sequence[int]
        applied = self._gone.get(conversation_id, _NOTHING) if state is None else state.applied
        if 0 <= offset <= applied[source]:
            done.skipped += 1
            return
        if isinstance(item, Timer):
            if state is None:
                done.counted["timer_without_conversation"] += 1
                return
            step = engine.on_timer(knowledge.book, state, item)
        else:
            if state is not None and clocks.earliest(state, knowledge.book.limits) < item.t:
                state = self._bring_forward(knowledge, state, item.t, done)
            step = engine.apply(knowledge.book, state, item, *read)
        after = step.state
        self._gather(knowledge, step, state, done)
        offsets = list(applied)
        if offset >= 0:
            offsets[source] = offset
        if after is None:
            self._forget(conversation_id, tuple(offsets), done)
        else:
            after.applied = offsets
            self._gone.pop(conversation_id, None)
            done.forgotten.pop(conversation_id, None)
        working[conversation_id] = after
        done.applied += 1

    def _bring_forward(self, knowledge: Knowledge, state: State, t: int, done: Applied) -> State | None:
        """Let what comes due before ``t`` speak with what is known until then.

        An alert of it carries the agent and the group of its own moment, not of the event at ``t``,
        and what an ending conversation still has to say is told of it, not of the one that follows.
        """
        step = engine.advance(knowledge.book, state, t)
        self._gather(knowledge, step, state, done)
        return step.state

    def _forget(self, conversation_id: str, applied: tuple[int, ...], done: Applied) -> None:
        done.forgotten[conversation_id] = applied
        if applied != _NOTHING:
            self._gone[conversation_id] = applied

    def _gather(self, knowledge: Knowledge, step: Step, state: State | None, done: Applied) -> None:
        records = done.records
        if step.findings:
            records.extend(step.findings)
        owner = step.state if step.state is not None else state
        if owner is not None and (step.findings or owner.alerts):
            records.extend(
                alerting.apply(
                    knowledge.book,
                    owner,
                    step.findings,
                    source_partition=self._source_partition,
                    conversation_url=self._conversation_url,
                )
            )
        if step.scores:
            records.extend(step.scores)
        if step.summary is not None:
            records.append(step.summary)
        if step.contacts:
            partition = self._source_partition
            records.extend(replace(contact, source_partition=partition) for contact in step.contacts)
        if step.counted:
            done.counted.update(step.counted)
        if step.decided:
            done.decided.extend(step.decided)

    def _commit(self, written: Mapping[str, Held | None], done: Applied) -> None:
        """Hold what was written, and let go of what is gone."""
        for conversation_id, held in written.items():
            if held is None:
                self._held.pop(conversation_id, None)
                done.changed.pop(conversation_id, None)
            else:
                self._hold(conversation_id, held)
                done.changed[conversation_id] = held.raw

    # Time -----------------------------------------------------------------------------------------

    def _hold(self, conversation_id: str, held: Held) -> None:
        before = self._held.get(conversation_id)
        self._held[conversation_id] = held
        at = held.due_at
        assert at is not None
        if before is not None and before.due_at == at:
            return
        heapq.heappush(self._dues, (at, conversation_id))
        if len(self._dues) > max(_SWEEP_MINIMUM, _SWEEP_FACTOR * len(self._held)):
            self._dues = [(one.due_at, name) for name, one in self._held.items() if one.due_at is not None]
            heapq.heapify(self._dues)

    def next_due(self) -> int | None:
        """Return when the next clock comes due, in milliseconds UTC."""
        while self._dues:
            at, conversation_id = self._dues[0]
            held = self._held.get(conversation_id)
            if held is not None and held.due_at == at:
                return at
            heapq.heappop(self._dues)  # superseded
        return None

    def _pop_due(self) -> tuple[str, Held]:
        """Give out the conversation whose clock ``next_due`` told of; what is due of it is told once."""
        _, conversation_id = heapq.heappop(self._dues)
        held = self._held[conversation_id]
        self._held[conversation_id] = replace(held, due_at=None)
        return conversation_id, held

    def take_due(self, now: int, limit: int = 1000) -> list[Timer]:
        """Return timer records for at most ``limit`` clocks with ``due < now``, earliest first.

        Each is given out once; the clock itself stays as it is until its record is applied.
        """
        timers: list[Timer] = []
        while len(timers) < limit:
            at = self.next_due()
            if at is None or at >= now:
                break
            conversation_id, held = self._pop_due()
            timers.append(Timer(conversation_id=conversation_id, clock_id=held.due_id, due=at))
        return timers

    def advance(self, knowledge: Knowledge, until: int) -> Applied:
        """Let every clock with ``due < until`` come due."""
        done = Applied()
        self._tick(knowledge, until, done)
        return done

    def _tick(self, knowledge: Knowledge, until: int, done: Applied) -> None:
        """Let clocks with ``due < until`` come due, one conversation after another."""
        while True:
            at = self.next_due()
            if at is None or at >= until:
                return
            conversation_id, held = self._pop_due()
            state = states.decode(held.raw)
            step = engine.advance(knowledge.book, state, until)
            self._gather(knowledge, step, state, done)
            if step.state is None:
                self._forget(conversation_id, tuple(state.applied), done)
            self._commit({conversation_id: _write(knowledge, step.state)}, done)

    def close_all(self, knowledge: Knowledge, at: int) -> Applied:
        """Close what is still open at ``at`` (``inferred``): the end of a recorded day."""
        done = Applied()
        for conversation_id in sorted(self._held):
            state = states.decode(self._held[conversation_id].raw)
            step = engine.close(knowledge.book, state, at)
            self._gather(knowledge, step, state, done)
            if step.state is None:
                self._forget(conversation_id, tuple(state.applied), done)
            self._commit({conversation_id: _write(knowledge, step.state)}, done)
        return done


def conversation_of(entry: Input) -> str | None:
    """Return whose an input is; ticks, and news of no conversation, are nobody's."""
    item = entry.item
    return item.conversation_id if isinstance(item, Timer) else engine.conversation_of(item.event)


def _write(knowledge: Knowledge, state: State | None) -> Held | None:
    return None if state is None else write(knowledge.book.limits, state)
