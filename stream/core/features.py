"""Texts as numbers of buckets: what the learned scores see of a text, for many texts at once.

A text is the sequence of its characters between two marks, and beside it the sequence of their toneless
syllables: 傻逼, 煞笔 and 沙🖊 sound alike. Single characters and pairs, single syllables and pairs are
hashed into a fixed number of buckets, each kind into its own; there is no vocabulary to load or to look
through. All is done with whole arrays, so a batch of sixteen and more costs one to four microseconds a
text. Runs of three gained nothing on any task (docs/decisions/0020).

A text's buckets depend on the text alone: runs never reach over its marks into a neighbour's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

MAX_CHARS: Final = 1_000
"""Characters of a text that are looked at: a long complaint has said by then what it thinks."""

KINDS: Final = ("characters", "character pairs", "syllables", "syllable pairs")
BITS: Final = (14, 17, 12, 16)
"""Of the buckets of each kind: some 5,000 characters and 420 syllables are in use. Collisions among
pairs cost .001 AUC; twice the buckets would double what ships."""

OFFSETS: Final = tuple(sum(1 << bits for bits in BITS[:kind]) for kind in range(len(BITS)))
BUCKETS: Final = sum(1 << bits for bits in BITS)

OPEN, SHUT = "\x02", "\x03"
"""The marks round a text: 谢谢 alone says something else than 谢谢 in a long complaint."""

CODES: Final = 0x20000
"""Code points with a syllable of their own; what lies above sounds like nothing."""

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]

# Odd multipliers of a multilinear hash, then a mixing round (the constants of MurmurHash3's finaliser):
# without it neighbouring code points fall into neighbouring buckets.
_FIRST, _SECOND, _LAST = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D)
_MIX = np.uint32(0x85EBCA6B)
_SEEDS: Final = np.array([[0x27D4EB2F], [0x165667B1], [0x5BD1E995], [0x1B873593]], np.uint32)
_SHIFTS: Final = np.array([[32 - bits] for bits in BITS], np.uint32)
_FROM: Final = np.array([[offset] for offset in OFFSETS], np.uint32)


class Features(NamedTuple):
    """The buckets of a batch: ``buckets[k]`` is one kind of run, a bucket for each place of the stream.

    ``starts`` and ``ends`` bound each text's places; ``lengths`` are its characters.
    """

    buckets: Ints
    starts: Ints
    ends: Ints
    lengths: Ints


def features(texts: Sequence[str], syllables: npt.NDArray[np.uint16]) -> Features:
    """Return the buckets of normalised texts.

    ``syllables`` maps code points below ``CODES`` to a syllable's number, what has none to 0 (it then
    stands for itself).
    """
    cut = [text[:MAX_CHARS] for text in texts]
    stream = "".join([f"{OPEN}{text}{SHUT}" for text in cut]) + OPEN
    codes = np.frombuffer(stream.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, cut), np.int64, len(cut))
    ends = (lengths + 2).cumsum() - 1
    starts = ends - lengths - 1
    sounds = syllables.take(codes, mode="clip")  # the last, of all above it, is none
    # Numbers of syllables are far below those of characters: the two cannot be mistaken for one another.
    sounds = np.where(sounds == 0, codes + np.uint32(1 << 16), sounds)
    # The kinds are hashed together: it is the number of operations that a few short texts wait for.
    keys = np.empty((len(KINDS), len(codes) - 1), np.uint32)
    for kind, units in ((0, codes), (2, sounds)):
        np.multiply(units[:-1], _FIRST, out=keys[kind])
        np.multiply(units[1:], _SECOND, out=keys[kind + 1])
        keys[kind + 1] += keys[kind]
    keys += _SEEDS
    buckets = (_mixed(keys) >> _SHIFTS) + _FROM
    return Features(buckets.astype(np.int64), starts, ends, lengths)


def _mixed(keys: Codes) -> Codes:
    """Return the keys with every bit spread over all; changes them in place."""
    keys ^= keys >> np.uint32(15)
    keys *= _MIX
    keys ^= keys >> np.uint32(13)
    keys *= _LAST
    return keys
