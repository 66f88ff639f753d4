"""The soak in short: everything it looks at is there, and every alert that the core names comes.

`make soak` is the long form, which alone can say whether anything grows.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stream.bench.session import Session
from stream.bench.soak import samples, verdict
from stream.bench.soak.run import Soak

pytestmark = [pytest.mark.kafka, pytest.mark.chaos]

SECONDS = 25.0
RATE = 400
"""Enough for thousands of records in thousands of chats, on cores that other tests share."""


@pytest.mark.timeout(400)
async def test_a_short_soak_loses_no_alert_and_leaves_what_it_saw(tmp_path: Path) -> None:
    with Session() as session:
        assert session.why_no_kafka() is None
        soak = Soak(session, tmp_path, SECONDS, RATE)
        lines = await soak.run()
    assert [line.text for line in lines if line.held is False and "lag" not in line.text] == []
    assert soak.accounts.matched > 50
    rows = list(csv.DictReader((tmp_path / "soak.csv").open(encoding="utf-8")))
    last = rows[-1]
    empty = {name for name in samples.OWN if not last[name] and not name.startswith("late_")}
    assert empty == set()
    assert float(last["messages"]) == SECONDS * RATE
    assert sum(name.startswith("lag soak.chat.messages/") for name in last) == 4
    assert (tmp_path / "soak.svg").read_text("utf-8").startswith("<svg")
    assert verdict.STEADY[0].what in (tmp_path / "soak.md").read_text("utf-8")
