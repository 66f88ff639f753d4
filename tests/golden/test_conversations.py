"""Every dialogue of `cases/*.yaml` comes out as worked by hand: replayed one by one, the quick way."""

from __future__ import annotations

import pytest

from stream.runtime.conversations import Knowledge
from tests.contract import day
from tests.contract.runtimes import replayed
from tests.golden.dialogues import Dialogue, pack_sets, play_of, read_dialogues

DIALOGUES = read_dialogues()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Knowledge]]:
    """Return what the packs of each set say."""
    folder = tmp_path_factory.mktemp("packs")
    return {
        name: [day.knowledge(dict(files), folder / f"{name}-{number}") for number, files in enumerate(parts)]
        for name, parts in pack_sets().items()
    }


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=[one.name for one in DIALOGUES])
def test_dialogue_comes_out_as_worked_by_hand(dialogue: Dialogue, known: dict[str, list[Knowledge]]) -> None:
    play = play_of([dialogue])
    records = replayed(play, known[dialogue.packs][: len(play.parts)])
    assert dialogue.outcome(records) == dialogue.expected()
