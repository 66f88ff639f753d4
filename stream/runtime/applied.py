"""What goes into a partition's conversations, and what a batch of it came to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from alerts.model import Alert
from stream.core.attainment import Decided
from stream.core.book import RuleBook
from stream.core.events import Received, Timer
from stream.core.outputs import Contact, Finding, Score, Summary
from stream.core.state import Source
from stream.packs.check import Annotates


class Knowledge(NamedTuple):
    """A rule book and the annotator built from it: swapped together, never apart."""

    book: RuleBook
    annotator: Annotates


class Input(NamedTuple):
    """One decoded record and where it stood. Offsets of one source ascend."""

    item: Received | Timer
    source: Source = Source.MESSAGES
    offset: int = -1


Record = Finding | Alert | Score | Summary | Contact


@dataclass(slots=True)
class Applied:
    """What a batch came to.

    ``records`` are in the order in which they were made. ``changed`` holds the new bytes of every
    conversation the batch touched; ``forgotten`` those that are gone, with the offsets they had
    applied (a changelog keeps these until the commits have passed them).
    """

    records: list[Record] = field(default_factory=list)
    changed: dict[str, bytes] = field(default_factory=dict)
    forgotten: dict[str, tuple[int, ...]] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    decided: list[Decided] = field(default_factory=list)
    applied: int = 0
    skipped: int = 0

    def merge(self, later: Applied) -> None:
        """Add what was applied after this."""
        self.records.extend(later.records)
        for conversation_id in later.changed:
            self.forgotten.pop(conversation_id, None)
        for conversation_id in later.forgotten:
            self.changed.pop(conversation_id, None)
        self.changed.update(later.changed)
        self.forgotten.update(later.forgotten)
        self.counted.update(later.counted)
        self.decided.extend(later.decided)
        self.applied += later.applied
        self.skipped += later.skipped
