"""Rules for Prometheus, checked by its own tool: they are valid, and alerts fire when they should and only then."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from flyball.app import App, load_app
from flyball.core import Counters
from flyball.serving.metrics import counter_names, metrics_text
from flyball.serving.prometheus.rules import RuleLimits, deadline_bucket, prometheus_rules, scrape_configuration
from flyball.serving.prometheus.yaml import to_yaml

with_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool on this machine")


@pytest.fixture(scope="module")
def movies() -> App:
    return load_app("movies")


def promtool(folder: Path, *words: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["promtool", *words], cwd=folder, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


@with_promtool
def test_they_are_valid_and_so_is_the_scrape_configuration(movies: App, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(to_yaml(prometheus_rules(movies)))
    assert "SUCCESS: 24 rules found" in promtool(tmp_path, "check", "rules", "rules.yml")
    configuration = {**scrape_configuration("movies", "localhost:8082"), "rule_files": ["rules.yml"]}
    (tmp_path / "prometheus.yml").write_text(to_yaml(configuration))
    assert "SUCCESS" in promtool(tmp_path, "check", "config", "prometheus.yml")


@with_promtool
def test_the_metrics_themselves_follow_the_conventions(tmp_path: Path) -> None:
    Counters(tmp_path, "one", counter_names())
    promtool(tmp_path, "check", "metrics", stdin=metrics_text(tmp_path, {"v1": "champion"}, {"v2": "gone"}))


BAD: dict[str, tuple[dict[str, str], str]] = {
    "FlyballDown": ({"up": "0x120"}, "{}"),
    "FlyballNotReady": ({"flyball_ready": "0x120"}, "{}"),
    "FlyballErrors": (
        {'flyball_http_total{status="2xx"}': "0+60x120", 'flyball_http_total{status="5xx"}': "0+2x120"},
        "{}",
    ),
    "FlyballLateAnswers": (
        {'flyball_answer_seconds_bucket{le="0.3"}': "0+60x120", 'flyball_answer_seconds_bucket{le="+Inf"}': "0+62x120"},
        "{}",
    ),
    "FlyballFallback": (
        {
            'flyball_answers_total{level="champion"}': "0+54x120",
            'flyball_answers_total{level="chosen"}': "0+36x120",
            'flyball_answers_total{level="popular"}': "0+10x120",
        },
        "{}",
    ),
    "FlyballVersionRefused": (
        {'flyball_version_refused{version="v2",reason="gone"}': "1x120"},
        '{"version": "v2", "reason": "gone"}',
    ),
    "FlyballStateStale": ({"flyball_stale_seconds": "11x120"}, "{}"),
    "FlyballConsumerLag": ({'flyball_consumer_lag_seconds{consumer="state"}': "61x120"}, '{"consumer": "state"}'),
    "FlyballConsumerFailing": ({'flyball_consumer_failing{consumer="state"}': "1x120"}, '{"consumer": "state"}'),
    "FlyballWorkerSilent": ({"flyball_worker_report_timestamp_seconds": "0x120"}, "{}"),
    "FlyballPredictionsDropped": ({'flyball_predictions_total{fate="dropped"}': "0+1x120"}, '{"fate": "dropped"}'),
    "FlyballEventsQuarantined": (
        {
            'flyball_events_total{verdict="accepted"}': "0+90x120",
            'flyball_events_total{verdict="quarantined"}': "0+10x120",
        },
        "{}",
    ),
    "FlyballIncidentUnclaimed": ({'flyball_incidents{severity="high",state="reopened"}': "1x120"}, "{}"),
    "FlyballIncidentOverdue": ({"flyball_incidents_overdue": "1x120"}, "{}"),
    "FlyballSinkFailing": ({'flyball_sink_failing{sink="slack"}': "1x120"}, '{"sink": "slack"}'),
}
"""{alert: (series that make it fire, further labels of the alert)}; 120 samples, one every 15 s."""
GOOD = {
    "up": "1x120",
    "flyball_ready": "2x120",
    'flyball_http_total{status="2xx"}': "0+600x120",
    'flyball_http_total{status="5xx"}': "0+5x120",
    'flyball_answer_seconds_bucket{le="0.3"}': "0+599x120",
    'flyball_answer_seconds_bucket{le="+Inf"}': "0+600x120",
    'flyball_answers_total{level="champion"}': "0+580x120",
    'flyball_answers_total{level="popular"}': "0+20x120",
    "flyball_stale_seconds": "9x120",
    'flyball_consumer_lag_seconds{consumer="state"}': "59x120",
    'flyball_consumer_failing{consumer="state"}': "0x120",
    "flyball_worker_report_timestamp_seconds": "0+15x120",
    'flyball_predictions_total{fate="dropped"}': "3x120",
    'flyball_events_total{verdict="quarantined"}': "0+4x120",
    'flyball_events_total{verdict="accepted"}': "0+96x120",
    'flyball_incidents{severity="high",state="acknowledged"}': "1x120",
    'flyball_incidents{severity="low",state="open"}': "5x120",
    "flyball_incidents_overdue": "0x120",
    'flyball_sink_failing{sink="slack"}': "0x120",
}
"""Series of an application that does well, each just below its limit."""


def series(values: dict[str, str]) -> list[dict[str, str]]:
    """With the job among the labels."""
    named = []
    for name, samples in values.items():
        metric, _, labels = name.partition("{")
        inner = ",".join(filter(None, ['job="movies"', labels.rstrip("}")]))
        named.append({"series": f"{metric}{{{inner}}}", "values": samples})
    return named


def names_of(rules: dict[str, Any]) -> set[str]:
    return {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}


@with_promtool
def test_each_alert_fires_on_what_it_is_for_and_none_on_an_application_that_does_well(
    movies: App, tmp_path: Path
) -> None:
    rules = prometheus_rules(movies)
    without_summary = {
        "groups": [
            {**group, "rules": [{**rule, "annotations": {}} if "alert" in rule else rule for rule in group["rules"]]}
            for group in rules["groups"]
        ]
    }
    (tmp_path / "rules.yml").write_text(to_yaml(without_summary))
    tests: list[dict[str, Any]] = [
        {
            "interval": "15s",
            "input_series": series(GOOD),
            "alert_rule_test": [
                {"eval_time": "30m", "alertname": name, "exp_alerts": []} for name in sorted(names_of(rules))
            ],
        }
    ]
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in rules["groups"][1]["rules"]}
    for name, (bad, labels) in BAD.items():
        expected = {"exp_labels": {"severity": severities[name], "job": "movies", **json.loads(labels)}}
        tests.append(
            {
                "interval": "15s",
                "input_series": series(bad),
                "alert_rule_test": [{"eval_time": "29m", "alertname": name, "exp_alerts": [expected]}],
            }
        )
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": tests}
    (tmp_path / "test.yml").write_text(to_yaml(document))
    assert "SUCCESS" in promtool(tmp_path, "test", "rules", "test.yml")
    assert names_of(rules) - BAD.keys() == {"FlyballAbsent"}


def test_the_deadline_is_a_bound_of_the_histogram(movies: App) -> None:
    assert deadline_bucket(movies) == "0.3"


def test_every_rule_selects_the_job_and_names_are_as_prometheus_wants_them() -> None:
    rules = prometheus_rules(load_app("fraud"), "fraud-eu", RuleLimits(errors=0.2))
    assert [group["name"] for group in rules["groups"]] == ["fraud-eu_recorded", "fraud-eu_alerts"]
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert 'job="fraud-eu"' in rule["expr"]
            assert rule.get("record", "a:b:c").count(":") == 2
    assert any("> 0.2" in rule["expr"] for rule in rules["groups"][1]["rules"])


def test_a_folder_of_counters_is_enough_for_metrics() -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert b"flyball_ready 0.0" in metrics_text(Path(folder), {}, {})
