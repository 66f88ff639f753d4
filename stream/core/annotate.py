"""What can be learnt of a text alone, for many texts at once.

Annotations are a function of the text: neither its neighbours in the batch nor what was seen before
changes one. Batches exist because scoring is cheaper together, the cache because agents send the same
templates all day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Final

from msgspec.structs import replace

from stream.core import emotion
from stream.core.annotation import Annotation, Hit
from stream.core.evasion import Disguises
from stream.core.joined import Joined
from stream.core.lexicon import Lexicon, Match
from stream.core.privacy import find_personal_all
from stream.core.promises import Promises
from stream.core.said import Said
from stream.core.scores import Scorer
from stream.core.text import Normaliser, Offsets, original_span

CACHE_SIZE: Final = 20_000
"""Annotations kept: a shop's templates and the customers' formulas, some 20 MiB at the very most."""

MAX_CACHED_TEXT: Final = 200
"""Characters; longer texts are seldom sent twice."""

MAX_TOGETHER: Final = 32_768
"""Characters of texts annotated together: hundreds of messages, and few enough for the processor's cache."""

_Key = tuple[str, bool]


class Annotator:
    """Annotates texts; the same text gives the same annotation, always.

    ``disguises`` puts plain terms for disguised ones before anything else looks at the text. ``promises``
    reads what texts that are not scored, those of the service side, say of promises.
    ``cache_size`` bounds the annotations kept (least recently used go first), 0 keeps none. Not
    thread-safe; holds texts in memory and nowhere else.
    """

    __slots__ = ("_cache", "_cache_size", "_disguises", "_lexicon", "_normaliser", "_promises", "_scorer")

    def __init__(
        self,
        lexicon: Lexicon,
        scorer: Scorer,
        normaliser: Normaliser,
        cache_size: int = CACHE_SIZE,
        disguises: Disguises | None = None,
        promises: Promises | None = None,
    ) -> None:
        self._lexicon = lexicon
        self._scorer = scorer
        self._normaliser = normaliser
        self._disguises = disguises
        self._promises = promises
        self._cache_size = cache_size
        self._cache: OrderedDict[_Key, Annotation] = OrderedDict()

    def annotate(self, texts: Sequence[str], wants_scores: Sequence[bool] | None = None) -> list[Annotation]:
        """Return one annotation a text, in order.

        ``wants_scores`` says of each text whether it is to be scored (customers' texts are; all, where
        it is not given); ``Annotation.scores`` of the others is ``None``.
        """
        keys: Iterable[_Key]
        keys = (
            [(text, True) for text in texts]
            if wants_scores is None
            else zip(texts, wants_scores, strict=True)
        )
        known: list[Annotation | _Key] = []
        missing: dict[_Key, None] = {}
        cache = self._cache
        for key in keys:
            found = cache.get(key)
            if found is None:
                missing[key] = None
                known.append(key)
            else:
                cache.move_to_end(key)
                known.append(found)
        made = dict(zip(missing, self._work_out(list(missing)), strict=True))
        if self._cache_size:
            for key, annotation in made.items():
                self._keep(key, annotation)
        return [made[one] if isinstance(one, tuple) else one for one in known]

    def annotate_one(self, text: str, *, wants_scores: bool = True) -> Annotation:
        """Return the annotation of one text."""
        return self.annotate((text,), (wants_scores,))[0]

    @property
    def cached(self) -> int:
        """How many annotations are kept."""
        return len(self._cache)

    def with_cache(self, cache_size: int) -> Annotator:
        """Return an annotator of the same knowledge with an empty cache of its own."""
        other = copy(self)
        other._cache, other._cache_size = OrderedDict(), cache_size
        return other

    def _keep(self, key: _Key, annotation: Annotation) -> None:
        if len(key[0]) <= MAX_CACHED_TEXT:
            self._cache[key] = annotation
            if len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)

    def _work_out(self, keys: Sequence[_Key]) -> Iterator[Annotation]:
        for some in _portions(keys):
            yield from self._annotate(some)

    def _annotate(self, keys: Sequence[_Key]) -> Iterator[Annotation]:
        originals = Joined([text for text, _ in keys])
        wanted = [wants for _, wants in keys]
        folded: Sequence[tuple[str, Offsets | None]] = self._normaliser.normalise_all(originals)
        joined = Joined([text for text, _ in folded])
        if self._disguises is not None:
            revealed = self._disguises.reveal_all(folded, list(map(len, originals.texts)), joined)
            if revealed is not folded:
                folded, joined = revealed, Joined([text for text, _ in revealed])
        hits: list[tuple[Hit, ...]] = [()] * len(keys)
        for number, found in self._lexicon.spot_all(joined):
            text, offsets = folded[number]
            matches = self._lexicon.examine(text, found)
            hits[number] = tuple([_hit(text, offsets, match) for match in matches])
        personal = find_personal_all(originals)
        readings = self._scorer.read(joined.texts, hits, wanted)
        said = self._said(wanted, folded)
        for text, (plain, offsets), own, private, reading, told in zip(
            originals.texts, folded, hits, personal, readings, said, strict=True
        ):
            yield Annotation(text, plain, offsets, own, private, reading.scores, reading, told)

    def _said(
        self, wanted: Sequence[bool], folded: Sequence[tuple[str, Offsets | None]]
    ) -> list[tuple[Said, ...]]:
        """Return what each text says of promises; nothing of those that are scored: customers owe nothing."""
        said: list[tuple[Said, ...]] = [()] * len(folded)
        if self._promises is not None:
            places = [place for place, wants in enumerate(wanted) if not wants]
            found = self._promises.find_all([folded[place][0] for place in places])
            for place, told in zip(places, found, strict=True):
                if told:
                    said[place] = _in_original(told, folded[place][1])
        return said


def _portions(keys: Sequence[_Key]) -> Iterator[Sequence[_Key]]:
    """Yield the keys in order, cut where ``MAX_TOGETHER`` characters are reached."""
    first = length = 0
    for place, (text, _) in enumerate(keys):
        length += len(text)
        if length >= MAX_TOGETHER:
            yield keys[first : place + 1]
            first, length = place + 1, 0
    if first < len(keys):
        yield keys[first:]


def _in_original(said: tuple[Said, ...], offsets: Offsets | None) -> tuple[Said, ...]:
    if offsets is None:
        return said
    spans = [original_span(offsets, one.start, one.end) for one in said]
    return tuple(replace(one, start=start, end=end) for one, (start, end) in zip(said, spans, strict=True))


def _hit(text: str, offsets: Offsets | None, match: Match) -> Hit:
    """Return the match as a hit in the original text, with what its surroundings make of it."""
    term, start, end = match.term, match.start, match.end
    reading = emotion.read(text, start, end, negatable=term.negatable)
    if offsets is not None:
        start, end = original_span(offsets, start, end)
    if reading is emotion.PLAIN and term.degree == 1.0:
        return Hit(term.terms, term.text, start, end)
    return Hit(term.terms, term.text, start, end, reading.negated, round(reading.degree * term.degree, 4))
