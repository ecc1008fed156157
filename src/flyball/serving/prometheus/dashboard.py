"""A Grafana dashboard of an application, as the JSON that Grafana imports.

The structs have the fields of Grafana's schema that are used here, and no others; a test reads the JSON back strictly.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.app import App
from flyball.serving.prometheus.rules import deadline_bucket

SCHEMA_VERSION = 39
"""Of dashboards in Grafana 11, which migrates older ones."""

_WIDTH, _HEIGHT, _STAT_HEIGHT = 24, 8, 4


class GridPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    h: int
    w: int
    x: int
    y: int


class DataSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str = "prometheus"
    uid: str = "${datasource}"


class PanelTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A query of a panel."""

    expr: str
    legend_format: str
    ref_id: str
    datasource: DataSource = DataSource()
    editor_mode: str = "code"
    range: bool = True


class DashboardPanel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One panel. `field_config`, `options`: as Grafana has them for its type."""

    id: int
    type: str
    title: str
    description: str
    grid_pos: GridPosition
    targets: list[PanelTarget]
    field_config: dict[str, Any]
    options: dict[str, Any]
    datasource: DataSource = DataSource()


class Dashboard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The dashboard. `uid`: the same for the same job, so that an import replaces it."""

    uid: str
    title: str
    panels: list[DashboardPanel]
    templating: dict[str, Any]
    time: dict[str, str]
    tags: list[str] = []
    annotations: dict[str, Any] = {}
    schema_version: int = SCHEMA_VERSION
    refresh: str = "30s"
    timezone: str = "utc"
    editable: bool = True
    version: int = 1


class _Chart(msgspec.Struct, frozen=True):
    """A panel before it has its place. `unit`: of Grafana; `queries`: {legend: expression with JOB for the job};
    `limit`: drawn as a line."""

    title: str
    described: str
    unit: str
    queries: dict[str, str]
    limit: float | None = None
    kind: str = "timeseries"


def grafana_dashboard(app: App, job: str = "") -> Dashboard:
    """The dashboard of an application; `job`: as in `prometheus_rules`, whose recorded series it shows."""
    job = job or app.name
    bucket = deadline_bucket(app)
    charts = [*_numbers(), *_answers(bucket), *_followers(), *_care()]
    return Dashboard(
        uid=f"flyball-{job}"[:40],
        title=f"Flyball: {app.name}",
        panels=_placed(charts, job),
        templating={"list": [_data_source()]},
        time={"from": "now-6h", "to": "now"},
        tags=["flyball", app.name],
        annotations={"list": [_reloads(job)]},
    )


def expressions_of(dashboard: Dashboard) -> list[str]:
    """All queries of its panels."""
    return [target.expr for panel in dashboard.panels for target in panel.targets]


def _numbers() -> list[_Chart]:
    """What one looks at first."""
    late = {"": "job:flyball_answers_late:ratio_rate5m{JOB}"}
    return [
        _Chart("Ready", "processes that can answer", "none", {"": "flyball_ready{JOB}"}, kind="stat"),
        _Chart("Requests", "answers a second", "reqps", {"": "job:flyball_answers:rate5m{JOB}"}, kind="stat"),
        _Chart("Late", "answers after the deadline", "percentunit", late, 0.01, "stat"),
        _Chart("Open incidents", "not closed", "none", {"": "sum(flyball_incidents{JOB})"}, 1, "stat"),
    ]


def _answers(bucket: str) -> list[_Chart]:
    """Whether users get answers, in time and by the version that should."""
    quantiles = {f"p{number}": f"job:flyball_answer_seconds:p{number}_5m{{JOB}}" for number in (50, 99)}
    deadline = None if bucket == "+Inf" else float(bucket)
    shares = {
        "errors (5xx)": "job:flyball_http_errors:ratio_rate5m{JOB}",
        "late": "job:flyball_answers_late:ratio_rate5m{JOB}",
        "not by their version": "job:flyball_answers_fallback:ratio_rate5m{JOB}",
    }
    failures = {"{{kind}}": "sum by (kind) (rate(flyball_failures_total{JOB}[5m]))"}
    return [
        _Chart(
            "Answers by fallback level", "a second", "reqps", {"{{level}}": "job_level:flyball_answers:rate5m{JOB}"}
        ),
        _Chart("Time of an answer", "the line is the deadline", "s", quantiles, deadline),
        _Chart("Errors, late answers, fallbacks", "shares of all answers", "percentunit", shares),
        _Chart("Failures made up for", "by kind, a second", "ops", failures),
    ]


def _followers() -> list[_Chart]:
    """Whether what answers are made from is fresh."""
    waiting = {"requests": "flyball_queue{JOB}", "records": "flyball_writing{JOB}"}
    events = {"{{verdict}}": "sum by (verdict) (rate(flyball_events_total{JOB}[5m]))"}
    return [
        _Chart("Age of the state", "0 while it is not behind", "s", {"state": "flyball_stale_seconds{JOB}"}),
        _Chart("Lag of consumers", "by consumer", "s", {"{{consumer}}": "flyball_consumer_lag_seconds{JOB}"}),
        _Chart("Events over HTTP", "by verdict, a second", "ops", events),
        _Chart("Waiting", "requests, and records of answers", "none", waiting),
    ]


def _care() -> list[_Chart]:
    """What people have to do."""
    incidents = {"{{severity}}, {{state}}": "flyball_incidents{JOB}"}
    return [
        _Chart("Incidents", "not closed, by severity and state", "none", incidents),
        _Chart("Findings that hold", "by state of their alert", "none", {"{{state}}": "flyball_alerts{JOB}"}),
        _Chart("Notifications to be sent", "by sink", "none", {"{{sink}}": "flyball_notifications_waiting{JOB}"}),
        _Chart("Versions in service", "by role", "none", {"{{version}} {{role}}": "flyball_version{JOB}"}),
    ]


def _placed(charts: Sequence[_Chart], job: str) -> list[DashboardPanel]:
    """Stats in a row of four, then charts in rows of two."""
    panels, x, y = [], 0, 0
    for number, chart in enumerate(charts, 1):
        width, height = (6, _STAT_HEIGHT) if chart.kind == "stat" else (12, _HEIGHT)
        panels.append(_panel(number, chart, job, GridPosition(height, width, x, y)))
        x += width
        if x >= _WIDTH:
            x, y = 0, y + height
    return panels


def _panel(number: int, chart: _Chart, job: str, position: GridPosition) -> DashboardPanel:
    selector = f"job={msgspec.json.encode(job).decode()}"
    targets = [
        PanelTarget(expression.replace("{JOB}", f"{{{selector}}}"), legend or "__auto", chr(ord("A") + index))
        for index, (legend, expression) in enumerate(chart.queries.items())
    ]
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if chart.limit is not None:
        steps.append({"color": "red", "value": chart.limit})
    defaults: dict[str, Any] = {"unit": chart.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    options: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if chart.kind == "timeseries":
        drawn = "line" if chart.limit is not None else "off"
        defaults["custom"] = {"drawStyle": "line", "fillOpacity": 10, "thresholdsStyle": {"mode": drawn}}
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return DashboardPanel(
        id=number,
        type=chart.kind,
        title=chart.title,
        description=chart.described,
        grid_pos=position,
        targets=targets,
        field_config={"defaults": defaults, "overrides": []},
        options=options,
    )


def _data_source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source", "hide": 0}


def _reloads(job: str) -> dict[str, Any]:
    """Marks the times at which processes took another release."""
    expression = f"sum(changes(flyball_reloads_total{{job={msgspec.json.encode(job).decode()}}}[1m])) > 0"
    return {
        "name": "releases",
        "enable": True,
        "iconColor": "blue",
        "datasource": msgspec.to_builtins(DataSource()),
        "target": {"refId": "releases", "expr": expression},
    }
