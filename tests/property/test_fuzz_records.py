"""Any records at all: each is applied or becomes a dead letter, and nothing else happens.

`make fuzz` makes a million of them, in ten rounds with a seed each.
"""

from __future__ import annotations

import time

import pytest

from stream.runtime.knowledge import open_knowledge
from tests.property import fuzz_records
from tests.property.mutants import Mutants

SHORT, LONG = 8_000, 100_000


@pytest.mark.timeout(4 * 3600)
async def test_every_record_is_applied_or_a_dead_letter(fuzz_is_long: bool, fuzz_seed: int) -> None:
    begun = time.monotonic()
    verdict = await fuzz_records.run(fuzz_seed, LONG if fuzz_is_long else SHORT, open_knowledge())
    print(f"\nseed {fuzz_seed}, {time.monotonic() - begun:.0f} s: {verdict}")
    assert verdict.logged == []
    assert verdict.accounted, str(verdict)
    assert verdict.dead == verdict.expected_dead
    assert verdict.untouched
    # Were nearly all refused at the door, nothing behind it would have been tried.
    assert verdict.accepted > verdict.sent / 3


def test_a_seed_gives_the_same_records_again() -> None:
    first, second = Mutants(5), Mutants(5)
    assert [first.record() for _ in range(500)] == [second.record() for _ in range(500)]
