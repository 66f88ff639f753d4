"""The rules and the scrape configuration, judged by promtool and by a real Prometheus."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from stream import metrics as table
from stream.meters import HistogramDef
from stream.metrics import TABLE
from tests.integration.populated import advance, populated
from tests.integration.promserver import DEPLOY, Prometheus, exposed, fast_config, prometheus

pytestmark = pytest.mark.prometheus

RULES = DEPLOY / "prometheus"


def promtool(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_and_its_rules_are_valid() -> None:
    promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yml", cwd=RULES)


@pytest.mark.parametrize("path", sorted((RULES / "tests").glob("*.yml")), ids=lambda path: path.name)
def test_rules_fire_and_stay_silent_as_written(path: Path) -> None:
    promtool("test", "rules", path.name, cwd=path.parent)


def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    """The tests above can fail: promtool compares, it does not only parse."""
    source = yaml.safe_load((RULES / "tests" / "recording_test.yml").read_text(encoding="utf-8"))
    source["rule_files"] = [str(RULES / "rules" / "recording.yml")]
    source["tests"][0]["promql_expr_test"][0]["exp_samples"][0]["value"] += 1
    (tmp_path / "wrong.yml").write_text(yaml.safe_dump(source), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        promtool("test", "rules", "wrong.yml", cwd=tmp_path)


def test_what_we_expose_passes_promtools_lint() -> None:
    body, _ = table.render(populated())
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus under our own rules that has scraped all our metrics several times."""
    directory = tmp_path_factory.mktemp("prometheus")
    metrics = populated()
    with exposed(metrics, lambda: advance(metrics)) as target:
        config = fast_config("prometheus.yml", [target], directory)
        with prometheus(config, directory) as server:
            server.wait("count_over_time(yanshao_ready[1m]) >= 4")
            yield server


def test_the_scrape_succeeds(scraped: Prometheus) -> None:
    assert [sample["value"][1] for sample in scraped.query('up{job="yanshao"}')] == ["1"]


def test_every_metric_of_the_table_arrives_under_its_name(scraped: Prometheus) -> None:
    stored = set(scraped.get("label/__name__/values"))
    wanted = {
        f"{metric.name}_bucket" if isinstance(metric, HistogramDef) else metric.name for metric in TABLE
    }
    assert wanted - stored == set()
    assert {name for name, _ in table.PROCESS_METRICS} - stored == set()


def test_nothing_arrives_that_the_table_does_not_have(scraped: Prometheus) -> None:
    kinds = scraped.get("metadata")
    names = {metric.name for metric in TABLE} | {name for name, _ in table.PROCESS_METRICS}
    # OpenMetrics names a family without its suffix; the client library's python_info is a gauge to it.
    families = names | {name.removesuffix("_total").removesuffix("_info") for name in names}
    assert set(kinds) - families == set()


def test_every_rule_evaluates_without_error(scraped: Prometheus) -> None:
    groups = scraped.get("rules")["groups"]
    names = [group["name"] for group in groups]
    for group in names:
        scraped.wait(
            f'prometheus_rule_group_last_evaluation_timestamp_seconds{{rule_group=~".*{group}"}} or vector(1)'
        )
    rules = [rule for group in scraped.get("rules")["groups"] for rule in group["rules"]]
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] == "err"] == []
    assert len(rules) > 30


def test_every_recorded_series_has_a_value(scraped: Prometheus) -> None:
    source = yaml.safe_load((RULES / "rules" / "recording.yml").read_text(encoding="utf-8"))
    for rule in source["groups"][0]["rules"]:
        scraped.wait(rule["record"])
