"""Finds terms that will annoy: on texts that ship with the project, and in everyday words.

Everything here is a warning. The benign corpus is `stream/resources/benign.txt`: sentences as customers and
agents write them all day, written for this; no rule of medium severity and above may fire on one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

from stream.core.annotation import Annotation
from stream.core.book import RuleBook
from stream.core.evasion import Disguises
from stream.core.evasion_tables import Spellings
from stream.core.lexicon import Evasion, Term
from stream.core.outputs import Severity
from stream.core.rules import Moment, Rule, RuleTable
from stream.core.rules.source import START, Problem
from stream.core.text import Normaliser
from stream.packs.check import Annotates, judge
from stream.packs.model import Case, Expect, Line, RawList, RawPack

FREQUENT = 100
"""Occurrences in jieba's corpus below which a word does not matter: half of those it has are rarer."""

_WEIGHTY = frozenset({Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL})


def lint(
    book: RuleBook,
    annotator: Annotates,
    packs: Iterable[RawPack],
    normaliser: Normaliser,
    spellings: Spellings,
    counts: Mapping[str, int],
) -> list[Problem]:
    """Return a warning for all that fires on ordinary sentences, is useless, or is read out of other words.

    ``counts`` says how often words occur (`stream.models.word_counts`): a term in pinyin collides with a
    word that is more frequent than itself.
    """
    packs = tuple(packs)
    corpus = benign()
    problems = [
        *_fired(book, annotator, packs, corpus),
        *_revealed(book, packs, normaliser, spellings, corpus),
    ]
    sounds = _sounds(spellings)
    for pack in packs:
        for listed in pack.lists:
            problems += _shadowed(pack, listed, normaliser)
            problems += _collisions(pack, listed, spellings, sounds, counts)
    return sorted(problems)


def benign() -> tuple[tuple[str, str], ...]:
    """Return the benign corpus: who says it, and the sentence."""
    lines = (resources.files("stream.resources") / "benign.txt").read_text("utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if line and not line.startswith("#"))
    return tuple((role, text) for role, text in pairs)


def _fired(
    book: RuleBook, annotator: Annotates, packs: Iterable[RawPack], corpus: Iterable[tuple[str, str]]
) -> Iterator[Problem]:
    places = {rule.id: rule.at for pack in packs for rule in pack.rules}
    said = tuple(dict.fromkeys(corpus))
    annotations = annotator.annotate([text for _, text in said], [role == "customer" for role, _ in said])
    known: Mapping[tuple[str, str], Annotation] = {
        (text, role): annotation for (role, text), annotation in zip(said, annotations, strict=True)
    }
    for rule in book.rules:
        if rule.severity not in _WEIGHTY or rule.on is not Moment.MESSAGE:
            continue
        table = RuleTable([rule])
        for role, text in said:
            if rule.role.value in {role, "any"} and any(judge(table, rule, _case(rule, role, text), known)):
                message = f"{rule.id} fires on the ordinary sentence '{text}'"
                yield Problem(rule.path, *places.get(rule.id, START), message, "warning")


def _case(rule: Rule, role: str, text: str) -> Case:
    return Case(rule.id, START, (Line(START, role, text),), Expect.MISS)


def _revealed(
    book: RuleBook,
    packs: Iterable[RawPack],
    normaliser: Normaliser,
    spellings: Spellings,
    corpus: Iterable[tuple[str, str]],
) -> Iterator[Problem]:
    places = {
        normaliser.text(spelling): (pack, listed)
        for pack in packs
        for listed in pack.lists
        for term in listed.terms
        for spelling in (term.text, *term.variants)
    }
    disguises = Disguises(book.terms, normaliser.text, spellings)
    for _, text in corpus:
        for found in disguises.find(normaliser.text(text)):
            if found.plain in places:
                pack, listed = places[found.plain]
                message = (
                    f"terms {listed.name}: '{found.plain}' is read out of the ordinary sentence '{text}'"
                )
                yield Problem(pack.path, *listed.at, message, "warning")


def _shadowed(pack: RawPack, listed: RawList, normaliser: Normaliser) -> Iterator[Problem]:
    """Yield the terms whose every spelling holds one of a term that is alike in all else."""
    folded = [(term, [normaliser.text(one) for one in (term.text, *term.variants)]) for term in listed.terms]
    for term, spellings in folded:
        for other, shorter in folded:
            if (
                other is not term
                and _alike(term, other)
                and all(any(short in long and short != long for short in shorter) for long in spellings)
            ):
                message = f"terms {listed.name}: '{term.text}' adds nothing to '{other.text}', which it holds"
                yield Problem(pack.path, *listed.at, message, "warning")


def _alike(term: Term, other: Term) -> bool:
    return not other.not_in and all(
        getattr(term, name) == getattr(other, name)
        for name in ("boundary", "degree", "negatable", "near", "not_near", "evasions", "not_in")
    )


def _sounds(spellings: Spellings) -> dict[tuple[str, ...], list[str]]:
    """Return for every sequence of syllables the everyday words that are read so."""
    found: dict[tuple[str, ...], list[str]] = {}
    for word in spellings.words:
        if all(char in spellings.readings for char in word):
            found.setdefault(_read(word, spellings), []).append(word)
    return found


def _read(word: str, spellings: Spellings) -> tuple[str, ...]:
    return tuple(spellings.readings[char][0] for char in word)


def _collisions(
    pack: RawPack,
    listed: RawList,
    spellings: Spellings,
    sounds: Mapping[tuple[str, ...], Iterable[str]],
    counts: Mapping[str, int],
) -> Iterator[Problem]:
    for term in listed.terms:
        if Evasion.PINYIN not in term.evasions or any(char not in spellings.readings for char in term.text):
            continue
        own = max(counts.get(term.text, 0), FREQUENT)
        others = [word for word in sounds.get(_read(term.text, spellings), ()) if counts.get(word, 0) > own]
        if others:
            word = max(others, key=counts.__getitem__)
            message = (
                f"terms {listed.name}: '{term.text}' in pinyin is also the more frequent '{word}'; "
                "leave pinyin out of its evasions"
            )
            yield Problem(pack.path, *listed.at, message, "warning")
