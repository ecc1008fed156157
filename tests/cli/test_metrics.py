"""What Prometheus and Grafana need, through the command line."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_rules_are_written_to_a_file_once(run: Run) -> None:
    assert run("metrics", "rules", "movies", "--out", "rules.yml").out == "written to rules.yml\n"
    assert 'record: "job:flyball_answers_late:ratio_rate5m"' in Path("rules.yml").read_text()
    again = run("metrics", "rules", "movies", "--out", "rules.yml")
    assert (again.code, "add --force" in again.err) == (1, True)
    assert run("metrics", "rules", "movies", "--out", "rules.yml", "--force", "--job", "eu").code == 0
    assert 'job="eu"' in Path("rules.yml").read_text()
    assert len(run("metrics", "rules", "movies", "--json").last["groups"]) == 2


def test_a_dashboard_is_one_json_document(run: Run) -> None:
    shown = json.loads(run("metrics", "dashboard", "movies").out)
    assert shown == run("metrics", "dashboard", "movies", "--json").last
    assert shown["title"] == "Flyball: movies"


def test_what_scrapes_it(run: Run) -> None:
    out = run("metrics", "scrape", "movies", "localhost:8082").out
    assert out.startswith("scrape_configs:\n  - job_name: movies\n")
    assert run("metrics", "scrape", "movies", "h:1", "--json").last["scrape_configs"][0]["static_configs"] == [
        {"targets": ["h:1"]}
    ]
