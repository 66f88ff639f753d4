"""Cheap meters: plain Python numbers that are counted in place and read when Prometheus scrapes.

prometheus-client's own counters cost about a microsecond an increment (a lock and a label look-up),
which a path of 30,000 messages a second cannot pay. Here a *cell* is an object with one number;
whoever counts binds it once and adds to it (about 50 ns). ``Meters`` is a prometheus-client collector
that turns all cells into metric families at scrape.

One thread may write a cell; any thread may scrape. A scrape may see a batch half counted, never a
torn number. Nothing here raises on data: a label value beyond its bound is counted as ``other`` and
reported, a callback that raises leaves its gauge out of that scrape and is counted.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as SampleFamily
from prometheus_client.utils import floatToGoString

OTHER = "other"
"""Where label values beyond their bound are counted."""

Cell = TypeVar("Cell")

Reading = (
    float | Mapping[tuple[str], float] | Mapping[tuple[str, str], float] | Mapping[tuple[str, ...], float]
)
"""What a gauge's callback returns: the number, or one number per tuple of label values."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label: its values known beforehand, and how many more may come (0: the set is closed).

    ``bound`` says in words what limits the values that are not known beforehand.
    """

    name: str
    values: tuple[str, ...] = ()
    more: int = 0
    bound: str = ""

    @property
    def closed(self) -> bool:
        """Whether all values are known beforehand."""
        return self.more == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDef:
    """One row of the table: what is measured, what it means, what to do when it is off.

    ``preset`` names the combinations of the closed labels that exist from the start (``None``: all
    of them). A counter that first appears at 1 has no increase for Prometheus; so it starts at 0.
    """

    name: str
    section: str
    unit: str
    labels: tuple[Label, ...] = ()
    meaning: str
    remedy: str
    preset: tuple[tuple[str, ...], ...] | None = None

    @property
    def type(self) -> str:
        """The Prometheus type as documents name it."""
        return type(self).__name__.removesuffix("Def").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterDef(MetricDef):
    """A number that only grows while the process lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeDef(MetricDef):
    """A number that goes up and down; absent until somebody sets or watches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoDef(MetricDef):
    """Constant 1 with what it tells in the labels; one row at a time, the last one told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramDef(MetricDef):
    """How values spread over ``buckets`` (ascending upper bounds; +Inf is added)."""

    buckets: tuple[float, ...]


class Counter:
    """A bound counter. ``value`` may also be added to directly in a tight loop."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, n: float = 1) -> None:
        """Count ``n`` more; ``n`` must not be negative."""
        self.value += n


class Gauge:
    """A bound gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def set(self, value: float) -> None:
        """The number is now ``value``."""
        self.value = value

    def add(self, n: float = 1) -> None:
        """The number is ``n`` higher (or lower, where negative)."""
        self.value += n


class Histogram:
    """A bound histogram: one list of bucket counts and a sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total: float = 0

    def observe(self, value: float) -> None:
        """Count one value. A negative one counts as 0: a sum that falls would read as a restart."""
        if value < 0:  # noqa: PLR1730  # max() costs twice as much
            value = 0
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bounds with how many values lie at or below each, as Prometheus writes them."""
        bounds = [*map(floatToGoString, self.bounds), "+Inf"]
        return list(zip(bounds, itertools.accumulate(self.counts), strict=True))


class Family(Generic[Cell]):
    """All cells of one metric by their label values, in the order of the table."""

    __slots__ = ("_make", "_overflow", "_room", "cells", "definition")

    def __init__(
        self, definition: MetricDef, make: Callable[[], Cell], overflow: Callable[[str], None]
    ) -> None:
        self.definition = definition
        self.cells: dict[tuple[str, ...], Cell] = {}
        self._make = make
        self._overflow = overflow
        self._room = [(set(label.values), label.more + len(label.values)) for label in definition.labels]

    def cell(self, values: tuple[str, ...]) -> Cell:
        """Return the cell of these label values; it exists, at zero, from now on."""
        cell = self.cells.get(values)
        return cell if cell is not None else self._admit(values)

    def expect(self, given: Mapping[str, str]) -> None:
        """Make the cells of the preset combinations, the open labels having the ``given`` values."""
        labels = self.definition.labels
        if any(not label.closed and label.name not in given for label in labels):
            return
        closed = [label.values for label in labels if label.name not in given]
        preset = self.definition.preset
        for combination in itertools.product(*closed) if preset is None else preset:
            rest = iter(combination)
            self.cell(tuple(given[label.name] if label.name in given else next(rest) for label in labels))

    def _admit(self, values: tuple[str, ...]) -> Cell:
        if len(values) != len(self._room):
            raise ValueError(f"{self.definition.name} has {len(self._room)} labels, got {len(values)} values")
        admitted = tuple(
            self._bounded(str(value), seen, room)
            for value, (seen, room) in zip(values, self._room, strict=True)
        )
        return self.cells.setdefault(admitted, self._make())

    def _bounded(self, value: str, seen: set[str], room: int) -> str:
        if value in seen:
            return value
        if len(seen) < room:
            seen.add(value)
            return value
        self._overflow(self.definition.name)
        return OTHER


class Meters:
    """Every cell of a table of metrics, and the collector that exports them.

    ``overflow`` and ``failure`` are the table's own two counters, labelled by metric name: a label
    value beyond its bound, and a callback that raised.
    """

    def __init__(self, table: Iterable[MetricDef], *, overflow: CounterDef, failure: CounterDef) -> None:
        self._overflow_name = overflow.name
        self._failure_name = failure.name
        self._counters: dict[str, Family[Counter]] = {}
        self._gauges: dict[str, Family[Gauge]] = {}
        self._histograms: dict[str, Family[Histogram]] = {}
        self._infos: dict[str, tuple[InfoDef, tuple[str, ...]]] = {}
        self._readers: dict[str, Callable[[], Reading]] = {}
        self.table = tuple(table)
        for definition in self.table:
            self._open(definition)

    def _open(self, definition: MetricDef) -> None:
        match definition:
            case CounterDef():
                counters = Family(definition, Counter, self._note_overflow)
                counters.expect({})
                self._counters[definition.name] = counters
            case HistogramDef(buckets=buckets):
                histograms = Family(definition, lambda: Histogram(buckets), self._note_overflow)
                histograms.expect({})
                self._histograms[definition.name] = histograms
            case GaugeDef():
                self._gauges[definition.name] = Family(definition, Gauge, self._note_overflow)
            case _:
                assert isinstance(definition, InfoDef)

    def _note_overflow(self, name: str) -> None:
        self._counters[self._overflow_name].cell((name,)).add()

    def inc(self, metric: CounterDef, *values: str, n: float = 1) -> None:
        """Count ``n`` more under these label values (in the table's order)."""
        self._counters[metric.name].cell(values).value += n

    def counter(self, metric: CounterDef, *values: str) -> Counter:
        """Bind a counter: the cell stays the same for the life of these meters."""
        return self._counters[metric.name].cell(values)

    def gauge(self, metric: GaugeDef, *values: str) -> Gauge:
        """Bind a gauge; it is exported from now on, at 0 until set."""
        return self._gauges[metric.name].cell(values)

    def histogram(self, metric: HistogramDef, *values: str) -> Histogram:
        """Bind a histogram."""
        return self._histograms[metric.name].cell(values)

    def watch(self, metric: GaugeDef, read: Callable[[], Reading]) -> None:
        """Read a gauge at scrape: ``read`` must be quick and must not block.

        It replaces an earlier callback and whatever was set for this metric. Label values that it
        no longer returns are no longer exported, which is what a revoked partition wants.
        """
        self._readers[metric.name] = read

    def forget(self, metric: GaugeDef, *values: str) -> None:
        """Export this gauge no longer (a partition was revoked, a receiver removed)."""
        self._gauges[metric.name].cells.pop(values, None)

    def tell(self, metric: InfoDef, *values: str) -> None:
        """Export these label values for an info metric, and no others."""
        if len(values) != len(metric.labels):
            raise ValueError(f"{metric.name} has {len(metric.labels)} labels, got {len(values)} values")
        self._infos[metric.name] = (metric, values)

    def expect(self, label: Label, value: str) -> None:
        """Start every counter and histogram whose only open label is this one at zero for ``value``."""
        families: tuple[Family[Counter] | Family[Histogram], ...] = (
            *self._counters.values(),
            *self._histograms.values(),
        )
        for family in families:
            if label in family.definition.labels:
                family.expect({label.name: value})

    def describe(self) -> Iterable[SampleFamily]:
        """Nothing: registering must not run the callbacks."""
        return ()

    def collect(self) -> Iterator[SampleFamily]:
        """Yield every metric that has a value, in the order of the table.

        The two counters about the meters themselves come last, so that they tell of this scrape.
        """
        own = (self._overflow_name, self._failure_name)
        for definition in sorted(self.table, key=lambda definition: definition.name in own):
            family = self._export(definition)
            if family is not None and family.samples:
                yield family

    def _export(self, definition: MetricDef) -> SampleFamily | None:
        labels = [label.name for label in definition.labels]
        match definition:
            case CounterDef():
                counter = CounterMetricFamily(definition.name, definition.meaning, labels=labels)
                for values, cell in tuple(self._counters[definition.name].cells.items()):
                    counter.add_metric(values, cell.value)
                return counter
            case HistogramDef():
                histogram = HistogramMetricFamily(definition.name, definition.meaning, labels=labels)
                for values, spread in tuple(self._histograms[definition.name].cells.items()):
                    histogram.add_metric(values, spread.cumulative(), spread.total)
                return histogram
            case GaugeDef():
                gauge = GaugeMetricFamily(definition.name, definition.meaning, labels=labels)
                for values, number in self._readings(definition).items():
                    gauge.add_metric(values, number)
                return gauge
            case InfoDef() if definition.name in self._infos:
                info = InfoMetricFamily(definition.name.removesuffix("_info"), definition.meaning)
                told = self._infos[definition.name][1]
                info.add_metric([], dict(zip(labels, told, strict=True)))
                return info
        return None

    def _readings(self, definition: GaugeDef) -> Mapping[tuple[str, ...], float]:
        read = self._readers.get(definition.name)
        if read is None:
            return {values: cell.value for values, cell in tuple(self._gauges[definition.name].cells.items())}
        try:
            return _numbers(read(), len(definition.labels))
        except Exception:  # noqa: BLE001  # one broken gauge must not take the scrape, and so all alerts, with it
            self._counters[self._failure_name].cell((definition.name,)).add()
            return {}


def _numbers(reading: Reading, labels: int) -> Mapping[tuple[str, ...], float]:
    numbers = reading if isinstance(reading, Mapping) else {(): reading}
    if any(len(values) != labels for values in numbers):
        raise ValueError(f"wrong number of label values, {labels} wanted")
    return {tuple(map(str, values)): float(number) for values, number in numbers.items()}
