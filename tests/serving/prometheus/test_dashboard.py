"""The Grafana dashboard: by the schema, without overlaps, and of series that there are."""

import re
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from flyball.app import load_app
from flyball.core import Counters
from flyball.serving import expressions_of, grafana_dashboard, prometheus_rules
from flyball.serving.metrics import counter_names, metrics_text
from flyball.serving.prometheus.dashboard import Dashboard, DashboardPanel


@pytest.fixture(scope="module")
def dashboard() -> Dashboard:
    return grafana_dashboard(load_app("movies"), "movies-eu")


def test_its_json_has_the_fields_of_the_schema_and_no_others(dashboard: Dashboard) -> None:
    encoded = msgspec.json.encode(dashboard)
    assert msgspec.json.decode(encoded, type=Dashboard) == dashboard
    document = msgspec.json.decode(encoded)
    assert (document["schemaVersion"], document["uid"]) == (39, "flyball-movies-eu")
    document["panels"][0]["gridPos"]["left"] = 1
    with pytest.raises(msgspec.ValidationError, match="left"):
        msgspec.convert(document, Dashboard)


def cells(panel: DashboardPanel) -> set[tuple[int, int]]:
    place = panel.grid_pos
    return {(x, y) for x in range(place.x, place.x + place.w) for y in range(place.y, place.y + place.h)}


def test_panels_stand_side_by_side_in_24_columns(dashboard: Dashboard) -> None:
    assert all(not cells(first) & cells(second) for first, second in combinations(dashboard.panels, 2))
    assert all(panel.grid_pos.x + panel.grid_pos.w <= 24 for panel in dashboard.panels)
    assert len({panel.id for panel in dashboard.panels}) == len(dashboard.panels)
    for panel in dashboard.panels:
        assert [target.ref_id for target in panel.targets] == ["A", "B", "C", "D"][: len(panel.targets)]


def test_it_shows_series_that_are_scraped_or_recorded(dashboard: Dashboard, tmp_path: Path) -> None:
    Counters(tmp_path, "one", counter_names())
    text = metrics_text(tmp_path, {"v1": "champion"}, {}).decode()
    scraped = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    rules = prometheus_rules(load_app("movies"), "movies-eu")["groups"][0]["rules"]
    known = scraped | {rule["record"] for rule in rules}
    shown = {
        name for expression in expressions_of(dashboard) for name in re.findall(r"[\w:]*flyball_[\w:]+", expression)
    }
    assert shown - known == set()
    assert all('{job="movies-eu"}' in expression for expression in expressions_of(dashboard))
