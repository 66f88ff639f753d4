"""How every clock must go, from the events alone: written from docs/ola.md, knowing nothing of the core.

It knows what a round's load has: questions and answers, issues opened, handed off and on, paused, answered,
resolved, conversations closed. Events are taken in the order of their own times, whenever they were heard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a clock stands when all was heard and its target has passed."""

    ANSWERED = "answered"  # in time; the very millisecond of the target is
    LATE = "late"
    MISSED = "missed"  # nobody answered
    STOPPED = "stopped"  # the matter ended, or went to others, in time
    STOPPED_LATE = "stopped late"
    PAUSED = "paused"

    @property
    def breaches(self) -> bool:
        """Whether somebody must be told."""
        return self in (Outcome.LATE, Outcome.MISSED, Outcome.STOPPED_LATE)


@dataclass
class Timer:
    """One clock. Times are epoch milliseconds; `due` is the last moment in time."""

    conversation: str
    kind: str
    started_at: int
    due: int
    outcome: Outcome = Outcome.MISSED
    paused_at: int | None = None

    def end(self, at: int, in_time: Outcome, late: Outcome) -> None:
        """What ends it, in time or after."""
        self.outcome = in_time if at <= self.due else late

    def pause(self, at: int) -> None:
        """Stand still; one that has passed its target is owed all the same."""
        if at <= self.due:
            self.paused_at, self.outcome = at, Outcome.PAUSED

    def resume(self, at: int) -> None:
        """Go on, with what was left."""
        if self.paused_at is not None:
            self.due += at - self.paused_at
            self.paused_at, self.outcome = None, Outcome.MISSED


class Conversation:
    """The clocks of one conversation, event by event."""

    def __init__(self, name: str, targets: Mapping[str, int]) -> None:
        self.clocks: list[Timer] = []
        self._name = name
        self._targets = targets
        self._waiting: Timer | None = None
        self._leg: Timer | None = None
        self._resolution: Timer | None = None
        self._answered = False

    def _start(self, kind: str, at: int) -> Timer:
        self.clocks.append(Timer(self._name, kind, at, at + self._targets[kind]))
        return self.clocks[-1]

    def hear(self, event: Mapping[str, Any], at: int) -> None:
        """Take the next event by time."""
        running = [one for one in (self._leg, self._resolution) if one is not None]
        match event["type"], event.get("sender", {}).get("role"):
            case "message", "customer":
                kind = "next_response" if self._answered else "first_response"
                self._waiting = self._waiting or self._start(kind, at)
            case "message", "agent":
                if self._waiting is not None:
                    self._waiting.end(at, Outcome.ANSWERED, Outcome.LATE)
                self._waiting, self._answered = None, True
            case "conversation.closed", _:
                if self._waiting is not None:
                    self._waiting.end(at, Outcome.STOPPED, Outcome.STOPPED_LATE)
                self._waiting = None
            case "issue.opened", _:
                self._resolution = self._start("resolution", at)
            case "issue.handed_off", _:
                if self._leg is not None:
                    self._leg.end(at, Outcome.STOPPED, Outcome.STOPPED_LATE)
                self._leg = self._start("leg", at)
            case "issue.answered", _:
                if self._leg is not None:
                    self._leg.end(at, Outcome.ANSWERED, Outcome.LATE)
                self._leg = None
            case "issue.paused", _:
                for one in running:
                    one.pause(at)
            case "issue.resumed", _:
                for one in running:
                    one.resume(at)
            case "issue.resolved", _:
                if self._resolution is not None:
                    self._resolution.end(at, Outcome.ANSWERED, Outcome.LATE)
                self._resolution = None


def clocks(events: Iterable[Mapping[str, Any]], targets: Mapping[str, int]) -> list[Timer]:
    """Return every clock that the events start, as it stands when all of them were heard."""
    heard: dict[str, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for event in events:
        heard[event["conversation_id"]].append((event.get("sent_at", event.get("at")), event))
    found = []
    for name, told in heard.items():
        conversation = Conversation(name, targets)
        for at, event in sorted(told, key=lambda one: one[0]):
            conversation.hear(event, at)
        found += conversation.clocks
    return found
