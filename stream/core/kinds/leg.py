"""The leg of a department, as agents tell of it: 已反馈仓库核实 hands the issue over, 仓库那边回复说 answers.

Events tell the same with more certainty (``stream.core.issues``); where they do, words change nothing.
"""

from __future__ import annotations

from typing import Final

from stream.core import inferred
from stream.core.book import RuleBook
from stream.core.clocks import Fired
from stream.core.events import Role
from stream.core.kinds.model import Heard, Kind
from stream.core.said import Kind as Told
from stream.core.service import PERSONAL
from stream.core.state import State


def heard(book: RuleBook, state: State, message: Heard) -> tuple[Fired, ...]:
    """Let a person's word on departments stand for the events; return the told moments it disproves."""
    sender = message.message.sender
    if not message.annotation.said or sender.role is not Role.AGENT or sender.mode not in PERSONAL:
        return ()
    wrong: list[Fired] = []
    for one in message.annotation.said:
        if one.kind is Told.REPORT:
            wrong += inferred.answer(book, state, one.by, message.t)
        elif one.kind is Told.HAND_OFF:
            wrong += inferred.hand_off(book, state, one.by, message.t)
    return tuple(wrong)


KIND: Final = Kind("部门答复", heard=heard)
