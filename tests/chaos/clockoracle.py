"""The pure core over the log that workers read: the second of the two oracles of clocks under fire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alerts.model import Alert, AlertStatus
from stream import wire
from stream.bench.installation import PARTITIONS
from stream.core import clocks
from stream.core import state as states
from stream.core.outputs import Finding
from stream.core.state import Clock, State
from stream.runtime.conversations import Conversations, Input, Knowledge


@dataclass
class Oracle:
    """The pure core over the log of every partition; it has read up to `position` of each."""

    knowledge: Knowledge
    parts: list[Conversations] = field(
        default_factory=lambda: [Conversations(source_partition=number) for number in range(PARTITIONS)]
    )
    position: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    findings: list[Finding] = field(default_factory=list)
    alerts: set[str] = field(default_factory=set)

    def read(self, number: int, values: Iterable[tuple[int, bytes]]) -> None:
        """Apply the records (offset, value) of a partition of `chat.messages`."""
        inputs = [Input(wire.decode(raw, received_at=None), offset=offset) for offset, raw in values]
        for begin in range(0, len(inputs), 1_000):
            self._note(self.parts[number].apply(self.knowledge, inputs[begin : begin + 1_000]).records)
        if inputs:
            self.position[number] = inputs[-1].offset + 1

    def advance(self, until: int) -> None:
        for part in self.parts:
            self._note(part.advance(self.knowledge, until).records)

    def _note(self, records: Iterable[Any]) -> None:
        for record in records:
            if isinstance(record, Finding):
                self.findings.append(record)
            elif isinstance(record, Alert) and record.status is AlertStatus.FIRING:
                self.alerts.add(record.alert_id)

    def states(self) -> dict[str, bytes]:
        return {name: raw for part in self.parts for name, raw in part.raw()}

    def forget_told(self) -> None:
        """Leave out what was told so far: it belongs to the time before the round."""
        self.findings.clear()
        self.alerts.clear()


def effects(raw: bytes) -> dict[str, Any]:
    """Return what a conversation's events did to it; what it told meanwhile, its findings tell."""
    state = states.decode(raw)
    return {
        "applied": state.applied[0],
        "seen": state.seen,
        "last_at": state.last_at,
        "turns": msgspec.to_builtins(state.turns),
        "clocks": sorted(map(str, _clocks(state))),
        "issues": msgspec.to_builtins(state.issues),
    }


def _clocks(state: State) -> Iterator[tuple[str, Clock]]:
    for clock in clocks.all_of(state):
        yield state.clock_id(clock), clock
