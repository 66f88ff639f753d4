"""Is this machine, and this configuration, fit to run? Each check stands alone; none changes anything."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from stream.settings import Listen, Settings

LEAST_PYTHON: Final = (3, 11)

LITTLE_DISK: Final = 1024**3
"""A shop of a hundred chats a day writes a few megabytes a day; less than this is gone within months."""

NO_DISK: Final = 100 * 1024**2
"""SQLite's write-ahead log and a changelog segment need room to turn round."""

LEAST_FILES: Final = 1024
"""Open files: connections of customers' systems, log segments, the store. Below it 429s come early."""

EARLIEST_MS: Final = 1_735_689_600_000
"""2025-01-01: this program is younger, so a clock before it is wrong."""


class Verdict(StrEnum):
    """How a check came out. Only ``problem`` keeps the machine from being fit."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Check(msgspec.Struct, frozen=True):
    """One thing looked at: what was found, and what to do where it is not well."""

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def machine() -> Iterator[Check]:
    """Check what does not depend on the configuration: Python, packages, clock, limits."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= LEAST_PYTHON:
        yield Check("python", Verdict.OK, version)
    else:
        yield Check("python", Verdict.PROBLEM, version, "Python 3.11 or newer is needed")
    yield _packages()
    now_ms = time.time_ns() // 1_000_000
    if now_ms < EARLIEST_MS:
        yield Check("clock", Verdict.PROBLEM, "the system's clock is years behind", "set it; use NTP")
    yield _open_files()


def configured(settings: Settings) -> Iterator[Check]:
    """Check what the embedded runtime needs: data directory, store, packs, ports."""
    yield from data_directory(settings.data_dir.expanduser())
    yield store(settings.data_dir.expanduser())
    yield packs(settings)
    yield port("events port", settings.listen.host, settings.listen.port)
    yield port("metrics port", settings.listen.metrics_host, settings.listen.metrics_port)
    yield exposure(settings.listen)


def _packages(distribution: str = "yanshao") -> Check:
    try:
        wanted = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return Check("packages", Verdict.PROBLEM, f"{distribution} is not installed", "pip install it")
    wrong = []
    needed = [requirement for requirement in wanted if "extra ==" not in requirement]
    for requirement in needed:
        name = _NAME.match(requirement)
        if name is None:
            continue
        try:
            version = metadata.version(name[0])
        except metadata.PackageNotFoundError:
            wrong.append(f"{name[0]} is missing")
            continue
        if not within(version, requirement):
            wrong.append(f"{name[0]} {version} (wanted: {requirement.removeprefix(name[0]).strip()})")
    if wrong:
        return Check("packages", Verdict.PROBLEM, "; ".join(wrong), "install again with the lock file")
    return Check("packages", Verdict.OK, f"{len(needed)} as required")


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BOUND: Final = re.compile(r"(>=|<)\s*([0-9][0-9.]*)")


def within(version: str, requirement: str) -> bool:
    """Return whether a version is within the ``>=`` and ``<`` bounds of a requirement: all that ours use."""
    found = _numbers(version)
    for sign, bound in _BOUND.findall(requirement):
        limit = _numbers(bound)
        size = max(len(found), len(limit))
        padded = found + (0,) * (size - len(found)), limit + (0,) * (size - len(limit))
        if (padded[0] < padded[1]) if sign == ">=" else (padded[0] >= padded[1]):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    head = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, head[0].split("."))) if head else ()


def _open_files() -> Check:
    import resource  # noqa: PLC0415 - not on every system

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        advice = f"raise it to {LEAST_FILES} or more (ulimit -n, LimitNOFILE)"
        return Check("open files", Verdict.WARNING, f"at most {soft}", advice)
    return Check(
        "open files", Verdict.OK, "unlimited" if soft == resource.RLIM_INFINITY else f"at most {soft}"
    )


def data_directory(path: Path) -> Iterator[Check]:
    """Check that the data directory can be used, is the owner's alone, and has room."""
    existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if not path.exists():
        if os.access(existing, os.W_OK | os.X_OK):
            yield Check("data directory", Verdict.OK, f"{path}: will be made at the first run")
        else:
            yield Check(
                "data directory",
                Verdict.PROBLEM,
                f"{path}: cannot be made",
                f"make it, or write to {existing}",
            )
    elif not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield Check(
            "data directory", Verdict.PROBLEM, f"{path}: not writable", "set YANSHAO_DATA or its owner"
        )
    elif mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
        found = f"{path}: others may enter (mode {stat.S_IMODE(path.stat().st_mode):o}, {mode:o} too much)"
        yield Check(
            "data directory", Verdict.WARNING, found, f"chmod 700 {path}: chats and the token lie there"
        )
    else:
        yield Check("data directory", Verdict.OK, str(path))
    free = shutil.disk_usage(existing).free
    verdict = Verdict.PROBLEM if free < NO_DISK else Verdict.WARNING if free < LITTLE_DISK else Verdict.OK
    advice = "" if verdict is Verdict.OK else "make room, or set YANSHAO_DATA to another disk"
    yield Check("disk", verdict, f"{free / 1024**3:.1f} GiB free", advice)


def store(data_dir: Path) -> Check:
    """Check that this release can read the embedded store."""
    from stream.runtime.store import StoreVersionError, open_read_only  # noqa: PLC0415

    try:
        with open_read_only(data_dir) as connection:
            (count,) = connection.execute("SELECT count(*) FROM conversations").fetchone()
            (dead,) = connection.execute("SELECT count(*) FROM dlq").fetchone()
    except FileNotFoundError:
        return Check("store", Verdict.OK, "none yet: nothing has run here")
    except StoreVersionError as error:
        return Check("store", Verdict.PROBLEM, str(error), "use the release that made it, or a newer one")
    except sqlite3.Error as error:
        return Check("store", Verdict.PROBLEM, f"cannot be read: {error}", "restore it from a backup")
    if dead:
        return Check(
            "store", Verdict.WARNING, f"{count} conversations; {dead} dead letters", "yanshao dlq list"
        )
    return Check("store", Verdict.OK, f"{count} conversations")


def packs(settings: Settings) -> Check:
    """Check that the packs compile and their own tests pass."""
    from stream import models  # noqa: PLC0415
    from stream.packs import Options, check, try_open  # noqa: PLC0415
    from stream.runtime.knowledge import directories_of  # noqa: PLC0415

    today = datetime.now(settings.tzinfo).date()
    book, raw, problems = try_open(directories_of(settings), Options(disable=settings.disable), today)
    errors = [problem for problem in problems if problem.severity == "error"]
    if not errors:
        errors = check.run(book, models.build_annotator(book.terms), raw)
    if errors:
        more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
        return Check("packs", Verdict.PROBLEM, f"{errors[0]}{more}", "yanshao packs check")
    return Check("packs", Verdict.OK, f"{len(book.rules)} rules, version {book.version}")


def port(name: str, host: str, number: int) -> Check:
    """Check that a port can be listened on, or is already ours."""
    if not number:
        return Check(name, Verdict.OK, "any free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            # As a server does: connections of a process that ended do not hold the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, number))
    except OSError as error:
        if _speaks_http(host, number):
            return Check(
                name, Verdict.WARNING, f"{host}:{number} is taken by an HTTP server", "is Yanshao running?"
            )
        return Check(name, Verdict.PROBLEM, f"{host}:{number}: {error.strerror}", "choose another (listen.*)")
    return Check(name, Verdict.OK, f"{host}:{number} is free")


def _speaks_http(host: str, number: int) -> bool:
    connection = HTTPConnection(host, number, timeout=1)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def exposure(listen: Listen) -> Check:
    """Check that the doors are open to this machine alone, unless that was meant."""
    hosts = {
        host for host in (listen.host, listen.metrics_host) if host not in ("127.0.0.1", "::1", "localhost")
    }
    if hosts:
        advice = "put TLS and a firewall in front; /metrics asks for no token"
        return Check("exposure", Verdict.WARNING, f"listens at {', '.join(sorted(hosts))}", advice)
    return Check("exposure", Verdict.OK, "this machine alone")


def kafka(settings: Settings, receivers: Sequence[str]) -> Iterator[Check]:
    """Check that the brokers answer and the topics are as the workers need them."""
    from stream.runtime import cluster, topics  # noqa: PLC0415

    where = ", ".join(settings.kafka.bootstrap)
    try:
        wanted = cluster.wanted_topics(settings.kafka, receivers)
        started = time.monotonic()
        with cluster.admin(settings.kafka) as admin:
            brokers = len(admin.describe_cluster()["brokers"])
            took = time.monotonic() - started
            yield Check("kafka", Verdict.OK, f"{brokers} brokers at {where}, {took * 1000:.0f} ms")
            differences = topics.check(admin, wanted)
    except topics.TopicsError as error:
        yield Check("topics", Verdict.PROBLEM, str(error), "docs/configuration.md")
        return
    except cluster.UnreachableError as error:
        yield Check(
            "kafka", Verdict.PROBLEM, str(error), "kafka.bootstrap and security; locally: yanshao kafka start"
        )
        return
    if not differences:
        yield Check("topics", Verdict.OK, f"{len(wanted)} as wanted")
        return
    blocking = [one for one in differences if one.fatal or one.what == "topic"]
    verdict = Verdict.PROBLEM if blocking else Verdict.WARNING
    yield Check("topics", verdict, f"{len(differences)} differences", "yanshao topics check")


def local_kafka(jars: Callable[[], Path]) -> Iterator[Check]:
    """Check what `yanshao kafka start` needs: Java, and Maven where the jars are not yet there."""
    from stream.runtime.broker import BrokerError, find_java  # noqa: PLC0415

    try:
        yield Check("java", Verdict.OK, find_java())
    except BrokerError as error:
        yield Check("java", Verdict.WARNING, str(error), "only needed for a local Kafka")
    if jars().is_dir():
        yield Check("kafka jars", Verdict.OK, "fetched")
    elif found := shutil.which("mvn"):
        yield Check("maven", Verdict.OK, found)
    else:
        yield Check("maven", Verdict.WARNING, "mvn not found", "only needed to fetch a local Kafka")


def run(checks: Sequence[Callable[[], Iterator[Check]]]) -> Iterator[Check]:
    """Yield what the checks find; one that fails in a way nobody foresaw is itself a problem."""
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a doctor must not die of what it finds
            yield Check("doctor", Verdict.PROBLEM, f"a check failed: {type(error).__name__}", "report it")
