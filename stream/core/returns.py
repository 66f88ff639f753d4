"""When a customer who comes back says that the matter was not solved: pure tables of who follows whom.

*B comes after A*: both of one known customer and, where both say, of one shop; A was closed when B opened,
at most the window before. B is then a *repeat contact*. Where the categories of both are known and the same,
B *follows* A, and A is *reopened*: charged to A, which did not solve it. Of several such A the latest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from stream.core.outputs import Basis, Outcome, Summary

BACK_UNRATED: Final = 0.7
"""Dissatisfaction of who gave no rating and came back with the same matter: from here on the summary calls
the end of a conversation unhappy (``core.summary``). What was judged higher stays."""

BASIS: Final = "unrated_and_back"

_DIGITS: Final = 4


class Visit(Protocol):
    """What is asked of a conversation to judge whether it comes after another."""

    conversation_id: str
    opened_at: int
    closed_at: int | None
    category: str | None
    shop_id: str | None
    known: bool


class Judgement(NamedTuple):
    """What a customer's conversations say of one: which follow it, and whether it repeats another."""

    followed_by: tuple[str, ...] = ()
    repeat: bool = False

    @property
    def weight(self) -> int:
        """How many things there are to amend: by so much the summary's revision is raised."""
        return len(self.followed_by) + self.repeat


def place(visit: Visit) -> tuple[int, str]:
    """Return where a conversation stands among a customer's."""
    return visit.opened_at, visit.conversation_id


def comes_after(later: Visit, earlier: Visit, window_ms: int) -> bool:
    """Whether ``later`` is a repeat contact because of ``earlier``."""
    if earlier.closed_at is None or not (later.known and earlier.known):
        return False
    # Of two that opened and closed within one millisecond, one is the later by its id.
    if not 0 <= later.opened_at - earlier.closed_at <= window_ms or place(later) <= place(earlier):
        return False
    return later.shop_id is None or earlier.shop_id is None or later.shop_id == earlier.shop_id


def judge(visits: Sequence[Visit], window_ms: int) -> list[Judgement]:
    """Return the judgement on each conversation; ``visits`` stand in order (``place``)."""
    followers: list[list[str]] = [[] for _ in visits]
    repeats = [False] * len(visits)
    for number, visit in enumerate(visits):
        charged: tuple[int, int] | None = None
        for before, earlier in enumerate(visits[:number]):
            if comes_after(visit, earlier, window_ms):
                repeats[number] = True
                if visit.category is not None and visit.category == earlier.category:
                    assert earlier.closed_at is not None
                    charged = max(charged or (0, 0), (earlier.closed_at, before))
        if charged is not None:
            followers[charged[1]].append(visit.conversation_id)
    return [Judgement(tuple(ids), repeat) for ids, repeat in zip(followers, repeats, strict=True)]


def amended(summary: Summary, judgement: Judgement, revision: int) -> Summary:
    """Return the summary with what the customer's other conversations say of it."""
    told = replace(
        summary,
        revision=revision,
        followed_by=judgement.followed_by,
        reopened=bool(judgement.followed_by),
        repeat_contact=judgement.repeat,
    )
    if summary.rating is not None or not judgement.followed_by:
        return told
    dissatisfaction = max(summary.dissatisfaction, BACK_UNRATED)
    added = round(dissatisfaction - summary.dissatisfaction, _DIGITS)
    return replace(
        told,
        dissatisfaction=dissatisfaction,
        dissatisfaction_basis=(
            *summary.dissatisfaction_basis,
            Basis(name=BASIS, value=BACK_UNRATED, weight=added),
        ),
        outcome=_outcome(summary.outcome),
    )


def _outcome(outcome: Outcome) -> Outcome:
    # Who left before any person spoke, and came back, did not get less wrong: it stays said.
    return outcome if outcome is Outcome.ABANDONED else Outcome.UNRESOLVED
