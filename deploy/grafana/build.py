"""Writes the Grafana dashboards: ``python deploy/grafana/build.py``.

``operations.yaml``, ``supervisors.yaml`` and ``ola.yaml`` are the only source; ``dashboards/*.json`` is
written from them, and a test fails when the two differ. A panel's description is the meaning and the
remedy of the metrics in its first query, taken from the table in ``stream/metrics.py``. Every query is run
by a test against a real Prometheus.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from stream.metrics import TABLE

HERE = Path(__file__).resolve().parent
COLUMNS = 24
"""Grafana's grid is 24 columns wide."""

SCHEMA_VERSION = 39
"""Of Grafana 11; later ones migrate it by themselves."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
BY_NAME = {metric.name: metric for metric in TABLE}
NAMES = ("operations", "supervisors", "ola")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An expression and what its lines are called."""

    expr: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One panel: what it shows, how, and how large (of 24 columns)."""

    title: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat", "bargauge", "piechart", "heatmap", "table"] = "timeseries"
    unit: Literal["short", "s", "eps", "reqps", "bytes", "percentunit"] = "short"
    width: int = 8
    height: int = 7
    red_above: int | float | None = None
    red_below: int | float | None = None
    stacked: bool = False


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A titled row of panels."""

    title: str
    panels: tuple[Panel, ...]


class Variable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A choice at the top of the dashboard, of several label values or all."""

    name: str
    label: str
    query: str


class Dashboard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dashboard and the variables its queries use besides ``$datasource``."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    span: str = msgspec.field(name="from")
    variables: tuple[Variable, ...] = ()


def read(name: str) -> Dashboard:
    """Return the dashboard of ``name.yaml``; raises ``msgspec.ValidationError`` with the path of a fault."""
    raw = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return msgspec.convert(raw, Dashboard)


def description(panel: Panel) -> str:
    """What the metrics of the panel's first query mean and what to do when they are off."""
    names = dict.fromkeys(SUFFIX.sub("", name) for name in re.findall(r"yanshao_\w+", panel.queries[0].expr))
    rows = [BY_NAME[name] for name in names if name in BY_NAME]
    return "\n\n".join(f"`{row.name}`: {row.meaning}\n\n→ {row.remedy}" for row in rows)


def _thresholds(panel: Panel) -> list[dict[str, Any]]:
    if panel.red_above is not None:
        return [{"color": "green", "value": None}, {"color": "red", "value": panel.red_above}]
    if panel.red_below is not None:
        return [{"color": "red", "value": None}, {"color": "green", "value": panel.red_below}]
    return [{"color": "green", "value": None}]


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "heatmap":
        return {
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Oranges"},
            "yAxis": {"unit": "short"},
        }
    if panel.kind == "table":
        return {"showHeader": True}
    reduced: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if panel.kind == "bargauge":
        reduced |= {"orientation": "horizontal", "displayMode": "basic"}
    return reduced


def _target(panel: Panel, position: int, query: Query) -> dict[str, Any]:
    target: dict[str, Any] = {
        "refId": chr(ord("A") + position),
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
    }
    if panel.kind == "heatmap":
        target["format"] = "heatmap"
    # What stands for the whole time shown, or for now, is one number and not a course.
    if panel.kind in {"table", "bargauge", "piechart"} or (panel.kind == "stat" and "$__range" in query.expr):
        target |= {"instant": True, "range": False}
    if panel.kind == "table":
        target["format"] = "table"
    return target


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": _thresholds(panel)},
        "custom": {},
    }
    if panel.unit == "percentunit":
        defaults |= {"min": 0, "max": 1}
    if panel.kind == "timeseries" and panel.stacked:
        defaults["custom"] = {"stacking": {"mode": "normal"}, "fillOpacity": 30}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": description(panel),
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [_target(panel, position, query) for position, query in enumerate(panel.queries)],
    }


def _place(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Lay the rows out from the top, each row's panels from left to right."""
    placed: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        heading = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        placed.append(
            {"id": len(placed) + 1, "type": "row", "title": row.title, "gridPos": heading, "panels": [],
             "collapsed": False}
        )  # fmt: skip
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, height = 0, y + height, 0
            placed.append(_panel(panel, len(placed) + 1, x, y))
            x, height = x + panel.width, max(height, panel.height)
        y += height
    return placed


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "type": "query",
        "label": variable.label,
        "datasource": DATASOURCE,
        "query": {"query": variable.query, "refId": "variable"},
        "definition": variable.query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    source = {
        "name": "datasource",
        "type": "datasource",
        "query": "prometheus",
        "label": "Prometheus",
        "hide": 0,
    }
    return [source, *map(_variable, dashboard.variables)]


def document(dashboard: Dashboard) -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON model."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["yanshao"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "refresh": "30s",
        "time": {"from": dashboard.span, "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables(dashboard)},
        "annotations": {"list": []},
        "panels": _place(dashboard.rows),
    }


def text(dashboard: Dashboard) -> str:
    """Return the file's text."""
    return json.dumps(document(dashboard), ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write all files."""
    for name in NAMES:
        (HERE / "dashboards" / f"{name}.json").write_text(text(read(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
