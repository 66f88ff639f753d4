"""Every runtime opens the same knowledge: the scores of a live chat are those of its replay."""

from __future__ import annotations

from pathlib import Path

from alerts.config import AlertsConfig
from stream.metrics import Metrics
from stream.runtime.clock import StreamClock
from stream.runtime.conversations import Knowledge
from stream.runtime.kafka.preparation import Shelf
from stream.runtime.knowledge import open_knowledge
from stream.runtime.system import LocalSystem
from stream.settings import load


def _judgement(knowledge: Knowledge) -> tuple[str, object, type]:
    return knowledge.book.version, knowledge.book.judge, type(knowledge.annotator)


async def test_every_runtime_knows_what_a_replay_knows(tmp_path: Path) -> None:
    settings = load(env={"YANSHAO_DATA": str(tmp_path)})
    replayed = _judgement(open_knowledge())
    assert replayed[1] is not None
    local = LocalSystem(settings, tmp_path, AlertsConfig(), clock=StreamClock())
    assert _judgement(local.knowledge()) == replayed
    assert _judgement(Shelf(settings, tmp_path, Metrics()).knowledge()) == replayed
