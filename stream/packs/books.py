"""The book of a running worker: validated whole, then swapped; the old one stays on any error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.core.book import RuleBook
from stream.core.rules.source import Problem
from stream.packs import DEFAULTS, SHIPPED, Options, PackError, check, promises, try_open
from stream.packs.check import Annotates


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """How a reload went. ``version`` is that of the book in force afterwards, ``seconds`` what it took."""

    ok: bool
    problems: tuple[Problem, ...]
    version: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """A complete book with the annotator made for its terms: the two must never be mixed."""

    book: RuleBook
    annotator: Annotates


class Books:
    """Holds the one reference that readers take; they keep what they took for a whole step.

    ``build`` completes a book with what the packs do not hold (the judge of whole conversations) and
    makes the annotator that goes with it; ``monotonic`` times the reload (seconds). The first load
    happens at once and raises ``PackError``: a worker without knowledge must not start.
    """

    __slots__ = ("_build", "_directories", "_monotonic", "_options", "current")

    def __init__(
        self,
        directories: Sequence[str | Path] = (SHIPPED,),
        options: Options = DEFAULTS,
        *,
        build: Callable[[RuleBook], tuple[RuleBook, Annotates]],
        monotonic: Callable[[], float],
    ) -> None:
        self._directories = tuple(directories)
        self._options = options
        self._build = build
        self._monotonic = monotonic
        loaded, problems = self._load(tests=False)
        if loaded is None:
            raise PackError(problems)
        self.current = loaded

    def reload(self) -> ReloadResult:
        """Read everything anew, run the packs' own tests, and swap where nothing is wrong."""
        started = self._monotonic()
        loaded, problems = self._load(tests=True)
        if loaded is not None:
            self.current = loaded
        seconds = self._monotonic() - started
        return ReloadResult(loaded is not None, tuple(problems), self.current.book.version, seconds)

    def _load(self, *, tests: bool) -> tuple[Loaded | None, list[Problem]]:
        book, packs, problems = try_open(self._directories, self._options)
        if _failed(problems):
            return None, problems
        loaded = Loaded(*self._build(book))
        if tests:
            problems += check.run(loaded.book, loaded.annotator, packs)
            if loaded.book.promises:
                problems += promises.check(self._directories)
        return (None if _failed(problems) else loaded), problems


def _failed(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)
