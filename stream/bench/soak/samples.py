"""One look at everything: the worker's process, what it says of itself, and what the broker says of it."""

from __future__ import annotations

import csv
import os
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families

from stream import metrics as m

Sample = dict[str, float]
"""Values by column; a column that could not be read is not there."""

TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
KIB: Final = 1024

GAUGES: Final[Mapping[str, str]] = {
    "tasks": m.TASKS.name,
    "conversations": m.CONVERSATIONS_OPEN.name,
    "state_bytes": m.STATE_BYTES.name,
    "customers": m.CUSTOMERS_HELD.name,
    "customer_bytes": m.CUSTOMER_BYTES.name,
    "pending": m.LEDGER_PENDING.name,
}
"""Column, and the metric of the worker whose sum it is."""

OWN: Final = (
    "second", "messages", "behind_s", "rss", "pss", "fds", "threads", "cpu_s", *GAUGES, "gc0", "gc1", "gc2",
    "lag", "alerts_due", "alerts_matched", "late_p50_s", "late_p99_s", "load_rss", "observer_rss",
)  # fmt: skip
"""Columns but for the lag by partition, in order. ``lag`` is the sum; bytes, seconds, counts."""


def process(pid: int) -> Sample:
    """Return memory (bytes), descriptors, threads, CPU seconds of a process (Linux); empty if it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        status = _fields(folder / "status")
        stat = (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return {
            "rss": float(status["VmRSS"].split()[0]) * KIB,
            "pss": float(_fields(folder / "smaps_rollup")["Pss"].split()[0]) * KIB,
            "fds": len(os.listdir(folder / "fd")),  # noqa: PTH208 - one system call, and a count is all
            "threads": float(status["Threads"]),
            "cpu_s": (int(stat[11]) + int(stat[12])) / TICKS_A_SECOND,
        }
    except (OSError, KeyError):
        return {}


def _fields(path: Path) -> dict[str, str]:
    lines = path.read_text("ascii", "replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def account(port: int) -> Sample:
    """Return what the worker says of itself; empty where it does not answer in time."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    sums: Sample = {}
    collections: Sample = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            sums[one.name] = sums.get(one.name, 0.0) + one.value
            if one.name == "python_gc_collections_total":
                collections[f"gc{one.labels['generation']}"] = one.value
    return {column: sums[name] for column, name in GAUGES.items() if name in sums} | collections


class Lags:
    """How far a group is behind in each partition of some topics, as the broker knows it."""

    def __init__(self, bootstrap: str, group: str, topics: Mapping[str, int]) -> None:
        self._group = group
        self._places = [TopicPartition(topic, n) for topic, count in topics.items() for n in range(count)]
        self._admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap)

    @property
    def columns(self) -> list[str]:
        """The columns of the partitions."""
        return [_column(place) for place in self._places]

    def read(self) -> Sample:
        """Return the lag of each partition, and their sum; empty where the broker does not say."""
        try:
            ends = self._consumer.end_offsets(self._places)
            committed = self._admin.list_group_offsets({self._group: None}).get(self._group, {})
        except KafkaError:
            return {}
        done = {TopicPartition(tp.topic, tp.partition): value.offset for tp, value in committed.items()}
        lag: Sample = {
            _column(place): float(max(0, ends[place] - max(0, done.get(place, 0)))) for place in self._places
        }
        return lag | {"lag": sum(lag.values())}

    def close(self) -> None:
        """End the connections."""
        self._consumer.close()
        self._admin.close()


def _column(place: TopicPartition) -> str:
    return f"lag {place.topic}/{place.partition}"


class Table:
    """Samples in a CSV file, each there as soon as it was made."""

    def __init__(self, file: TextIO, columns: Sequence[str]) -> None:
        self._file = file
        self._writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        self._writer.writeheader()

    def add(self, sample: Mapping[str, float]) -> None:
        """Write a line."""
        self._writer.writerow({name: f"{value:.10g}" for name, value in sample.items()})
        self._file.flush()
