"""The shipped packs see through the shipped evasion set, and leave its benign traps alone."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
import yaml

from stream import models, packs
from stream.core.annotate import Annotator

HERE = Path(__file__).parent / "evasions"

RECALL = 0.95
"""Of every class of tricks, so much at least is seen through."""

LATER_RECALL = 0.9
"""Of forms written after the rules were settled, which no rule was changed for: all classes together."""

FALSE = 0.01
"""Of the benign traps, so much at most fires."""

PLAIN_WORDS = (".disguised", "privacy.leak.private")
"""Lists of ordinary words, which alone fire nothing: expressions and distances read them."""

WATCHED = ("sensitive.", "privacy.", "emotion.anger.", "emotion.disappointment.", "emotion.sadness.")


@cache
def shipped() -> tuple[Annotator, dict[str, set[str]]]:
    """The annotator of the shipped packs, and for each term all its spellings."""
    book = packs.open_book()
    spellings: dict[str, set[str]] = defaultdict(set)
    for term in book.terms:
        spellings[term.text] |= {term.text, *term.variants}
    return models.build_annotator(book.terms), spellings


def forms(name: str = "forms.yaml") -> list[tuple[str, str, str]]:
    """Term, class and form."""
    written = yaml.safe_load((HERE / name).read_text("utf-8"))
    return [
        (term, trick, form)
        for term, classes in written.items()
        for trick, joined in classes.items()
        for form in joined.split(" ¦ ")
    ]


def traps() -> list[str]:
    return (HERE / "traps.txt").read_text("utf-8").splitlines()


def is_seen(term: str, form: str) -> bool:
    annotator, spellings = shipped()
    return any(term in spellings[hit.term] for hit in annotator.annotate_one(form).hits)


def test_the_set_is_as_large_as_it_says() -> None:
    written = forms()
    assert len(set(written)) == len(written) >= 600
    assert len({term for term, _, _ in written}) >= 60
    assert len(set(traps())) == len(traps()) >= 300


@pytest.mark.parametrize("trick", sorted({trick for _, trick, _ in forms()}))
def test_a_class_of_tricks_is_seen_through(trick: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen = {(term, form): is_seen(term, form) for term, of, form in forms() if of == trick}
    missed = [f"{term}: {form}" for (term, form), found in seen.items() if not found]
    recall = 1 - len(missed) / len(seen)
    with capsys.disabled():
        print(f"\n{trick}: {recall:.1%} of {len(seen)} forms; missed: {', '.join(missed) or 'none'}")
    assert recall >= RECALL


def test_forms_written_later_are_seen_through(capsys: pytest.CaptureFixture[str]) -> None:
    later = forms("later.yaml")
    missed = [f"{term}: {form}" for term, _, form in later if not is_seen(term, form)]
    recall = 1 - len(missed) / len(later)
    with capsys.disabled():
        print(f"\nwritten later: {recall:.1%} of {len(later)} forms; missed: {', '.join(missed)}")
    assert recall >= LATER_RECALL


def test_benign_traps_fire_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    annotator, _ = shipped()
    fired = [
        text
        for text in traps()
        if any(
            hit.terms.startswith(WATCHED) and not hit.terms.endswith(PLAIN_WORDS)
            for hit in annotator.annotate_one(text).hits
        )
    ]
    with capsys.disabled():
        print(f"\ntraps: {len(fired)} of {len(traps())} fire: {', '.join(fired) or 'none'}")
    assert len(fired) <= FALSE * len(traps())


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("你们等着，我要投-诉你们", "投-诉"),
        ("再不退我就去tousu了", "tousu"),
        ("都是马扁子", "马扁子"),
        ("我要\u200b投\u0336素你", "投\u0336素"),
        ("您➕威❤聊", "➕威❤"),
        ("打①②③①⑤", "①②③①⑤"),
        ("他🐴的", "他🐴的"),
        ("真让人😡", "😡"),
    ],
)
def test_a_finding_quotes_what_was_written(text: str, quoted: str) -> None:
    hits = shipped()[0].annotate_one(text).hits
    assert quoted in {text[hit.start : hit.end] for hit in hits}
