"""Loads the tables of spelling tricks from ``stream/resources/spelling``, once, when first asked for.

Files of lines, fields set off by tabs; a line that begins with ``#`` and a blank is a comment. Which are
written by hand and which are made is said beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources

from stream.core.evasion_tables import Spellings


@lru_cache(maxsize=1)
def spellings() -> Spellings:
    """Return everything `stream.core.evasion` knows of characters and everyday words. 0.05 s."""
    mostly: dict[str, str] = {}
    at_times: dict[str, list[str]] = {}
    for syllable, usual, *others in _rows("readings.txt"):
        mostly.update(dict.fromkeys(usual, syllable))
        for char in "".join(others):
            at_times.setdefault(char, []).append(syllable)
    return Spellings(
        readings={char: (syllable, *at_times.get(char, ())) for char, syllable in mostly.items()},
        pictures=_pairs("pictures.txt"),
        shapes=_pairs("shapes.txt"),
        splits={char: tuple(ways.split(" ")) for char, ways in _rows("splits.txt")},
        words=frozenset(word for (word,) in _rows("words.txt")) | _words("modern.txt"),
        latin=_words("latin.txt"),
    )


@lru_cache(maxsize=1)
def faces() -> Mapping[str, str]:
    """Return the faces of Unicode, each with the word it says."""
    return _pairs("faces.txt")


@lru_cache(maxsize=1)
def emoticons() -> Mapping[str, str]:
    """Return what chat platforms send for faces, each with the word it says."""
    return _pairs("emoticons.txt")


def _words(name: str) -> frozenset[str]:
    return frozenset(word for (row,) in _rows(name) for word in row.split(" "))


def _pairs(name: str) -> Mapping[str, str]:
    return {key: value for key, value, *_ in _rows(name)}


def _rows(name: str) -> Iterator[list[str]]:
    text = (resources.files("stream.resources") / "spelling" / name).read_text("utf-8")
    return (line.split("\t") for line in text.splitlines() if line and not line.startswith("# "))
