"""Makes ``readings.txt`` and ``words.txt`` from pypinyin's and jieba's dictionaries.

``python -m stream.resources.spelling.build`` writes them beside itself; nothing else in the project needs
pypinyin, so it is a dependency of development and not of a running worker.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

FIRST: Final = 0x4E00
LAST: Final = 0x9FFF
"""The block of ideographs that input methods offer; readings of the rarer ones are of no use here."""

EVERYDAY: Final = 20
"""Occurrences in jieba's corpus from which a word is everyday: 70,000 words. 煞笔 (3) and 沙比 (6) stay
below, 投宿 (92) and 威信 (521) above."""

LONGEST_WORD: Final = 4

SECOND_READING: Final = 0.1
"""Share of a character's occurrences from which a reading counts: 差 is cha and chai, not ci."""


def frequencies() -> dict[str, int]:
    """Return jieba's words of two to four ideographs, with their occurrences."""
    spec = find_spec("jieba")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("jieba is not installed")
    found: dict[str, int] = {}
    for line in Path(spec.submodule_search_locations[0], "dict.txt").read_text("utf-8").splitlines():
        word, count, *_ = line.split(" ")
        if 2 <= len(word) <= LONGEST_WORD and all(FIRST <= ord(char) <= LAST for char in word):
            found[word] = int(count)
    return found


def readings(words: Mapping[str, int]) -> Iterator[str]:
    """Yield ``syllable<TAB>characters<TAB>characters``: read so mostly, read so at times."""
    from pypinyin import lazy_pinyin  # noqa: PLC0415  # a dependency of development alone
    from pypinyin.constants import PINYIN_DICT  # noqa: PLC0415

    heard: dict[str, Counter[str]] = defaultdict(Counter)
    for word, count in words.items():
        if count < EVERYDAY:
            continue  # four words of five, and one occurrence of a hundred
        for char, syllable in zip(word, lazy_pinyin(word), strict=True):
            heard[char][syllable] += count
    mostly: dict[str, list[str]] = defaultdict(list)
    at_times: dict[str, list[str]] = defaultdict(list)
    for code in range(FIRST, LAST + 1):
        if code not in PINYIN_DICT:
            continue
        char = chr(code)
        usual = lazy_pinyin(char)[0]
        counts = heard.get(char) or Counter([usual])
        first, *others = [
            syllable for syllable, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]
        if first.isascii() and first.isalpha():
            mostly[first].append(char)
        for other in others:
            if counts[other] >= SECOND_READING * counts.total() and other.isascii():
                at_times[other].append(char)
    for syllable in sorted({*mostly, *at_times}):
        yield f"{syllable}\t{''.join(mostly[syllable])}\t{''.join(at_times[syllable])}"


def everyday(words: Mapping[str, int]) -> Iterator[str]:
    """Yield the everyday words, in the order of their code points."""
    yield from sorted(word for word, count in words.items() if count >= EVERYDAY)


def main() -> int:
    """Write both files."""
    words = frequencies()
    here = Path(__file__).parent
    for name, lines in (("readings.txt", readings(words)), ("words.txt", everyday(words))):
        (here / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
