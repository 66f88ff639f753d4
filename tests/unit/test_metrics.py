"""The table of metrics, the meters, and what is exposed."""

from __future__ import annotations

import math
import re
import timeit
from pathlib import Path
from typing import assert_type

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from alerts import model
from alerts.metrics import DeliveryMetrics, Repeat
from stream import metrics as table
from stream.core.events import Received
from stream.meters import OTHER, Counter, CounterDef, GaugeDef, Histogram, HistogramDef, InfoDef, MetricDef
from stream.metrics import TABLE, DeliveryCounts, Metrics, metrics_markdown, render
from stream.wire.errors import Reason as InvalidReason

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {metric.name: metric for metric in TABLE}
IDS = {
    "conversation_id",
    "message_id",
    "agent",
    "agent_id",
    "shop",
    "shop_id",
    "customer",
    "customer_id",
    "alert_id",
}

metric = pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)


def exposed(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of ``/metrics`` by name and labels, read back by the client library's parser."""
    body, _ = render(metrics)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse_text(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample, or ``None``."""
    return exposed(metrics).get((name, tuple(sorted(labels.items()))))


class TestTable:
    @metric
    def test_a_name_says_its_type_and_unit(self, metric: MetricDef) -> None:
        assert re.fullmatch(r"yanshao_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == isinstance(metric, CounterDef)
        assert metric.name.endswith("_info") == isinstance(metric, InfoDef)
        for unit in ("seconds", "bytes"):
            assert (metric.unit == unit) == metric.name.removesuffix("_total").endswith(unit)
        assert "_ms" not in metric.name

    @metric
    def test_a_row_says_what_it_means_and_what_to_do(self, metric: MetricDef) -> None:
        for text in (metric.meaning, metric.remedy):
            assert len(text) > 20
            assert text.endswith(".")
            assert "|" not in text, "it would break the document's table"

    @metric
    def test_labels_are_bounded_and_never_ids_of_people_or_chats(self, metric: MetricDef) -> None:
        names = [label.name for label in metric.labels]
        assert len(set(names)) == len(names)
        assert not IDS & set(names)
        for label in metric.labels:
            assert len(set(label.values)) == len(label.values)
            assert label.closed or (label.more <= 5000 and label.bound)

    @metric
    def test_buckets_rise_and_are_few(self, metric: MetricDef) -> None:
        if isinstance(metric, HistogramDef):
            assert list(metric.buckets) == sorted(set(metric.buckets))
            assert len(metric.buckets) <= 12
            assert all(map(math.isfinite, metric.buckets))

    def test_names_are_unique(self) -> None:
        assert len(BY_NAME) == len(TABLE)

    def test_reasons_are_those_of_the_parts_that_give_them(self) -> None:
        assert set(table.INVALID_REASON.values) == set(InvalidReason)
        assert set(table.REASON.values) == {table.NONE, *model.Reason}
        assert set(table.DELIVERY_OUTCOME.values) == set(model.Outcome) - {model.Outcome.PENDING}
        assert set(table.ALERT_STATUS.values) == set(model.AlertStatus)
        assert set(table.SEVERITY.values) == set(model.Severity)
        assert set(table.REPEAT.values) == set(Repeat)

    def test_event_types_are_those_of_the_contract(self) -> None:
        assert {"message", "conversation.closed", "order.paid", "tick", "timer"} <= set(table.TYPE.values)
        assert Received.__annotations__["flags"]
        assert table.FLAG.values == ("clock_skew", "bad_unicode")

    def test_the_document_is_what_the_table_says(self) -> None:
        written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
        assert written == metrics_markdown(), "docs/metrics.md is old: make docs"


class TestMeters:
    def test_a_counter_of_closed_labels_starts_at_zero(self) -> None:
        """Prometheus sees no increase in a series that first appears at 1."""
        metrics = Metrics()
        assert value(metrics, "yanshao_events_total", type="message", source="kafka") == 0
        assert value(metrics, "yanshao_events_late_total") == 0
        assert value(metrics, "yanshao_summaries_total", outcome="abandoned", revision="later") == 0

    def test_an_expected_receiver_starts_at_zero_in_what_can_happen_to_it(self) -> None:
        metrics = Metrics()
        metrics.expect(table.RECEIVER, "ding")
        name = "yanshao_notifications_total"
        assert value(metrics, name, receiver="ding", outcome="failed", reason="rejected") == 0
        assert value(metrics, name, receiver="ding", outcome="delivered", reason="none") == 0
        assert value(metrics, name, receiver="ding", outcome="delivered", reason="rejected") is None
        assert value(metrics, "yanshao_delivery_seconds_count", receiver="ding") == 0

    def test_a_bound_cell_and_inc_count_the_same_number(self) -> None:
        metrics = Metrics()
        counter = assert_type(metrics.counter(table.EVENTS, "message", "http"), Counter)
        counter.add()
        counter.add(4)
        metrics.inc(table.EVENTS, "message", "http", n=2)
        assert value(metrics, "yanshao_events_total", type="message", source="http") == 7

    def test_a_value_outside_a_closed_set_is_counted_as_other_and_told(self) -> None:
        metrics = Metrics()
        metrics.inc(table.EVENTS_MENDED, "upside_down", n=3)
        assert value(metrics, "yanshao_events_mended_total", flag=OTHER) == 3
        assert (
            value(metrics, "yanshao_metrics_label_overflow_total", metric="yanshao_events_mended_total") == 1
        )

    def test_an_open_set_takes_so_many_values_and_no_more(self) -> None:
        metrics = Metrics()
        for number in range(table.QUEUE.more + 5):
            metrics.gauge(table.QUEUE_DEPTH, f"queue-{number}").set(number)
        series = [labels for name, labels in exposed(metrics) if name == "yanshao_queue_depth"]
        assert len(series) == table.QUEUE.more + 1
        assert (("queue", OTHER),) in series

    def test_a_wrong_number_of_label_values_is_our_own_mistake(self) -> None:
        with pytest.raises(ValueError, match="yanshao_events_total has 2 labels, got 1"):
            Metrics().inc(table.EVENTS, "message")
        with pytest.raises(ValueError, match="yanshao_build_info has 2 labels"):
            Metrics().tell(table.BUILD_INFO, "1")

    def test_a_gauge_is_absent_until_it_is_known(self) -> None:
        metrics = Metrics()
        assert value(metrics, "yanshao_ready") is None
        metrics.gauge(table.READY).set(1)
        assert value(metrics, "yanshao_ready") == 1
        metrics.forget(table.READY)
        assert value(metrics, "yanshao_ready") is None

    def test_a_watched_gauge_is_read_at_each_scrape_and_drops_what_is_gone(self) -> None:
        metrics = Metrics()
        lag = {("chat.messages", "0"): 5.0, ("chat.messages", "1"): 7.0}
        metrics.watch(table.PARTITION_LAG, lambda: lag)
        assert value(metrics, "yanshao_partition_lag_records", topic="chat.messages", partition="1") == 7
        del lag["chat.messages", "1"]
        assert value(metrics, "yanshao_partition_lag_records", topic="chat.messages", partition="1") is None
        assert value(metrics, "yanshao_partition_lag_records", topic="chat.messages", partition="0") == 5

    def test_a_gauge_that_cannot_be_read_is_left_out_and_told_in_the_same_scrape(self) -> None:
        metrics = Metrics()
        metrics.watch(table.STATE_BYTES, lambda: 1 / 0)
        metrics.watch(table.LEDGER_PENDING, lambda: 3.0)  # a label value is missing
        metrics.gauge(table.READY).set(1)
        samples = exposed(metrics)
        assert ("yanshao_state_bytes", ()) not in samples
        assert samples["yanshao_ready", ()] == 1
        for name in ("yanshao_state_bytes", "yanshao_ledger_pending"):
            assert samples["yanshao_metrics_read_errors_total", (("metric", name),)] == 1

    def test_an_info_metric_shows_the_last_thing_told_alone(self) -> None:
        metrics = Metrics()
        metrics.tell(table.PACKS_INFO, "old")
        metrics.tell(table.PACKS_INFO, "new")
        shown = {
            labels: number
            for (name, labels), number in exposed(metrics).items()
            if name == "yanshao_packs_info"
        }
        assert shown == {(("hash", "new"),): 1}

    def test_two_registries_share_nothing(self) -> None:
        one, other = Metrics(), Metrics()
        one.inc(table.EVENTS_LATE)
        assert value(other, "yanshao_events_late_total") == 0

    @given(st.lists(st.floats(0, 100_000, allow_nan=False), max_size=50))
    def test_a_histogram_counts_what_lies_at_or_below_each_bound(self, values: list[float]) -> None:
        bounds = table.RESPONSE_BOUNDS
        histogram = Histogram(bounds)
        for number in values:
            histogram.observe(number)
        wanted = [sum(number <= bound for number in values) for bound in (*bounds, math.inf)]
        assert [count for _, count in histogram.cumulative()] == wanted
        assert histogram.total == sum(values)

    def test_a_negative_value_counts_as_zero(self) -> None:
        """A sender's clock may run ahead; a sum that falls would read as a restart of the process."""
        histogram = Histogram((1.0,))
        histogram.observe(-5)
        assert histogram.cumulative() == [("1.0", 1), ("+Inf", 1)]
        assert histogram.total == 0

    def test_counting_is_several_times_cheaper_than_the_client_librarys_own(self) -> None:
        theirs = prometheus_client.Counter(
            "reference", "For comparison.", ["type"], registry=prometheus_client.CollectorRegistry()
        ).labels("message")
        ours = Metrics().counter(table.EVENTS, "message", "kafka")
        own, reference = (min(timeit.repeat(add, number=20_000, repeat=7)) for add in (ours.add, theirs.inc))
        assert own * 2 < reference


class TestRender:
    def test_plain_text_is_given_to_whoever_asks_for_nothing(self) -> None:
        body, content_type = render(Metrics())
        assert content_type.startswith("text/plain")
        assert body.endswith(b"\n")

    def test_openmetrics_is_given_to_whoever_asks_and_parses(self) -> None:
        metrics = Metrics()
        metrics.tell(table.BUILD_INFO, "0.1.0", "local")
        body, content_type = render(metrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        assert content_type.startswith("application/openmetrics-text")
        names = {family.name for family in parse_openmetrics(body.decode())}
        assert {
            "yanshao_build",
            "yanshao_events",
            "yanshao_delivery_seconds",
            "process_cpu_seconds",
        } - names == {
            "yanshao_delivery_seconds"  # no receiver is configured yet
        }

    def test_what_the_client_library_adds_is_documented(self) -> None:
        ours = {f"{metric.name}{suffix}" for metric in TABLE for suffix in ("", "_bucket", "_sum", "_count")}
        added = {name for name, _ in exposed(Metrics())} - ours
        assert added == {name for name, _ in table.PROCESS_METRICS}

    def test_every_metric_can_be_shown(self) -> None:
        metrics = Metrics()
        for row in TABLE:
            values = tuple(label.values[0] if label.values else "x" for label in row.labels)
            match row:
                case CounterDef():
                    metrics.inc(row, *values)
                case GaugeDef():
                    metrics.gauge(row, *values).set(2)
                case HistogramDef():
                    metrics.histogram(row, *values).observe(2)
                case InfoDef():
                    metrics.tell(row, *values)
        names = {name for name, _ in exposed(metrics)}
        assert {row.name + ("_count" if isinstance(row, HistogramDef) else "") for row in TABLE} <= names


class TestDeliveryCounts:
    def test_delivery_is_counted_under_its_receiver_and_reason(self) -> None:
        metrics = Metrics()
        counts: DeliveryMetrics = DeliveryCounts(metrics)
        counts.accepted("ding")
        counts.attempted("ding", model.Reason.THROTTLED)
        counts.attempted("ding", None)
        counts.finished("ding", model.Outcome.DELIVERED, None)
        counts.finished("wecom", model.Outcome.FAILED, model.Reason.REJECTED)
        counts.repeated("ding", Repeat.AFTER_RESTART)
        counts.delivered_after("ding", 0.2)
        counts.queue_depth("ding", 4)
        counts.receiver_up("ding", False)
        counts.ledger_failed()
        samples = {
            (name, tuple(text for _, text in labels)): number
            for (name, labels), number in exposed(metrics).items()
            if number or name == "yanshao_receiver_up"
        }
        wanted = {
            ("yanshao_notifications_accepted_total", ("ding",)): 1,
            ("yanshao_delivery_attempts_total", ("throttled", "ding")): 1,
            ("yanshao_delivery_attempts_total", ("none", "ding")): 1,
            ("yanshao_notifications_total", ("delivered", "none", "ding")): 1,
            ("yanshao_notifications_total", ("failed", "rejected", "wecom")): 1,
            ("yanshao_notification_repeats_total", ("ding", "after_restart")): 1,
            ("yanshao_delivery_seconds_bucket", ("0.25", "ding")): 1,
            ("yanshao_delivery_seconds_sum", ("ding",)): 0.2,
            ("yanshao_ledger_pending", ("ding",)): 4,
            ("yanshao_receiver_up", ("ding",)): 0,
            ("yanshao_ledger_errors_total", ()): 1,
        }
        assert {key: samples.get(key) for key in wanted} == wanted
        assert ("yanshao_delivery_seconds_bucket", ("0.1", "ding")) not in samples
