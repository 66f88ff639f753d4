"""Options and fixtures of the chaos suite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.driver.report import Table

TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos-table", type=Path, default=None, help="write the table of mixed rounds to this file"
    )
    parser.addoption(
        "--chaos-rounds", type=int, default=None, help="so many mixed rounds of each kind, not 20"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table(config.getoption("--chaos-table", default=None))


@pytest.fixture
def chaos_table(request: pytest.FixtureRequest) -> Table:
    """Where a mixed round adds its line."""
    table: Table = request.config.stash[TABLE]
    return table
