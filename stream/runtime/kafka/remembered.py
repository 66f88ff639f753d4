"""Which ids were settled, and how, for days: seventeen bytes each.

What was settled lately is a dictionary. When that has grown, what it holds becomes a run: arrays of ids in
their order, looked up by halving, and of what became of them. Runs are never changed, and are forgotten as a
whole when the latest of their ids is old. A dictionary of millions of ids would take ten times as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

RUN: Final = 65_536
"""Ids of a run. Making one takes some 30 ms, in which nothing else happens; and five million notifications a
day, more than a worker can send, are eighty of them to look into."""

_ID: Final = re.compile("[0-9a-f]{32}")
_VALUE_BITS: Final = 8
_VALUE: Final = (1 << _VALUE_BITS) - 1
_GONE: Final = _VALUE

Halves = npt.NDArray[np.uint64]


class _Run(NamedTuple):
    """Ids by their first eight bytes, then by the others, each with its value."""

    high: Halves
    low: Halves
    values: npt.NDArray[np.uint8]
    latest: int

    def places(self, ids: Halves) -> Iterator[tuple[int, int]]:
        """Yield (place among the ids, value) of each that is here."""
        high = ids[:, 0]
        at = np.searchsorted(self.high, high)
        at[at == len(self.high)] = 0
        for place in np.flatnonzero(self.high[at] == high):
            where = at[place]
            while where < len(self.high) and self.high[where] == high[place]:
                if self.low[where] == ids[place, 1]:
                    yield int(place), int(self.values[where])
                where += 1

    def entries(self) -> Iterator[tuple[str, int]]:
        """Yield each id and its value."""
        text = np.stack((self.high, self.low), axis=1).astype(">u8").tobytes().hex()
        for place, value in enumerate(self.values.tolist()):
            yield text[32 * place : 32 * (place + 1)], value


class Remembered:
    """Values from 0 to 254 of ids, each with the time it was given, in milliseconds.

    An id is 32 hexadecimal digits; what is none (nothing of ours) is remembered too, at the full price.
    """

    def __init__(self, run: int = RUN) -> None:
        self._size = run
        # In the order of their times; time and value as one number.
        self._young: dict[str, int] = {}
        self._odd: dict[str, int] = {}
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        """How many entries are kept; an id that was settled twice may be two."""
        return len(self._young) + len(self._odd) + sum(len(run.high) for run in self._runs)

    def put(self, name: str, value: int, at: int) -> None:
        """Let the id have this value from now on."""
        young = self._young if _ID.fullmatch(name) else self._odd
        young.pop(name, None)
        young[name] = at << _VALUE_BITS | value
        if len(self._young) >= self._size:
            self._settle()

    def discard(self, name: str, at: int) -> None:
        """Let the id have no value any more."""
        self.put(name, _GONE, at)

    def get(self, names: Sequence[str]) -> dict[str, int]:
        """Return the value of each of the ids that has one."""
        return {name: value for name, value in self._find(names).items() if value != _GONE}

    def forget(self, limit: int) -> list[str]:
        """Forget what was settled before `limit`, runs as a whole; return the ids that are known no more.

        Those that were discarded are not among them: whoever did that knows.
        """
        gone: dict[str, int] = {}
        while self._runs and self._runs[0].latest < limit:
            gone.update(self._runs.pop(0).entries())
        for young in (self._odd,) if self._runs else (self._odd, self._young):
            old = [name for name, entry in young.items() if entry >> _VALUE_BITS < limit]
            for name in old:
                gone[name] = young.pop(name) & _VALUE
        known = self._find(list(gone))
        return [name for name, value in gone.items() if value != _GONE and name not in known]

    def _find(self, names: Sequence[str]) -> dict[str, int]:
        """Return the latest value of each id, though that may be that it is gone."""
        found: dict[str, int] = {}
        for young in (self._young, self._odd):
            found |= {name: young[name] & _VALUE for name in names if name in young}
        wanted = [name for name in names if name not in found and _ID.fullmatch(name)]
        if wanted:
            ids = _packed(wanted)
            for run in self._runs:  # a later one has the last word
                found |= {wanted[place]: value for place, value in run.places(ids)}
        return found

    def _settle(self) -> None:
        ids, entries = _packed(self._young), np.fromiter(self._young.values(), np.int64, len(self._young))
        order = np.lexsort((ids[:, 1], ids[:, 0]))
        high, low, values = ids[order, 0], ids[order, 1], (entries[order] & _VALUE).astype(np.uint8)
        self._runs.append(_Run(high, low, values, int(entries.max()) >> _VALUE_BITS))
        self._young = {}


def _packed(names: Iterable[str]) -> Halves:
    """Return both halves of each id as numbers in the order of the ids."""
    return np.frombuffer(bytes.fromhex("".join(names)), ">u8").astype(np.uint64).reshape(-1, 2)
