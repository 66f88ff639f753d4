"""Loads what detection needs from installed packages, each part when first asked for.

The only place that knows where jieba, OpenCC and SnowNLP keep their data. Times are of one core of a
small cloud machine.
"""

from __future__ import annotations

import gzip
import logging
import marshal
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from stream import spelling
from stream.core.annotate import CACHE_SIZE, Annotator
from stream.core.evasion import Disguises
from stream.core.features import CODES
from stream.core.judge import Judge
from stream.core.lexicon import Boundary, Lexicon, Segmenter, Term
from stream.core.model import Head, Model
from stream.core.promises import NO_VOCABULARY, Vocabulary
from stream.core.scores import SCORERS, Resources, WordOdds
from stream.core.text import Normaliser

LEARNED: Final = "learned"
DEFAULT_SCORER: Final = LEARNED

_IDEOGRAPHS: Final = ((0x3400, 0xA000), (0xF900, 0xFB00), (0x20000, 0x32000))
"""All blocks of Chinese characters, with the compatibility forms."""


class ModelMissingError(RuntimeError):
    """A package is not installed, or does not hold the data that it should."""


@lru_cache(maxsize=1)
def simplified_characters() -> Mapping[str, str]:
    """Return OpenCC's traditional → simplified map, one character to one (about 5,100 of them).

    0.07 s. OpenCC exposes no table, so every ideograph is converted once, each on a line of its own:
    phrases do not apply then.
    """
    from opencc import OpenCC  # noqa: PLC0415  # loaded when first needed

    characters = [chr(code) for first, last in _IDEOGRAPHS for code in range(first, last)]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    if len(converted) != len(characters):
        raise ModelMissingError("opencc does not convert character by character")
    return {old: new for old, new in zip(characters, converted, strict=True) if old != new and len(new) == 1}


@lru_cache(maxsize=1)
def normaliser() -> Normaliser:
    """Return the normaliser every text and term goes through. 0.15 s."""
    return Normaliser(simplified_characters(), spelling.faces(), spelling.emoticons())


def segmenter(data_dir: Path | None = None) -> Segmenter:
    """Return jieba's cut, loaded at its first use: 1.7 s, with or without its cache file.

    Its own instance: what the process does with ``jieba`` elsewhere changes nothing. The cache file goes
    to ``data_dir`` (must exist), or else to the system's temporary directory.
    """
    tokenizer = None

    def segment(text: str) -> list[str]:
        nonlocal tokenizer
        if tokenizer is None:
            tokenizer = _jieba(data_dir)
        return tokenizer.lcut(text)  # type: ignore[no-any-return]

    return segment


def _jieba(data_dir: Path | None):  # type: ignore[no-untyped-def]  # jieba has no types
    import jieba  # noqa: PLC0415  # loaded when first needed

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    if data_dir is not None:
        tokenizer.tmp_dir = str(data_dir)
        tokenizer.cache_file = "jieba.cache"
    tokenizer.initialize()
    return tokenizer


def word_counts() -> Mapping[str, int]:
    """Return how often jieba's corpus has each of its 350,000 words. 0.3 s; for checks only."""
    spec = find_spec("jieba")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissingError("jieba is not installed")
    lines = Path(spec.submodule_search_locations[0], "dict.txt").read_text("utf-8").splitlines()
    return {word: int(count) for word, count, *_ in (line.split(" ") for line in lines)}


@lru_cache(maxsize=1)
def snownlp_odds() -> WordOdds:
    """Return the word odds of SnowNLP's sentiment classifier (39,000 words). 0.1 s.

    Reads its data files only; importing the package costs 4 s and 410 MiB. The counts are what
    ``snownlp.classification.bayes`` saves: word → count + 1, and the total of them, by class.
    """
    spec = find_spec("snownlp")
    if spec is None or not spec.submodule_search_locations:
        raise ModelMissingError("snownlp is not installed")
    root = Path(spec.submodule_search_locations[0])
    saved = _unpack((root / "sentiment" / "sentiment.marshal.3").read_bytes())
    stop = (root / "normal" / "stopwords.txt").read_text(encoding="utf-8").splitlines()
    positive, negative = saved["d"]["pos"], saved["d"]["neg"]
    return WordOdds.from_counts(
        positive["d"], negative["d"], positive["total"], negative["total"], (word.strip() for word in stop)
    )


def _unpack(packed: bytes):  # type: ignore[no-untyped-def]  # whatever the package saved
    data = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    return marshal.loads(data)  # noqa: S302  # a file of an installed package, as trusted as its code


TABLE: Final = "table.npy"
SYLLABLES: Final = "syllables.npy"
PARAMETERS: Final = "model.json"
"""The files of a model; ``yanshao train`` writes them, with a model card beside."""


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The small numbers of a model; ``id`` is a hash of everything in it."""

    id: str
    heads: dict[str, Head]
    judge: Judge


class Learned(msgspec.Struct, frozen=True):
    """A model as loaded: what scores texts, and what judges whole conversations."""

    model: Model
    judge: Judge


def read_model(directory: Traversable) -> Learned:
    """Return the model of a directory. 5 ms.

    Raises:
        ModelMissingError: Its files are not there or do not fit this release.
    """
    try:
        parameters = msgspec.json.decode((directory / PARAMETERS).read_bytes(), type=Parameters)
        table, syllables = _array(directory / TABLE), _array(directory / SYLLABLES)
        codes = np.zeros(CODES, np.uint16)
        codes[syllables[0]] = syllables[1]
        return Learned(Model(parameters.id, table, codes, parameters.heads), parameters.judge)
    except (OSError, ValueError, IndexError, msgspec.DecodeError) as error:
        raise ModelMissingError(f"{directory}: {error}") from error


def _array(file: Traversable):  # type: ignore[no-untyped-def]  # its type is in the file, and checked by Model
    with file.open("rb") as opened:
        return np.load(opened, allow_pickle=False)


@lru_cache(maxsize=1)
def shipped_model() -> Learned:
    """Return the model that ships with this release."""
    return read_model(files("lexicons") / "model")


def resources(data_dir: Path | None = None, learned: Learned | None = None) -> Resources:
    """Return what scorers are made from; nothing is loaded yet. ``learned`` stands for the shipped model."""
    return Resources(
        odds=snownlp_odds,
        segment=lambda: segmenter(data_dir),
        model=lambda: (learned or shipped_model()).model,
    )


def build_annotator(
    terms: tuple[Term, ...],
    scorer: str = DEFAULT_SCORER,
    data_dir: Path | None = None,
    cache_size: int = CACHE_SIZE,
    learned: Learned | None = None,
    promises: Vocabulary = NO_VOCABULARY,
) -> Annotator:
    """Return an annotator over these terms. ``KeyError`` where no scorer has that name.

    ``learned`` stands for the shipped model; ``promises`` is what promises are read by, if by anything.

    Where a term asks for word boundaries jieba is loaded here and now: at the first such text it would
    hold up every message behind it for a second.
    """
    folding = normaliser()
    disguises = Disguises(terms, folding.text, spelling.spellings()) if _any_evasion(terms) else None
    segment = segmenter(data_dir)
    if any(term.boundary is Boundary.WORD for term in terms):
        segment("")
    lexicon = Lexicon(terms, folding.text, segment)
    reader = promises.build(folding.text) if promises else None
    return Annotator(
        lexicon, SCORERS[scorer](resources(data_dir, learned)), folding, cache_size, disguises, reader
    )


def _any_evasion(terms: tuple[Term, ...]) -> bool:
    return any(term.evasions for term in terms)
