"""Knowledge as data: pack files to one validated, immutable rule book.

``open_book`` is the way in. ``Books`` holds the book of a running worker and swaps it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from stream.core.book import RuleBook
from stream.core.rules.source import Problem
from stream.packs.calendars import read_calendars
from stream.packs.compile import DEFAULTS, Options, compile_packs
from stream.packs.loader import SHIPPED, load, read
from stream.packs.model import PackError, RawPack
from stream.packs.promises import PromisePacks, read_promises

__all__ = [
    "DEFAULTS",
    "SHIPPED",
    "Options",
    "PackError",
    "Problem",
    "RawPack",
    "load",
    "open_book",
    "try_open",
]


def open_book(directories: Sequence[str | Path] = (SHIPPED,), options: Options = DEFAULTS) -> RuleBook:
    """Return the book of the directories; raises ``PackError`` with every problem of every file."""
    book, _, problems = try_open(directories, options)
    if any(problem.severity == "error" for problem in problems):
        raise PackError(problems)
    return book


def try_open(
    directories: Sequence[str | Path] = (SHIPPED,), options: Options = DEFAULTS, today: date | None = None
) -> tuple[RuleBook, tuple[RawPack, ...], list[Problem]]:
    """Return the book, the packs and all problems, by place; with errors the book is not for use.

    With ``today`` it is a warning when a calendar does not know this year's public holidays.
    """
    packs, problems = read(directories)
    calendars, theirs = read_calendars(directories, today)
    problems += theirs
    promises, theirs = read_promises(directories)
    problems += theirs
    unread = any(problem.severity == "error" for problem in problems)
    book, more = compile_packs(packs, options, calendars=calendars, promises=promises, incomplete=unread)
    return replace(book, known=_parties(promises)), packs, sorted({*problems, *more})


def _parties(promises: PromisePacks) -> frozenset[str]:
    """Return what departments are called in promises: by their ids and titles, and by the words for them."""
    words = {term.text for party in promises.parties for term in party.words}
    return frozenset(words.union(name for party in promises.parties for name in (party.id, party.title)))
