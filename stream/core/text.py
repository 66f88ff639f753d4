"""One spelling for what reads the same, with the way back to the original characters.

Folding goes character by character: width and compatibility forms (NFKC), decorated letters and numerals
(🅰, ➃, ⑸), case, Latin diacritics, traditional to simplified, faces to the word they say (😡 is [发怒]);
format characters, variation selectors and combining marks go away. It does not look at neighbours, so it
is idempotent and linear, and every normalised character comes from exactly one original character.
Afterwards the emoticons of chat platforms become the same words ([怒] and /::@ are [发怒] too), and a run
of one character is cut to three. What only means the same, and was spelt otherwise to deceive, is the
business of `stream.core.evasion`.

Most messages hold nothing to fold, or only characters that fold to exactly one other, such as the full-width
comma: they need no map, and one look-up in a table folds all such texts of a batch.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from stream.core.joined import FEW, PLANE, Joined, Texts, characters, looked_up

Offsets = tuple[int, ...]

MAX_RUN: Final = 3
"""啊啊啊啊啊啊 and 啊啊啊 say the same. Three, not one: 滚滚滚 and 哈哈 are words of their own."""

MAX_EXPANSION: Final = 4
"""Longest folding of one character (㍿ is 株式会社); the few longer ones stay, so that a hostile message
cannot grow eighteenfold."""

MAX_ROUNDS: Final = 4
"""Foldings feed one another (Ⓐ → A → a; a fullwidth sharp s → ß → ss); two rounds settle all of Unicode."""

MAX_MEMO: Final = 20_000
"""Foldings kept in memory, started afresh when full: all that a language uses, not all of Unicode."""

REPLACEMENT: Final = "\ufffd"
"""Stands for lone surrogates, which neither automaton nor RE2 accepts."""

_DROPPED: Final = frozenset({"Mn", "Me", "Cf"})
"""Combining and enclosing marks, format characters (zero-width, direction, soft hyphen)."""

_USUAL: Final = ((0x20, 0x7F), (0x2010, 0x2027), (0x3000, 0x3020), (0x4E00, 0xA000), (0xFF01, 0xFF5F))
"""What Chinese messages are written with: ASCII, dashes and quotes, CJK punctuation, ideographs,
full-width forms. Only these take the short ways; anything else is looked at one by one."""

_DECORATED: Final = re.compile(
    r"(?:(?:NEGATIVE |CROSSED NEGATIVE )?(?:CIRCLED|SQUARED) LATIN CAPITAL LETTER|"
    r"REGIONAL INDICATOR SYMBOL LETTER|LATIN LETTER SMALL CAPITAL) ([A-Z])"
)
"""Names of characters that are a letter in a frame, and that NFKC leaves alone."""

_RUN: Final = re.compile(rf"([^0-9])\1{{{MAX_RUN}}}")
_RUNS: Final = re.compile(rf"([^0-9])\1{{{MAX_RUN},}}")
"""Digits are left alone: 10000 is not 1000."""


class _Foldings(dict[int, str]):
    """Code point → what it folds to, worked out when first asked for."""

    __slots__ = ("_faces", "_simplified")

    def __init__(self, simplified: Mapping[str, str], faces: Mapping[str, str]) -> None:
        super().__init__()
        self._simplified = simplified
        self._faces = faces

    def __missing__(self, code: int) -> str:
        if len(self) >= MAX_MEMO:
            self.clear()
        folded = self[code] = self._settle(chr(code))
        return folded

    def _settle(self, char: str) -> str:
        folded = self._once(char)
        if folded == char:
            return char
        for _ in range(MAX_ROUNDS):
            further = "".join(map(self._once, folded))
            if len(further) > MAX_EXPANSION:
                return char
            if further == folded:
                return folded
            folded = further
        return char

    def _once(self, char: str) -> str:
        category = unicodedata.category(char)
        if category in _DROPPED:
            return ""
        if category == "Cs":
            return REPLACEMENT
        if char in self._faces:
            return f"[{self._faces[char]}]"
        plain = _undecorated(char, category)
        if plain is not None:
            return plain
        compatible = unicodedata.normalize("NFKC", char).casefold()
        if compatible == char and category == "Lo":
            return self._simplified.get(char, char)
        if not compatible.isascii():
            # é is dropped to e because e + U+0301 is: two spellings of one thing must agree.
            bare = unicodedata.normalize("NFKD", compatible)
            if bare[:1].isascii() and bare[:1].isalpha():
                return bare
        return "".join(self._simplified.get(c, c) for c in compatible)


class Normaliser:
    """Folds texts so that one term is found in all its guises.

    ``simplified`` maps traditional characters to simplified ones (OpenCC's table, see
    ``stream.models``); without it traditional text stays traditional. ``faces`` maps characters that
    are faces, and ``emoticons`` sequences in folded spelling, to words of one or two characters.
    """

    __slots__ = (
        "_emoticons", "_even", "_find_changed", "_find_emoticon", "_find_uneven", "_fold_each", "_foldings",
    )  # fmt: skip

    def __init__(
        self,
        simplified: Mapping[str, str] | None = None,
        faces: Mapping[str, str] | None = None,
        emoticons: Mapping[str, str] | None = None,
    ) -> None:
        self._foldings = _Foldings(simplified or {}, faces or {})
        self._emoticons = {shown: f"[{word}]" for shown, word in (emoticons or {}).items()}
        longest_first = sorted(self._emoticons, key=len, reverse=True)
        self._find_emoticon = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        usual = [chr(code) for first, last in _USUAL for code in range(first, last)]
        even = [c for c in usual if len(self._foldings[ord(c)]) == 1]
        steady = [c for c in even if self._foldings[ord(c)] == c]
        self._find_uneven = re.compile(_outside(even)).search
        changed = re.compile(_outside(steady))
        self._find_changed = changed.search
        self._fold_each = changed.sub
        self._even = np.zeros(PLANE, np.uint32)  # 0 is for what does not fold to exactly one
        self._even[list(map(ord, even))] = [ord(self._foldings[ord(c)]) for c in even]

    def normalise_all(self, texts: Texts) -> list[tuple[str, Offsets | None]]:
        """Return what ``normalise`` returns of each text, for a fraction of the price."""
        joined = Joined.of(texts)
        raws = joined.texts
        if len(raws) < FEW:
            return [self.normalise(raw) for raw in raws]
        folded = looked_up(self._even, joined.codes)
        image = characters(folded)
        uncommon = folded == 0
        if self._find_emoticon is not None:
            for found in self._find_emoticon.finditer(image):  # the whole of it: it may lie across two texts
                uncommon[found.start() : found.end()] = True
        same = folded[1:] == folded[:-1]
        runs = same
        for further in range(1, MAX_RUN):
            runs = runs[:-1] & same[further:]
        uncommon[MAX_RUN:] |= runs
        results: list[tuple[str, Offsets | None]]
        results = [(text, None) for text in joined.cut(image)]
        for number in joined.having(uncommon):
            results[number] = self.normalise(raws[number])
        return results

    def normalise(self, raw: str) -> tuple[str, Offsets | None]:
        """Return the folded text and the map back to ``raw``.

        The map is ``None`` where the characters stand one for one; else it holds, for each normalised
        character, the index of the original character it came from, and ``len(raw)`` as last entry.
        ``normalise(normalise(raw)[0])[0]`` changes nothing. Never raises; linear in ``len(raw)``; the
        result has at most ``MAX_EXPANSION`` times as many characters.
        """
        if self._find_changed(raw) is None:
            text, origins = raw, None
        elif self._find_uneven(raw) is None:
            text, origins = self._fold_evenly(raw), None
        else:
            text, origins = self._fold_unevenly(raw)
        if self._find_emoticon is not None and ("[" in text or "/:" in text):
            text, origins = self._name_emoticons(self._find_emoticon, text, origins)
        if _RUN.search(text) is not None:
            text, origins = _cut_runs(text, origins)
        if origins is None or (len(text) == len(raw) and origins == list(range(len(raw)))):
            return text, None
        origins.append(len(raw))
        return text, tuple(origins)

    def text(self, raw: str) -> str:
        """Return the folded text alone."""
        return self.normalise(raw)[0]

    def _fold_evenly(self, raw: str) -> str:
        # Most texts have nothing to fold but these, which `str.replace` does in a third of the time.
        text = raw.replace("，", ",").replace("？", "?").replace("！", "!").replace("：", ":")
        return text if self._find_changed(text) is None else self._fold_each(self._folded, text)

    def _folded(self, match: re.Match[str]) -> str:
        return self._foldings[ord(match[0])]

    def _fold_unevenly(self, raw: str) -> tuple[str, list[int]]:
        foldings = self._foldings
        folded = [foldings[ord(char)] for char in raw]
        return "".join(folded), [index for index, piece in enumerate(folded) for _ in piece]

    def _name_emoticons(
        self, find: re.Pattern[str], text: str, origins: list[int] | None
    ) -> tuple[str, list[int] | None]:
        """Put words for the emoticons; the word's brackets come from those of the emoticon."""
        pieces: list[str] = []
        kept: list[int] = []
        done = 0
        for found in find.finditer(text):
            start, end = found.span()
            word = self._emoticons[found[0]]
            pieces += (text[done:start], word)
            kept.extend(range(done, start))
            kept.extend(stretched(start, end, len(word)))
            done = end
        if not done:
            return text, origins
        pieces.append(text[done:])
        kept.extend(range(done, len(text)))
        return "".join(pieces), kept if origins is None else [origins[place] for place in kept]


def stretched(start: int, end: int, length: int) -> Iterator[int]:
    """Yield ``length`` rising places within ``[start, end)``, the first and the last of it at the ends."""
    last = max(length - 1, 1)
    return (start + place * (end - 1 - start) // last for place in range(length))


def _undecorated(char: str, category: str) -> str | None:
    """Return the letter or numeral that is only decorated, ``None`` where there is none."""
    if char.isascii():
        return None
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    if category == "No":
        value = unicodedata.numeric(char)
        compatible = unicodedata.normalize("NFKC", char).strip("().")
        if compatible == char and value == int(value):
            return str(int(value))
        return compatible if value == int(value) else None
    if category in {"So", "Ll", "Lu"}:
        framed = _DECORATED.fullmatch(unicodedata.name(char, ""))
        if framed is not None:
            return framed[1].lower()
        compatible = unicodedata.normalize("NFKC", char)
        if len(compatible) == 3 and compatible[0] == "(" and compatible[1].isascii():
            return compatible[1].lower()
    return None


def _cut_runs(text: str, origins: list[int] | None) -> tuple[str, list[int]]:
    """Cut every run longer than ``MAX_RUN`` to its first characters."""
    if origins is None:
        origins = list(range(len(text)))
    pieces: list[str] = []
    kept: list[int] = []
    done = 0
    for run in _RUNS.finditer(text):
        stop = run.start() + MAX_RUN
        pieces.append(text[done:stop])
        kept.extend(origins[done:stop])
        done = run.end()
    pieces.append(text[done:])
    kept.extend(origins[done:])
    return "".join(pieces), kept


def original_span(offsets: Offsets | None, start: int, end: int) -> tuple[int, int]:
    """Return the original half-open span of the normalised ``[start, end)``, which must not be empty.

    Ends behind the original character that the last normalised one came from: neither a zero-width
    character after the span nor half of an expanded character is counted wrongly.
    """
    if offsets is None:
        return start, end
    return offsets[start], offsets[end - 1] + 1


def _outside(chars: Iterable[str]) -> str:
    """Return a character class of everything but the given characters, in ranges."""
    ranges: list[list[int]] = []
    for code in sorted(map(ord, chars)):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "[^" + "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) + "]"
