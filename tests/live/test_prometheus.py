"""A real Prometheus scrapes a running application by the written configuration and rules; alerts reach a real
Alertmanager, and so do incidents through their own sink; the dashboard's queries are answered."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cinema import SERVED_CINEMA
from tests.live.instance import Instance, fill, until
from tests.processes import free_ports

from flyball.app import load_app
from flyball.monitoring import Finding, IncidentActor, change_incident, clear, record_findings
from flyball.serving import expressions_of, grafana_dashboard, prometheus_rules, scrape_configuration, to_yaml

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None,
        reason="no prometheus on this machine",
    ),
]

APP = SERVED_CINEMA.replace("    gates=", '    alerts=fb.alerts(on_call=["ann"]),\n    gates=')
ALERTMANAGER = "route: {receiver: nobody, group_wait: 0s}\nreceivers: [{name: nobody}]\n"


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        body = answer.read()
    return json.loads(body) if body.startswith((b"{", b"[")) else body


@contextmanager
def server(folder: Path, words: list[str], ready: str) -> Iterator[None]:
    """A program that runs until the end, and is ready at the beginning."""
    with open(folder / f"{words[0]}.log", "wb") as log:
        process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: get(ready), passing=(OSError,))
        yield
    finally:
        process.kill()
        process.wait()


class Watched:
    """The running application, what watches it, and what they say."""

    def __init__(self, instance: Instance, prometheus: str, alertmanager: str) -> None:
        self.instance, self._prometheus, self._alertmanager = instance, prometheus, alertmanager

    def query(self, expression: str) -> list[Any]:
        answer = get(f"{self._prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        assert answer["status"] == "success"
        result: list[Any] = answer["data"]["result"]
        return result

    def broken_rules(self) -> list[str]:
        groups = get(f"{self._prometheus}/api/v1/rules")["data"]["groups"]
        return [rule["name"] for group in groups for rule in group["rules"] if rule["health"] != "ok"]

    def alerts(self) -> set[tuple[str, str]]:
        """(name, severity) of the alerts that Alertmanager has."""
        labels = [alert["labels"] for alert in get(f"{self._alertmanager}/api/v2/alerts")]
        return {(label["alertname"], label["severity"]) for label in labels}


def rules_file(path: Path, folder: Path) -> None:
    """The rules as they are written, but evaluated each second and without waiting."""
    rules = prometheus_rules(load_app(str(folder / "cinema.py")))
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            if "alert" in rule and rule["alert"].startswith("FlyballIncident"):
                rule["for"] = "0s"
    path.write_text(to_yaml(rules))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    (tmp_path / "cinema.py").write_text(APP)
    fill(tmp_path)
    alerts, scrapes = free_ports(2)
    (tmp_path / "home" / "settings.toml").write_text(f'sinks = ["alertmanager+http://127.0.0.1:{alerts}"]\n')
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER)
    manager = [
        "prometheus-alertmanager",
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        f"--web.listen-address=127.0.0.1:{alerts}",
        "--cluster.listen-address=",
    ]
    with server(tmp_path, manager, f"http://127.0.0.1:{alerts}/-/ready"):
        instance = Instance(tmp_path)
        try:
            until(lambda: instance.level() == "champion")
            rules_file(tmp_path / "rules.yml", tmp_path)
            configuration = scrape_configuration("cinema", f"127.0.0.1:{instance.port}")
            configuration["scrape_configs"][0]["scrape_interval"] = "500ms"
            configuration["rule_files"] = ["rules.yml"]
            configuration["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alerts}"]}]}]}
            (tmp_path / "prometheus.yml").write_text(to_yaml(configuration))
            prometheus = [
                "prometheus",
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=tsdb",
                f"--web.listen-address=127.0.0.1:{scrapes}",
            ]
            with server(tmp_path, prometheus, f"http://127.0.0.1:{scrapes}/-/ready"):
                yield Watched(instance, f"http://127.0.0.1:{scrapes}", f"http://127.0.0.1:{alerts}")
        finally:
            instance.end()


def test_what_goes_wrong_reaches_alertmanager_and_ends_there(watched: Watched) -> None:
    runtime = watched.instance.runtime()

    def now_us() -> int:
        return runtime.clock.now_us()

    dashboard = grafana_dashboard(runtime.app)
    for user in range(1, 20):
        assert watched.instance.get(f"/recommend/{user}")[0] == 200
    seen = Finding("freshness", "events.Watch", now_us(), now_us() - 5, "high", "no watch for 2 h", "own")
    record_findings(runtime, [seen], now_us())
    until(lambda: watched.alerts() >= {("FlyballIncident", "high"), ("FlyballIncidentUnclaimed", "high")})
    until(lambda: all(watched.query(expression) for expression in expressions_of(dashboard)))
    assert watched.broken_rules() == []
    assert float(watched.query('flyball_incidents{severity="high",state="open"}')[0]["value"][1]) == 1

    change_incident(runtime.registry, "inc1", "acknowledge", IncidentActor("ann", now_us()))
    until(lambda: ("FlyballIncidentUnclaimed", "high") not in watched.alerts())
    assert ("FlyballIncident", "high") in watched.alerts()
    clear(runtime, seen.fingerprint, now_us())
    until(lambda: ("FlyballIncident", "high") not in watched.alerts())
