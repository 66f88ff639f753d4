"""A full collection does not walk over what a process has loaded."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from stream.runtime import garbage


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_was_loaded_is_not_looked_at_and_what_comes_later_is() -> None:
    loaded = [[number] for number in range(1_000)]
    garbage.settle()
    later = [[number] for number in range(1_000)]
    watched = {id(one) for one in gc.get_objects()}
    assert not any(id(one) in watched for one in loaded)
    assert all(id(one) in watched for one in later)


def test_garbage_of_later_is_collected() -> None:
    garbage.settle()
    ring: list[object] = []
    ring.append(ring)
    del ring
    assert gc.collect() >= 1
