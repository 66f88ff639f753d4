"""What the clocks' bench expects by hand, and that its states say the same."""

from __future__ import annotations

from stream.bench import clocks
from stream.bench.clocks import Staggered, Told
from stream.bench.session import Session
from stream.core import state as states

MINUTE = 60_000


def test_issues_come_due_evenly_from_the_beginning_on() -> None:
    issues = Staggered(180, begun=100 * MINUTE)
    # One every ten seconds: the first is breached at the beginning, the sixtieth is warned of then.
    assert issues.due(100 * MINUTE, 100 * MINUTE + 10_000) == {
        Told(issues.name(0), 100 * MINUTE),
        Told(issues.name(60), 100 * MINUTE),
    }
    assert len(issues.due(100 * MINUTE, 110 * MINUTE)) == 120
    # In the last ten minutes all have been warned of but nobody else is breached after half an hour.
    assert len(issues.due(120 * MINUTE, 130 * MINUTE)) == 60
    assert issues.due(130 * MINUTE, 200 * MINUTE) == set()


def test_states_of_the_core_come_due_as_worked_out_by_hand() -> None:
    issues = Staggered(120, begun=1_794_398_400_000)
    found: set[Told] = set()
    with Session(quick=True) as session:
        for name, raw in clocks.open_issues(session, issues):
            state = states.decode(raw)
            legs = [one for one in state.running if state.names[one.kind] == "leg"]
            assert [state.names[one.policy] for one in legs] == [clocks.POLICY]
            found |= {
                Told(name, legs[0].started_at + moment) for moment in legs[0].moments[legs[0].fired : 2]
            }
            assert state.closed_at is None
    # Warnings of the last five minutes may still stand out: the worker tells them when it starts.
    assert {one for one in found if one.due >= issues.begun} == issues.due(
        issues.begun, issues.begun + 60 * MINUTE
    )


def test_the_workers_own_account_is_of_the_time_between_two_looks() -> None:
    before = {0.25: 100.0, 0.5: 100.0, 1.0: 100.0, float("inf"): 100.0}
    after = {0.25: 150.0, 0.5: 199.0, 1.0: 200.0, float("inf"): 200.0}
    assert "100 clocks, p99 at most 0.5 s" in clocks.own_account(before, after)
    assert clocks.own_account(after, after) == "the worker counted none"
