"""What the rounds of the chaos suite share."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from stream.runtime.broker import HOST
from tests.chaos.driver.proxy import Proxy
from tests.chaos.driver.report import Table


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """What stands between a worker and its broker, on a free port."""
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    one = Proxy(port)
    yield one
    one.close()


@pytest.fixture(scope="session")
def chaos_table(request: pytest.FixtureRequest) -> Iterator[Table]:
    """Where a mixed round adds its line; a run of several ends with the table of them."""
    table = Table(request.config.getoption("--chaos-table"))
    yield table
    if len(table.rounds) > 1:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n{table.text()}")
