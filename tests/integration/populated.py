"""A registry of metrics in which every metric of the table has values that keep moving."""

from __future__ import annotations

from stream import metrics as table
from stream.meters import CounterDef, GaugeDef, HistogramDef, InfoDef, MetricDef
from stream.metrics import Metrics

OPEN_VALUES = {
    "rule_id": "emotion.anger.explicit",
    "receiver": "dingtalk",
    "leg": "warehouse",
    "policy": "ola.default",
    "figure": "response_average_seconds",
    "topic": "chat.messages",
    "partition": "0",
    "hash": "3f2a",
    "version": "0.1.0",
    "metric": "yanshao_state_bytes",
}
"""A value for each label whose values are not known beforehand."""

GAUGES = {"yanshao_packs_last_load_timestamp_seconds": 1.7e9, "yanshao_conversations_open": 1200.0}
"""Gauges for which 1 would be no sensible number."""


def combinations(metric: MetricDef) -> list[tuple[str, ...]]:
    """Two label sets of a metric (one where it has no labels): the first and the last known values."""
    firsts = tuple(label.values[0] if label.values else OPEN_VALUES[label.name] for label in metric.labels)
    lasts = tuple(label.values[-1] if label.values else OPEN_VALUES[label.name] for label in metric.labels)
    return list(dict.fromkeys((firsts, lasts)))


def populated() -> Metrics:
    """Return meters with a value for every metric of the table."""
    metrics = Metrics()
    for metric in table.TABLE:
        for values in combinations(metric):
            match metric:
                case GaugeDef():
                    metrics.gauge(metric, *values).set(GAUGES.get(metric.name, 1.0))
                case InfoDef():
                    metrics.tell(metric, *values)
    metrics.expect(table.RULE_ID, OPEN_VALUES["rule_id"])
    metrics.expect(table.RECEIVER, OPEN_VALUES["receiver"])
    for outcome in table.CLOCK_OUTCOME.values:
        metrics.counter(table.CLOCKS_STOPPED, "leg", "warehouse", "ola.default", outcome)
    return metrics


def advance(metrics: Metrics) -> None:
    """Count everything once more, as a moment of traffic would."""
    for metric in table.TABLE:
        for values in _all_values(metric):
            match metric:
                case CounterDef():
                    metrics.inc(metric, *values)
                case HistogramDef():
                    for bound in metric.buckets:
                        metrics.histogram(metric, *values).observe(bound)


def _all_values(metric: MetricDef) -> list[tuple[str, ...]]:
    if metric is table.CLOCKS_STOPPED:
        return [("leg", "warehouse", "ola.default", outcome) for outcome in table.CLOCK_OUTCOME.values]
    if metric is table.NOTIFICATIONS:
        return [("dingtalk", outcome, reason) for outcome, reason in table.NOTIFICATIONS.preset or ()]
    values: list[tuple[str, ...]] = [()]
    for label in metric.labels:
        choices = label.values or (OPEN_VALUES[label.name],)
        values = [(*value, choice) for value in values for choice in choices]
    return values
