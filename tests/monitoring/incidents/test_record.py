"""Findings become incidents: of one cause one, of the same again the same, and the same after a crash."""

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.monitoring.incidents.world import DAY, HOUR, MINUTE, START, finding, home

from flyball.monitoring import (
    Finding,
    IncidentActor,
    add_silence,
    change_incident,
    clear,
    find_incident,
    record_findings,
)
from flyball.registry import incident_documents, incident_entries
from flyball.runtime import Runtime

TABLES = ("incidents", "alerts", "notifications")


def stored(runtime: Runtime) -> dict[str, Any]:
    """All that recording writes."""
    return {
        **{table: incident_documents(runtime.registry, table) for table in TABLES},
        "entries": incident_entries(runtime.registry),
    }


def kinds(runtime: Runtime) -> list[str]:
    return [document["kind"] for document in incident_documents(runtime.registry, "notifications")]


def commands(runtime: Runtime, number: int = 1) -> list[str]:
    return [entry.command for entry in incident_entries(runtime.registry, number)]


def test_thirty_columns_of_one_table_are_one_incident(runtime: Runtime) -> None:
    columns = [finding(f"events.Watch.f{index}") for index in range(30)]
    recorded = record_findings(runtime, [*columns, finding("events.Rate.stars")], START)
    assert (recorded.opened, recorded.firing) == (("inc1", "inc2"), 31)
    incident = find_incident(runtime.registry, "inc1")
    assert incident.title == (
        "30 findings in events.Watch (missing 30), first: 14.3 % of events.Watch.f0 is missing, usually 0.0 %"
    )
    assert (incident.state, incident.severity, incident.owner, incident.origin) == ("open", "low", "", "own")
    assert kinds(runtime) == ["opened", "opened"]
    (opened, _) = incident_entries(runtime.registry)
    assert len(opened.evidence["findings"]) == 30
    assert opened.reason == "30 findings of events.Watch hold"


def test_a_column_that_follows_soon_joins_and_one_much_later_does_not(runtime: Runtime) -> None:
    record_findings(runtime, [finding()], START)
    joined = record_findings(runtime, [finding("events.Watch.film", START + DAY)], START + DAY)
    assert joined.joined == ("inc1",)
    later = record_findings(runtime, [finding("events.Watch.user", START + 3 * DAY)], START + 3 * DAY)
    assert later.opened == ("inc2",)


def test_it_fires_only_after_it_held(tmp_path: Path) -> None:
    runtime = home(tmp_path, after=2)
    assert record_findings(runtime, [finding()], START).pending == 1
    assert kinds(runtime) == []
    assert record_findings(runtime, [finding(at_us=START + HOUR)], START + HOUR).opened == ("inc1",)


def test_a_finding_that_goes_on_is_sent_once(runtime: Runtime) -> None:
    for hour in range(5):
        record_findings(runtime, [finding(at_us=START + hour * HOUR)], START + hour * HOUR)
    assert kinds(runtime) == ["opened"]
    (alert,) = incident_documents(runtime.registry, "alerts")
    assert alert["looks"] == 5


def test_what_is_over_is_said_and_what_holds_again_reopens_the_incident(runtime: Runtime) -> None:
    seen = finding()
    record_findings(runtime, [seen], START)
    assert clear(runtime, seen.fingerprint, START + HOUR).over == ("inc1",)
    assert find_incident(runtime.registry, "inc1").over_us == START + HOUR
    ann = IncidentActor("ann", START + 2 * HOUR, "the client was rolled back")
    change_incident(runtime.registry, "inc1", "close", ann)
    again = record_findings(runtime, [finding(at_us=START + DAY)], START + DAY)
    assert (again.reopened, again.opened) == (("inc1",), ())
    incident = find_incident(runtime.registry, "inc1")
    assert (incident.state, incident.reopened, incident.over_us, incident.closed_us) == ("reopened", 1, 0, 0)
    assert commands(runtime) == ["open", "over", "close", "reopen"]
    assert [entry.before for entry in incident_entries(runtime.registry, 1)] == ["", "open", "open", "closed"]
    assert kinds(runtime) == ["opened", "over", "closed", "reopened"]


def test_after_long_it_is_a_new_incident_that_names_the_earlier_one(runtime: Runtime) -> None:
    seen = finding()
    record_findings(runtime, [seen], START)
    clear(runtime, seen.fingerprint, START + HOUR)
    change_incident(runtime.registry, "inc1", "close", IncidentActor("ann", START + HOUR, "done"))
    late = START + 40 * DAY
    assert record_findings(runtime, [finding(at_us=late)], late).opened == ("inc2",)
    assert find_incident(runtime.registry, "inc2").earlier == "inc1"


def test_a_relapse_takes_the_mitigation_back(runtime: Runtime) -> None:
    seen = finding()
    record_findings(runtime, [seen], START)
    change_incident(runtime.registry, "inc1", "mitigate", IncidentActor("ann", START, "paused the source"))
    clear(runtime, seen.fingerprint, START + HOUR)
    record_findings(runtime, [finding(at_us=START + 2 * HOUR)], START + 2 * HOUR)
    assert find_incident(runtime.registry, "inc1").state == "reopened"


def test_a_high_severity_goes_to_the_first_on_call_with_a_clock(runtime: Runtime) -> None:
    record_findings(runtime, [finding(severity="high")], START + MINUTE)
    incident = find_incident(runtime.registry, "inc1")
    assert (incident.owner, incident.high_us, incident.escalated) == ("ann", START + MINUTE, 1)
    (notification,) = incident_documents(runtime.registry, "notifications")
    assert (notification["to"], notification["severity"]) == (["ann"], "high")


def test_a_finding_that_becomes_severe_raises_its_incident(runtime: Runtime) -> None:
    record_findings(runtime, [finding()], START)
    record_findings(runtime, [finding(at_us=START + HOUR, severity="high")], START + HOUR)
    record_findings(runtime, [finding(at_us=START + 2 * HOUR, severity="high")], START + 2 * HOUR)
    assert (find_incident(runtime.registry, "inc1").high_us, kinds(runtime)) == (START + HOUR, ["opened", "raised"])


def test_a_silenced_finding_opens_nothing_until_the_silence_ends(runtime: Runtime) -> None:
    ann = IncidentActor("ann", START, "the clients are being moved")
    add_silence(runtime.registry, {"group": "events.Watch"}, ann, ends_us=START + 2 * HOUR)
    silenced = record_findings(runtime, [finding(at_us=START + HOUR)], START + HOUR)
    assert (silenced.silenced, silenced.firing, kinds(runtime)) == (1, 0, [])
    assert record_findings(runtime, [finding(at_us=START + 2 * HOUR)], START + 2 * HOUR).opened == ("inc1",)


def batches(rng: random.Random) -> list[tuple[list[Finding], list[str], int]]:
    """Looks of an hour each: what eight columns of two tables show, and what no longer holds."""
    subjects = [f"events.{table}.f{index}" for table in ("Watch", "Rate") for index in range(4)]
    wrong: set[str] = set()
    windows = []
    for hour in range(24):
        at_us = START + hour * HOUR
        over = {subject for subject in wrong if rng.random() < 0.4}
        wrong = (wrong - over) | {subject for subject in subjects if rng.random() < 0.1 and subject not in over}
        seen = [finding(subject, at_us, severity=rng.choice(["low", "high"])) for subject in sorted(wrong)]
        windows.append((seen, [finding(subject).fingerprint for subject in sorted(over)], at_us))
    return windows


@pytest.mark.parametrize("seed", range(5))
def test_recording_twice_and_again_from_before_changes_nothing(seed: int, tmp_path: Path) -> None:
    once, often = home(tmp_path / "once", after=2), home(tmp_path / "often", after=2)
    rng = random.Random(seed)
    windows = batches(rng)
    for number, (seen, over, at_us) in enumerate(windows):
        record_findings(once, seen, at_us, over)
        for earlier in (number, rng.randrange(number + 1), number):
            findings, ended, looked_us = windows[earlier]
            record_findings(often, findings, at_us, ended, looked_us)
    assert stored(once) == stored(often)
    assert len(stored(once)["incidents"]) > 1


@pytest.mark.parametrize("step", range(6))
def test_what_is_interrupted_leaves_nothing_and_is_whole_the_next_time(
    step: int, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flyball.registry import IncidentRows

    writes = 0

    def counted(name: str) -> Any:
        original = getattr(IncidentRows, name)

        def write(*args: Any, **values: Any) -> None:
            nonlocal writes
            writes += 1
            if writes > step:
                raise KeyboardInterrupt
            original(*args, **values)

        return write

    findings = [finding(), finding("events.Rate.stars")]
    with monkeypatch.context() as patch:
        for name in ("put", "put_incident", "add_entry"):
            patch.setattr(IncidentRows, name, counted(name))
        with pytest.raises(KeyboardInterrupt):
            record_findings(runtime, findings, START)
    assert stored(runtime) == {"incidents": [], "alerts": [], "notifications": [], "entries": []}
    assert record_findings(runtime, findings, START).opened == ("inc1", "inc2")


RECORDS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.monitoring.incidents.world import HOUR, START, finding, home
from flyball.monitoring import record_findings
runtime = home(Path(sys.argv[1]))
for hour in range(10_000):
    at_us = START + hour * HOUR
    record_findings(runtime, [finding(f"events.T{hour}.x", at_us), finding("events.Watch.x", at_us)], at_us)
    print(hour, flush=True)
"""


@pytest.mark.live
@pytest.mark.parametrize("lines", [1, 7])
def test_a_killed_recorder_leaves_incidents_with_their_timelines(lines: int, tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", RECORDS, str(tmp_path), str(root)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(lines):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = lines + len(process.stdout.readlines())
    process.wait()
    process.stdout.close()
    runtime = home(tmp_path)
    documents = stored(runtime)
    assert len(documents["incidents"]) in (said + 1, said + 2)  # the last may be written and not said
    assert [incident["revision"] for incident in documents["incidents"]] == [
        len(incident_entries(runtime.registry, number)) for number in range(1, len(documents["incidents"]) + 1)
    ]
    assert len(documents["notifications"]) == len(documents["entries"])
    assert all(alert["incident"] for alert in documents["alerts"])


def test_a_log_that_stops_is_one_incident_whatever_its_tables_are(runtime: Runtime) -> None:
    lost = finding("events.Watch", monitor="lost_events", severity="high", message="Watch is lost")
    few = finding("events.Rate", START + HOUR, monitor="volume", message="Rate is lost")
    refused = finding("quarantine", START + HOUR, monitor="volume", message="lines were refused")
    still = finding("worker", START + HOUR, monitor="consumer", message="the log worker stands still")
    record_findings(runtime, [lost], START)
    recorded = record_findings(runtime, [few, refused, still], START + HOUR)
    assert (recorded.opened, recorded.joined) == ((), ("inc1",))
    incident = find_incident(runtime.registry, "inc1")
    assert incident.title.startswith("4 findings in events.Watch, events.Rate, quarantine and 1 more (lost_events 1, ")
    assert [step.text for step in incident.checklist][-1] == "say what you did"
    given = [step.command for step in incident.checklist if step.command]
    assert len(set(given)) == len(given)


def test_rows_that_stopped_before_and_came_again_are_another_incident(runtime: Runtime) -> None:
    lost = finding("events.Watch", monitor="lost_events")
    record_findings(runtime, [lost], START)
    record_findings(runtime, [], START + HOUR, cleared=[lost.fingerprint])
    later = finding("events.Rate", START + 2 * HOUR, monitor="lost_events")
    more = finding("events.Rate", START + 2 * HOUR, monitor="volume", origin="unknown")
    assert record_findings(runtime, [later], START + 2 * HOUR).opened == ("inc2",)
    assert record_findings(runtime, [more], START + 2 * HOUR).joined == ("inc2",)  # of the same table


def test_what_follows_from_a_finding_is_of_its_incident_though_it_came_first_in_the_list(runtime: Runtime) -> None:
    cause = finding("events.Watch.minute", monitor="shift")
    follows = finding("predictions.score", monitor="shift", evidence={"follows": cause.fingerprint})
    recorded = record_findings(runtime, [follows, cause], START)
    assert recorded.opened == ("inc1",)
    assert record_findings(runtime, [finding("predictions.level", monitor="shift")], START).opened == ("inc2",)
