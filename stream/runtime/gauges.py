"""What every process tells of itself beside its counters: what it holds, what it knows, what it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version

from alerts.model import Severity
from stream import metrics as m
from stream.core.book import RuleBook
from stream.core.standing import Standing
from stream.metrics import Metrics
from stream.runtime.conversations import Conversations
from stream.runtime.customers import Customers


def describe_process(metrics: Metrics, runtime: str, receivers: Iterable[str]) -> None:
    """Tell version and runtime, and let the receivers' counters begin at zero."""
    metrics.tell(m.BUILD_INFO, version("yanshao"), runtime)
    for receiver in receivers:
        metrics.expect(m.RECEIVER, receiver)


def describe_packs(metrics: Metrics, book: RuleBook, *, ok: bool, seconds: float, now_ms: int) -> None:
    """Tell which packs are in force, and how the latest attempt to load went."""
    metrics.tell(m.PACKS_INFO, book.version)
    metrics.gauge(m.PACKS_LOADED).set(ok)
    metrics.gauge(m.PACKS_LOAD_SECONDS).set(seconds)
    staged = sum(rule.staged for rule in book.rules)
    metrics.gauge(m.PACKS_RULES, "staged").set(staged)
    metrics.gauge(m.PACKS_RULES, "active").set(len(book.rules) - staged)
    for rule in book.rules:
        metrics.expect(m.RULE_ID, rule.id)
    if ok:
        metrics.gauge(m.PACKS_LOADED_AT).set(now_ms / 1000)


def watch_conversations(
    metrics: Metrics, held: Callable[[], Iterable[Conversations]], now_ms: Callable[[], int]
) -> None:
    """Read at each scrape what the process holds; ``held`` is asked anew each time."""

    def clocks() -> dict[tuple[str, str], float]:
        found = sum((one.open_clocks() for one in held()), Counter[tuple[str, Standing]]())
        return {(kind, stands.value): count for (kind, stands), count in found.items()}

    def firing() -> dict[tuple[str], float]:
        alerts = sum((one.open_alerts() for one in held()), Counter[str]())
        return {(severity.value,): alerts[severity.value] for severity in Severity}

    def oldest() -> dict[tuple[str], float]:
        since: dict[str, int] = {}
        for one in held():
            for kind, target_at in one.overdue().items():
                since[kind] = min(target_at, since.get(kind, target_at))
        now = now_ms()
        return {(kind,): max(0, now - target_at) / 1000 for kind, target_at in since.items()}

    metrics.watch(m.CONVERSATIONS_OPEN, lambda: sum(len(one) for one in held()))
    metrics.watch(m.STATE_BYTES, lambda: sum(one.state_bytes() for one in held()))
    metrics.watch(m.CLOCKS_OPEN, clocks)
    metrics.watch(m.CLOCK_OLDEST, oldest)
    metrics.watch(m.ALERTS_OPEN, firing)


def watch_customers(metrics: Metrics, held: Callable[[], Iterable[Customers]]) -> None:
    """Read at each scrape how many customers the process holds; ``held`` is asked anew each time."""
    metrics.watch(m.CUSTOMERS_HELD, lambda: sum(len(one) for one in held()))
    metrics.watch(m.CUSTOMER_BYTES, lambda: sum(one.state_bytes() for one in held()))


def watch_delivery(
    metrics: Metrics, pending_s: Callable[[], Mapping[str, float]], held: Callable[[], Mapping[str, int]]
) -> None:
    """Read at each scrape how long people have been waiting to be told, and what waits for its hours."""
    metrics.watch(m.LEDGER_OLDEST, lambda: {(name,): seconds for name, seconds in pending_s().items()})
    metrics.watch(m.NOTIFICATIONS_HELD, lambda: {(name,): float(count) for name, count in held().items()})
