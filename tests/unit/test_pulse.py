"""What the embedded runtime's writer is said to be, by the times it leaves behind."""

from __future__ import annotations

from stream.runtime.pulse import STUCK_S, Pulse


def test_quiet_writer_is_healthy_and_ready() -> None:
    assert Pulse().unready(1e9) == Pulse().unhealthy(1e9) == []


def test_transaction_is_stuck_when_it_takes_longer_than_any_should() -> None:
    pulse = Pulse()
    pulse.begin(100.0)
    assert pulse.unhealthy(100.0 + STUCK_S) == []
    assert pulse.unready(101.0 + STUCK_S) == pulse.unhealthy(101.0 + STUCK_S) != []
    pulse.end()
    assert pulse.unhealthy(1e9) == []


def test_store_that_refuses_is_unready_at_once_and_unhealthy_when_it_lasts() -> None:
    pulse = Pulse()
    pulse.refused(100.0)
    pulse.refused(120.0)
    assert pulse.unready(100.0) != []
    assert pulse.unhealthy(100.0 + STUCK_S) == []
    assert "31 s" in pulse.unhealthy(101.0 + STUCK_S)[0]
    pulse.wrote()
    assert pulse.unready(1e9) == pulse.unhealthy(1e9) == []
