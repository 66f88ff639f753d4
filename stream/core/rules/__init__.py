"""The rule language: conditions as data, evaluated message by message.

``Rule`` and ``RuleTable`` are made by ``stream.packs``; the engine calls ``on_message``,
``on_due`` and ``on_close`` with the conversation's memory. Operators are in ``operators``.
"""

from __future__ import annotations

from stream.core.rules.evaluate import (
    NOTHING,
    Memory,
    Outcome,
    decide,
    forget_changed,
    forget_firing,
    forget_waits,
    on_close,
    on_due,
    on_message,
    untell,
)
from stream.core.rules.model import (
    Arm,
    Counts,
    Deed,
    Disarm,
    Fire,
    Firing,
    Moment,
    Role,
    Rule,
    RuleHit,
    RuleMemory,
    Status,
    View,
    Waiting,
)
from stream.core.rules.table import RuleTable
from stream.core.rules.why import render_why, spoken

__all__ = [
    "NOTHING",
    "Arm",
    "Counts",
    "Deed",
    "Disarm",
    "Fire",
    "Firing",
    "Memory",
    "Moment",
    "Outcome",
    "Role",
    "Rule",
    "RuleHit",
    "RuleMemory",
    "RuleTable",
    "Status",
    "View",
    "Waiting",
    "decide",
    "forget_changed",
    "forget_firing",
    "forget_waits",
    "on_close",
    "on_due",
    "on_message",
    "render_why",
    "spoken",
    "untell",
]
