"""Which hits an operator over terms counts: of which lists, denied ones or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from zlib import crc32

from stream.core.annotation import Hit, Span
from stream.core.rules.context import Context
from stream.core.rules.model import Look
from stream.core.rules.reading import choice
from stream.core.rules.source import Node


class Negated(StrEnum):
    """What to do with terms that the text denies (不生气)."""

    NO = "no"
    ANY = "any"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Selection:
    """Term lists, and whether denied occurrences count."""

    lists: tuple[str, ...]
    negated: Negated = Negated.NO
    names: Mapping[int, str] = field(default_factory=dict)

    def hits(self, look: Look) -> list[Hit]:
        """Return the occurrences in this message that count, by position, each once."""
        if not look.hits:
            return []
        found = [hit for name in self.lists for hit in look.hits.get(name, ())]
        if self.negated is Negated.NO:
            found = [hit for hit in found if not hit.negated]
        elif self.negated is Negated.ONLY:
            found = [hit for hit in found if hit.negated]
        if len(self.lists) == 1 or len(found) < 2:
            return found
        # A term that stands in two of the lists was found twice at one place.
        places = {(hit.start, hit.end, hit.term): hit for hit in found}
        return [places[place] for place in sorted(places)]

    def terms(self, codes: tuple[int, ...]) -> tuple[str, ...]:
        """Return the spellings of remembered terms, as far as the lists still hold them."""
        return tuple(self.names[code] for code in codes if code in self.names)


def code(term: str) -> int:
    """Return how a term is remembered: 32 bits that survive a change of its list."""
    return crc32(term.encode())


def spans(hits: list[Hit]) -> tuple[Span, ...]:
    """Return where the hits stand."""
    return tuple((hit.start, hit.end) for hit in hits)


def parse(context: Context, lists: Node, negated: Node | None, what: str) -> Selection | None:
    """Return the selection written as a list's name or several, and ``negated``."""
    names = context.resolve(lists, what)
    mode = Negated.NO if negated is None else choice(context.report, negated, "negated", tuple(Negated))
    if names is None or mode is None:
        return None
    return select(context, names, mode)


def select(context: Context, names: tuple[str, ...], negated: Negated = Negated.NO) -> Selection:
    """Return a selection of named lists with the codes of their terms."""
    return Selection(names, negated, {code(term): term for term in context.members(names)})
