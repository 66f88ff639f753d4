"""Which category a conversation belongs to, by the terms of a customer's message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stream.core.annotation import Hit


@dataclass(frozen=True, slots=True)
class Category:
    """One issue category; ``lists`` are the qualified term lists that speak for it, 1 is first."""

    id: str
    title: str
    lists: frozenset[str]
    priority: int = 100


class CategoryTable:
    """All categories of a book; immutable."""

    __slots__ = ("_by_id", "_by_list", "_order")

    def __init__(self, categories: Iterable[Category] = ()) -> None:
        self._order = tuple(sorted(categories, key=lambda category: (category.priority, category.id)))
        self._by_id = {category.id: category for category in self._order}
        self._by_list: dict[str, int] = {}
        for place, category in enumerate(self._order):
            for name in category.lists:
                self._by_list.setdefault(name, place)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Category]:
        return iter(self._order)

    def get(self, category_id: str) -> Category | None:
        """Return a category by its id."""
        return self._by_id.get(category_id)

    def match(self, hits: Iterable[Hit]) -> str | None:
        """Return the id of the first category by priority one of whose terms is said, not denied.

        ``None`` where no term of any category occurs. An event's own category wins over this.
        """
        by_list = self._by_list
        first = len(self._order)
        for hit in hits:
            place = by_list.get(hit.terms, first)
            if place < first and not hit.negated:
                first = place
        return self._order[first].id if first < len(self._order) else None
