"""Fixtures and options of all tests.

Tests marked `kafka`, `prometheus` or `browser` need more than Python. Where that is missing they are
skipped, and the summary says so loudly; what `YANSHAO_REQUIRE=kafka,prometheus,browser` names must be
there, or they fail.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from kafka.admin import KafkaAdminClient

from stream.runtime.broker import BrokerError, LocalBroker, fetch_jars, find_java
from stream.testing import ManualClock, cache_home
from tests.integration.kafkasystem import Receiver, receiver

JARS = cache_home(os.environ) / "kafka"

# One machine must give the same verdict twice; `long` is for looking for what is not yet known.
settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long", deadline=None, max_examples=3000, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def _missing_kafka() -> str | None:
    try:
        find_java()
        fetch_jars(JARS)
    except BrokerError as error:
        return str(error)
    return None


def _missing_command(*alternatives: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        return None if any(map(shutil.which, alternatives)) else f"{' or '.join(alternatives)} not found"

    return missing


NEEDS: dict[str, Callable[[], str | None]] = {
    "kafka": _missing_kafka,
    "prometheus": _missing_command("promtool"),
    "browser": _missing_command("chromium", "chromium-browser", "google-chrome"),
}
"""A mark, and what says why its need is not met."""

LOUD = "NOT TESTED HERE"

LONG_ROUNDS = 20
"""What `make chaos` must survive of each kind; `--chaos-rounds` or the mark `rounds` says another number."""

FUZZ_ROUNDS = 10
"""Of a hundred thousand records, or requests, each: a round that fails can be run again by itself."""

MISSING = pytest.StashKey[dict[str, str | None]]()
BROKER_DIR = pytest.StashKey[Path]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--chaos",
        choices=("short", "long"),
        default="short",
        help="how long the tests marked `chaos` go on killing processes (default: short)",
    )
    parser.addoption(
        "--chaos-seed",
        type=int,
        default=0,
        help="the first round's seed; the next rounds count on from it (default: 0)",
    )
    parser.addoption(
        "--chaos-rounds",
        type=int,
        default=LONG_ROUNDS,
        help=f"how many rounds of each kind the long form has (default: {LONG_ROUNDS})",
    )
    parser.addoption(
        "--chaos-table", type=Path, default=None, help="write the table of all mixed rounds to this file"
    )
    parser.addoption(
        "--fuzz",
        choices=("short", "long"),
        default="short",
        help="how many records and requests are made up: some thousands, or a million each (default: short)",
    )
    parser.addoption("--fuzz-seed", type=int, default=1, help="the first round's seed (default: 1)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a chaos test its rounds, one test each: a seed that fails can be run again by itself."""
    if "chaos_seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--chaos-seed")
        mark = metafunc.definition.get_closest_marker("rounds")
        most = metafunc.config.getoption("--chaos-rounds") if mark is None else int(mark.args[0])
        rounds = most if metafunc.config.getoption("--chaos") == "long" else 1
        metafunc.parametrize("chaos_seed", range(first, first + rounds))
    if "fuzz_seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--fuzz-seed")
        rounds = FUZZ_ROUNDS if metafunc.config.getoption("--fuzz") == "long" else 1
        metafunc.parametrize("fuzz_seed", range(first, first + rounds))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rounds(number): of a chaos test, how many rounds its long form has")
    config.addinivalue_line("markers", "browser: needs a browser that can run without a screen")
    config.stash[MISSING] = {}
    from_controller: str | None = getattr(config, "workerinput", {}).get("broker_dir")
    # Outside pytest's own folder, which is kept for three runs: a broker's data is large. Made when needed.
    own = Path(tempfile.gettempdir()) / f"yanshao-kafka-{secrets.token_hex(6)}"
    config.stash[BROKER_DIR] = Path(from_controller) if from_controller else own


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist where the one broker of all of them lives."""
    node.workerinput["broker_dir"] = str(node.config.stash[BROKER_DIR])


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the shared broker once, in the process that outlives all others."""
    if not hasattr(config, "workerinput") and BROKER_DIR in config.stash:
        LocalBroker(JARS, config.stash[BROKER_DIR]).stop()
        shutil.rmtree(config.stash[BROKER_DIR], ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    required = os.environ.get("YANSHAO_REQUIRE", "").split(",")
    found = item.config.stash[MISSING]
    for need, missing in NEEDS.items():
        if item.get_closest_marker(need) is None:
            continue
        if need not in found:
            found[need] = missing()
        reason = found[need]
        if reason is not None and need in required:
            pytest.fail(f"YANSHAO_REQUIRE names {need}: {reason}", pytrace=False)
        if reason is not None:
            pytest.skip(f"{LOUD}: {need}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = Counter(
        report.longrepr[2].split(f"{LOUD}: ", 1)[1]
        for report in terminalreporter.getreports("skipped")
        if isinstance(report.longrepr, tuple) and LOUD in report.longrepr[2]
    )
    for reason, count in sorted(skipped.items()):
        terminalreporter.write_line(f"{LOUD}: {count} test(s): {reason}", yellow=True, bold=True)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when told to."""
    return ManualClock()


@pytest.fixture(scope="session")
def chaos_is_long(request: pytest.FixtureRequest) -> bool:
    """Was `--chaos=long` given?"""
    return bool(request.config.getoption("--chaos") == "long")


@pytest.fixture(scope="session")
def fuzz_is_long(request: pytest.FixtureRequest) -> bool:
    """Was `--fuzz=long` given?"""
    return bool(request.config.getoption("--fuzz") == "long")


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """The address `host:port` of the one broker of this run, shared by all its processes.

    A test that stops or kills a broker takes `own_broker`.
    """
    return LocalBroker(JARS, request.config.stash[BROKER_DIR]).start()


@pytest.fixture(scope="session")
def kafka_admin(kafka: str) -> Iterator[KafkaAdminClient]:
    """An admin client of the shared broker."""
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        yield admin


@pytest.fixture(scope="session")
def _prefixes(request: pytest.FixtureRequest) -> Iterator[str]:
    worker = getattr(request.config, "workerinput", {}).get("workerid", "main")
    return (f"{worker}-{number}." for number in itertools.count())


@pytest.fixture
def topic_prefix(_prefixes: Iterator[str]) -> str:
    """What this test puts before the names of its topics and groups, so that no other test meets them."""
    return next(_prefixes)


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """A real HTTP receiver of webhooks."""
    with receiver() as one:
        yield one


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """A broker of this test alone, not yet started; the test may kill it."""
    broker = LocalBroker(JARS, tmp_path / "broker")
    yield broker
    broker.kill()
