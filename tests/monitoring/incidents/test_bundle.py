"""The debug bundle: what is in it, that it opens, and that it holds no secrets."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from tests.monitoring.incidents.world import START, finding, home

from flyball.core import NotFound, Refused
from flyball.monitoring import record_findings
from flyball.monitoring.incidents.bundle import incident_bundle, write_bundle
from flyball.runtime import Runtime, load_settings

NAMES = [
    "README.md",
    "code.json",
    "findings.json",
    "incident.json",
    "releases.json",
    "settings.json",
    "timeline.json",
    "versions.json",
    "window.json",
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    runtime = home(tmp_path / "home")
    settings = load_settings(tmp_path / "home", options={"state": "redis://ann:s3cret@cache:6379/0?name=x"})
    runtime = Runtime(runtime.app, settings, runtime.clock)
    record_findings(runtime, [finding(), finding("events.Watch.film", severity="high")], START)
    return incident_bundle(runtime, "inc1")


def test_it_says_what_was_found_where_and_what_served(files: dict[str, bytes]) -> None:
    assert sorted(files) == NAMES
    findings = json.loads(files["findings.json"])
    assert [alert["last"]["subject"] for alert in findings["holding"]] == ["events.Watch.film", "events.Watch.minute"]
    assert findings["holding"][0]["last"]["evidence"] == {"share": 0.143}
    window = json.loads(files["window.json"])
    assert (window["until"], window["events_ends_when_opened"]) == ("2026-01-05T00:00:00Z", [0, 0, 0, 0])
    assert "watch" in window["event_types"]
    assert json.loads(files["code.json"])["packages"]["numpy"]
    assert json.loads(files["releases.json"])["now"]["champion"] is None
    readme = files["README.md"].decode()
    assert readme.startswith("# inc1 of movies: 2 findings in events.Watch (missing 2), first:")
    assert "- holds, high: missing of events.Watch.film:" in readme


def test_it_holds_no_secrets(files: dict[str, bytes]) -> None:
    assert not any(b"s3cret" in content for content in files.values())
    assert json.loads(files["settings.json"])["state"] == "redis://ann:***@cache:6379/0?name=x"


def test_it_is_a_folder_or_a_zip_and_replaces_nothing(files: dict[str, bytes], tmp_path: Path) -> None:
    write_bundle(files, tmp_path / "out" / "inc1")
    assert sorted(path.name for path in (tmp_path / "out" / "inc1").iterdir()) == NAMES
    write_bundle(files, tmp_path / "inc1.zip")
    with ZipFile(tmp_path / "inc1.zip") as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [f"inc1/{name}" for name in NAMES]
        assert archive.read("inc1/README.md") == files["README.md"]
    with pytest.raises(Refused, match="inc1.zip must not be there yet"):
        write_bundle(files, tmp_path / "inc1.zip")


def test_an_incident_that_is_not_there_has_no_bundle(runtime: Runtime) -> None:
    assert runtime.registry.runs() == []
    with pytest.raises(NotFound, match="no incident 'inc7'"):
        incident_bundle(runtime, "inc7")
