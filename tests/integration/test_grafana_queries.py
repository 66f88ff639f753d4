"""Every query of every dashboard, run against a real Prometheus that scrapes a real ``/metrics`` of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.populated import advance, populated
from tests.integration.promserver import DEPLOY, Prometheus, exposed, fast_config, prometheus

pytestmark = pytest.mark.prometheus

DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
}
# What Grafana puts in before it asks.
GRAFANA = {"$__rate_interval": "20s", "$__range": "20s", "$instance": ".*"}
QUERIES = [
    (f"{name}: {panel['title']} {target['refId']}", target["expr"])
    for name, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel.get("targets", [])
]
VARIABLES = [
    variable["query"]["query"]
    for dashboard in DASHBOARDS.values()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped two of our processes several times, under our own rules."""
    directory = tmp_path_factory.mktemp("grafana")
    first, second = populated(), populated()
    with exposed(first, lambda: advance(first)) as one, exposed(second, lambda: advance(second)) as two:
        config = fast_config("prometheus.yml", [one, two], directory)
        with prometheus(config, directory) as server:
            server.wait("count(count_over_time(yanshao_ready[1m]) >= 4) == 2")
            yield server


def filled_in(expression: str) -> str:
    """Return the expression as Grafana would send it."""
    for variable, value in GRAFANA.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"a variable that the dashboard does not have: {expression}"
    return expression


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_panel_shows_something(scraped: Prometheus, where: str, expression: str) -> None:
    samples = scraped.wait(filled_in(expression))
    assert any(sample["value"][1] != "NaN" for sample in samples), f"{where} is only NaN"


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_legend_names_labels_that_the_result_has(scraped: Prometheus, where: str, expression: str) -> None:
    legend = next(target["legendFormat"] for _, target in _targets() if target["expr"] == expression)
    samples: list[dict[str, Any]] = scraped.wait(filled_in(expression))
    for label in re.findall(r"{{(\w+)}}", legend):
        assert any(label in sample["metric"] for sample in samples), f"{where}: no label {label}"


@pytest.mark.parametrize("query", VARIABLES)
def test_a_variable_has_choices(scraped: Prometheus, query: str) -> None:
    found = re.fullmatch(r"label_values\((?P<series>.+), (?P<label>\w+)\)", query)
    assert found is not None
    samples = scraped.wait(found["series"])
    assert len({sample["metric"][found["label"]] for sample in samples}) == 2


def _targets() -> list[tuple[str, dict[str, Any]]]:
    return [
        (panel["title"], target)
        for dashboard in DASHBOARDS.values()
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]
