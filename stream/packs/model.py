"""What the loader hands on: packs as written, with the place of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from stream.core.lexicon import Term
from stream.core.outputs import FindingKind
from stream.core.rules.source import Fields, Mark, Problem, Report


class PackError(Exception):
    """Some file is wrong; ``problems`` are all that were found, in all files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Expect(StrEnum):
    """What a case of one text expects."""

    HIT = "hit"
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a dialogue: who says what, and how much time passes before it."""

    at: Mark
    role: str
    text: str
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One test of one rule.

    ``hits_at`` are 1-based positions in ``lines``, 0 for at close. A clock that comes due in the
    pause before a line counts as that line's; ``rest_ms`` is the pause after the last, numbered as
    one line more. A case of one text is a dialogue of one line without ``hits_at``: ``expect`` says
    whether the rule fires, whenever it is decided.
    """

    rule_id: str
    at: Mark
    lines: tuple[Line, ...]
    expect: Expect | None = None
    hits_at: tuple[int, ...] = ()
    rest_ms: int = 0
    scope: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawList:
    """A term list as written."""

    name: str
    at: Mark
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class RawRule:
    """A rule, clock or category of which only the id has been read; ``at`` is the id's place."""

    id: str
    at: Mark
    node: Fields


@dataclass(frozen=True, slots=True)
class RawPack:
    """One pack file. ``layer`` is the position of its directory: a later one overrides."""

    id: str
    version: int
    title: str
    folder: str
    layer: int
    hash: str
    report: Report
    lists: tuple[RawList, ...] = ()
    rules: tuple[RawRule, ...] = ()
    clocks: tuple[RawRule, ...] = ()
    categories: tuple[RawRule, ...] = ()
    cases: tuple[Case, ...] = ()

    @property
    def path(self) -> str:
        """The file as messages name it."""
        return self.report.path

    @property
    def stamp(self) -> str:
        """What findings carry: ``<pack id>@<version>``."""
        return f"{self.id}@{self.version}"


# The folder of a pack gives the kind of its findings; `category` makes none.
KINDS: Mapping[str, FindingKind | None] = {
    **{kind.value: kind for kind in FindingKind},
    "category": None,
}
# Folders of other formats beside the packs, read by their own modules.
OTHER_FOLDERS = frozenset({"entity", "calendar", "model", "promise"})
