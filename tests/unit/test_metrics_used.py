"""Dashboards, rules and the table of metrics agree: nothing is drawn that does not exist, and the reverse."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stream.meters import HistogramDef
from stream.metrics import PROCESS_METRICS, TABLE

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus"
NAME = re.compile(r"\b(?:yanshao|process)[_:][a-z0-9_:]+")


def _builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("yanshao_grafana_build", DEPLOY / "grafana" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


BUILD = _builder()
RULE_GROUPS = [
    group
    for path in sorted((RULES / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
]
ALERTS: list[dict[str, Any]] = [rule for group in RULE_GROUPS for rule in group["rules"] if "alert" in rule]
RECORDED = {rule["record"] for group in RULE_GROUPS for rule in group["rules"] if "record" in rule}
ALERT_TESTS = yaml.safe_load((RULES / "tests" / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
DASHBOARDS = {name: BUILD.document(BUILD.read(name)) for name in BUILD.NAMES}


def series() -> set[str]:
    """Every series name that the table and the client library make."""
    names = {name for name, _ in PROCESS_METRICS} | RECORDED
    for metric in TABLE:
        suffixes = ("_bucket", "_sum", "_count") if isinstance(metric, HistogramDef) else ("",)
        names |= {metric.name + suffix for suffix in suffixes}
    return names


def expressions() -> dict[str, str]:
    """Every expression of dashboards and rules by where it stands."""
    found = {
        f"{name}: {panel['title']} {target['refId']}": target["expr"]
        for name, dashboard in DASHBOARDS.items()
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    }
    for group in RULE_GROUPS:
        found |= {rule.get("alert") or rule["record"]: rule["expr"] for rule in group["rules"]}
    return found


@pytest.mark.parametrize(("where", "expression"), list(expressions().items()), ids=list(expressions()))
def test_what_is_asked_for_exists(where: str, expression: str) -> None:
    names = set(NAME.findall(expression))
    assert names or re.search(r"\b(ALERTS|up)\{", expression)
    assert names - series() == set(), where


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_every_metric_is_drawn_or_alerted_on(metric: Any) -> None:
    used = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for text in expressions().values()
        for name in NAME.findall(text)
    }
    assert metric.name in used


def test_every_recorded_series_is_used() -> None:
    used = {name for text in expressions().values() for name in NAME.findall(text)}
    assert RECORDED - used == set()


def test_label_values_in_expressions_are_those_of_the_table() -> None:
    """A matcher on a value that a closed label does not have would be silent for ever."""
    labels = {metric.name: {label.name: label for label in metric.labels} for metric in TABLE}
    for where, text in expressions().items():
        for name, matchers in re.findall(r"(yanshao_[a-z_]+)\{([^}]*)\}", text):
            known = labels[re.sub(r"_(bucket|sum|count)$", "", name)]
            for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
                if label in {"instance", "job", "le"}:
                    continue
                for value in values.split("|"):
                    assert value in known[label].values, f"{where}: {label}={value}"


def test_bucket_bounds_in_expressions_are_those_of_the_table() -> None:
    bounds = {
        metric.name: set(map(str, metric.buckets)) for metric in TABLE if isinstance(metric, HistogramDef)
    }
    for where, text in expressions().items():
        for name, bound in re.findall(r'(yanshao_[a-z_]+)_bucket\{[^}]*le="([^"]*)"', text):
            assert bound in bounds[name], where


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_tells_what_how_bad_and_what_to_do_in_both_languages(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("Yanshao")
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["labels"]["team"] in {"platform", "service"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    for text in rule["annotations"].values():
        chinese, english = text.split(" / ", 1) if " / " in text else text.split("/ ", 1)
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert re.search(r"[A-Za-z]{2}", english)


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_is_tested_firing_and_silent(rule: dict[str, Any]) -> None:
    expectations = [
        bool(expectation["exp_samples"])
        for test in ALERT_TESTS
        for expectation in test["promql_expr_test"]
        if f'alertname="{rule["alert"]}"' in expectation["expr"]
    ]
    assert set(expectations) == {True, False}


@pytest.mark.parametrize("name", BUILD.NAMES)
def test_a_dashboard_file_is_what_its_source_makes(name: str) -> None:
    written = (DEPLOY / "grafana" / "dashboards" / f"{name}.json").read_text(encoding="utf-8")
    assert written == BUILD.text(BUILD.read(name)), "python deploy/grafana/build.py"
    assert json.loads(written)["uid"] == f"yanshao-{name}"


@pytest.mark.parametrize("name", BUILD.NAMES)
def test_panels_do_not_overlap_and_fit_the_grid(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("name", BUILD.NAMES)
def test_every_panel_has_a_title_and_says_what_it_shows(name: str) -> None:
    for panel in DASHBOARDS[name]["panels"]:
        assert panel["title"]
        if panel["type"] != "row" and "ALERTS" not in panel["targets"][0]["expr"]:
            assert (
                panel["description"]
                or ":" in panel["targets"][0]["expr"]
                or "process_" in str(panel["targets"])
            )


def test_grafana_finds_the_dashboards_and_prometheus() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "yanshao.yml").read_text(encoding="utf-8"))
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in compose["volumes"] if volume.startswith("./"))
    assert mounts["./grafana/dashboards"] == provider["providers"][0]["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["datasources"][0]["url"] == "${PROMETHEUS_URL}"
    assert compose["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
