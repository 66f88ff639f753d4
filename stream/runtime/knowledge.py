"""Opens what the engine knows: the packs as a rule book, and the annotator built from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from stream import models, packs
from stream.core.book import RuleBook
from stream.core.limits import DEFAULT_LIMITS, Limits
from stream.packs import SHIPPED, Options
from stream.runtime.conversations import Knowledge
from stream.settings import Settings


def limits_of(settings: Settings) -> Limits:
    """Return the conversation's times and what is measured of it, as configured."""
    return Limits(
        idle_close_ms=settings.conversation.idle_close,
        keep_ms=settings.conversation.keep_after_close,
        issue_keep_ms=settings.conversation.keep_owed,
        reopen_ms=settings.conversation.reopen_window,
        definitions=tuple(map(str, settings.metrics.definitions)),
    )


def directories_of(settings: Settings) -> list[str | Path]:
    """Return the pack directories as configured: those named, without the default one that is not there."""
    named: list[str | Path] = []
    for entry in settings.packs:
        path = settings.resolve(entry)
        if entry == SHIPPED:
            named.append(SHIPPED)
        elif path.is_dir() or entry != "./packs":
            named.append(path)
    return named


def open_knowledge(
    directories: Sequence[str | Path] = (SHIPPED,),
    *,
    disable: Collection[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    data_dir: Path | None = None,
) -> Knowledge:
    """Return knowledge from pack directories, later ones overriding by rule id.

    Raises:
        stream.packs.PackError: With every problem of every file.
    """
    book = packs.open_book(directories, Options(disable=disable, limits=limits))
    return of_book(book, data_dir)


def of_book(
    book: RuleBook,
    data_dir: Path | None = None,
    scorer: str = models.DEFAULT_SCORER,
    learned: models.Learned | None = None,
) -> Knowledge:
    """Return a book with the annotator and the judge it asks for.

    ``learned`` stands for the shipped model.
    """
    if scorer == models.LEARNED:
        book = replace(book, judge=(learned or models.shipped_model()).judge)
    annotator = models.build_annotator(book.terms, scorer, data_dir, learned=learned, promises=book.promises)
    return Knowledge(book, annotator)
