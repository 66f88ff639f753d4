"""Replay, the embedded runtime and Kafka make of the dialogues worked by hand what their workings say.

All dialogues of one pack set go through a runtime in one play, each as a conversation of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.contract.runtimes import by_kafka, by_local, by_replay
from tests.golden.dialogues import play_of, read_dialogues

DIALOGUES = read_dialogues()
SETS = sorted({one.packs for one in DIALOGUES})


@pytest.mark.parametrize("runtime", ["replay", "local", pytest.param("kafka", marks=pytest.mark.kafka)])
@pytest.mark.parametrize("packs", SETS)
async def test_every_runtime_plays_the_dialogues_as_worked_by_hand(
    packs: str, runtime: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dialogues = [one for one in DIALOGUES if one.packs == packs]
    play = play_of(dialogues)
    if runtime == "replay":
        records = by_replay(play, tmp_path)
    elif runtime == "local":
        records = await by_local(play, tmp_path)
    else:
        records = await by_kafka(play, tmp_path, request)
    wrong: dict[str, Any] = {}
    for one in dialogues:
        found, wanted = one.outcome(records), one.expected()
        if found != wanted:
            wrong[one.name] = {"found": found, "wanted": wanted}
    assert wrong == {}
    assert records.refused == []


def test_there_are_as_many_dialogues_as_promised() -> None:
    """Sixty is what the clocks, pauses, policies, calendars and bad input were to be covered by."""
    assert len(DIALOGUES) >= 60
