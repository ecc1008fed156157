"""Incidents through the command line: from the list at night to the note at the end."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.monitoring.sinks.servers import Posts, running

from flyball.cli.common import open_home
from flyball.monitoring import Finding, clear, record_findings

HOUR = 3_600_000_000


@pytest.fixture
def shop(run: Run) -> str:
    """A shop with three findings: two of views, one of them severe, and one of outcomes."""
    run("new", "shop")
    text = Path("shop.py").read_text()
    Path("shop.py").write_text(text.replace("candidates={", 'alerts=fb.alerts(on_call=["ann", "ben"]), candidates={'))
    run("ingest", "shop.py", "shop-events.jsonl")
    runtime = open_home("shop.py", None)
    record_findings(runtime, seen(runtime.clock.now_us()), runtime.clock.now_us())
    return "shop.py"


def seen(at_us: int) -> list[Finding]:
    def finding(monitor: str, subject: str, severity: Any, message: str) -> Finding:
        return Finding(monitor, subject, at_us, at_us - 2 * HOUR, severity, message, "own", {"share": 0.143})

    return [
        finding("missing", "events.View.price", "low", "14.3 % of prices is missing, usually 0.0 %"),
        finding("freshness", "events.View", "high", "the latest view is 2 h old, usually 40 s"),
        finding("label_shift", "outcomes.buy", "low", "bought 3.1 %, before 4.4 %"),
    ]


def test_the_list_shows_the_most_urgent_first(shop: str, run: Run) -> None:
    lines = run("incidents", "list", shop).out.splitlines()
    assert [line.split()[:3] for line in lines[1:3]] == [["inc1", "high", "open"], ["inc2", "low", "open"]]
    assert "2 findings in events.View (freshness 1, missing 1), first: the latest view is 2 h old" in lines[1]
    assert [row["incident"]["id"] for row in run("incidents", "list", shop, "--json").last["incidents"]] == [
        "inc1",
        "inc2",
    ]


def test_one_incident_says_what_holds_what_to_do_and_what_is_next(shop: str, run: Run) -> None:
    out = run("incidents", "show", shop, "inc1").out
    assert out.startswith("inc1  HIGH  2 findings in events.View")
    assert "; owner ann; acknowledge by " in out
    assert "  high  freshness of events.View: the latest view is 2 h old, usually 40 s\n" in out
    assert "origin: our own pipeline, or a source of it: look for what changed there" in out
    assert "do this first, then look for the cause:\n  1. see whether events.View still arrives" in out
    assert f"next: flyball incidents acknowledge {shop} inc1" in out
    assert "share 0.143" in run("incidents", "show", shop, "inc1", "--all").out
    described = run("incidents", "show", shop, "inc1", "--json").last
    assert (described["incident"]["state"], len(described["holding"])) == ("open", 2)


@pytest.mark.parametrize(("owner", "said"), [("eve", True), ("Ann", True), ("ann", False), ("ben", False)])
def test_assigning_says_where_nothing_calls_the_new_owner(shop: str, run: Run, owner: str, said: bool) -> None:
    lines = run("incidents", "assign", shop, "inc1", owner).out.splitlines()
    assert lines[0].startswith(f"inc1 is open, owner {owner}: 2 findings in events.View")
    called = f"{owner} is not on the on-call list (ann, ben): nothing calls them, tell them yourself"
    assert lines[1:] == ([called] if said else [])
    assert run("incidents", "acknowledge", shop, "inc1", "--by", "zoe").out.count("on-call list") == 0
    assert run("incidents", "assign", shop, "inc1", owner, "--json").last["owner"] == owner


def test_without_a_list_assigning_says_nothing_of_one(run: Run) -> None:
    run("new", "shop")
    run("ingest", "shop.py", "shop-events.jsonl")
    runtime = open_home("shop.py", None)
    record_findings(runtime, seen(runtime.clock.now_us()), runtime.clock.now_us())
    (line,) = run("incidents", "assign", "shop.py", "inc1", "eve").out.splitlines()
    assert line.startswith("inc1 is open, owner eve: ")


def test_from_acknowledged_to_closed(shop: str, run: Run) -> None:
    assert "inc1 is acknowledged, owner ben:" in run("incidents", "acknowledge", shop, "inc1", "--by", "ben").out
    again = run("incidents", "acknowledge", shop, "inc1")
    assert (again.code, "inc1 is acknowledged (ben has it since 2" in again.err) == (1, True)
    run("incidents", "assign", shop, "inc1", "eve")
    mitigated = run("incidents", "mitigate", shop, "inc1", "--step", "1", "--reason", "restarted it", "--json").last
    assert (mitigated["state"], mitigated["owner"]) == ("mitigated", "eve")
    words = ("--cause", "a full disk", "--action", "watch the disk", "--owner", "zoe")
    run("incidents", "note", shop, "inc1", "see ticket 7", *words)
    early = run("incidents", "close", shop, "inc1", "--reason", "over")
    assert (early.code, "must have no finding that still holds" in early.err) == (1, True)
    runtime = open_home(shop, None)
    for finding in seen(0)[:2]:
        clear(runtime, finding.fingerprint, runtime.clock.now_us())
    run("incidents", "note", shop, "inc1", "done", "--done", "1")
    assert "inc1 is closed, owner eve" in run("incidents", "close", shop, "inc1", "--reason", "over").out
    out = run("incidents", "show", shop, "inc1").out
    assert "closed 2" in out
    assert "to do 1: watch the disk (zoe, done)" in out
    assert "cause: a full disk" in out
    assert "inc1 is reopened" in run("incidents", "reopen", shop, "inc1", "--reason", "not yet").out


def test_of_two_at_once_the_second_is_refused(shop: str, run: Run) -> None:
    run("incidents", "assign", shop, "inc1", "eve", "--revision", "1")
    late = run("incidents", "assign", shop, "inc1", "zoe", "--revision", "1")
    assert (late.code, "must be at revision 1, got 2" in late.err) == (1, True)
    assert "it is open (eve has it)" in late.err
    nobody = run("incidents", "acknowledge", shop, "inc1", "--by", "")
    assert (nobody.code, "--by must be the name of a person or a program, got ''" in nobody.err) == (2, True)


def test_silences_have_an_end_and_a_reason(shop: str, run: Run) -> None:
    assert run("incidents", "silences", shop).out == "nothing is silenced\n"
    refused = run("incidents", "silence", shop, "group=events.View")
    assert (refused.code, "reason of a silence must be why" in refused.err) == (2, True)
    assert run("incidents", "silence", shop, "events.View", "--reason", "x").code == 2
    out = run("incidents", "silence", shop, "group=events.View", "--for", "3h", "--reason", "a move").out
    assert out.startswith("sil1: group=events.View until 2")
    assert "a move" in run("incidents", "silences", shop).out
    assert run("incidents", "silences", shop, "--end", "sil1").out == "nothing is silenced\n"
    assert len(run("incidents", "silences", shop, "--all", "--json").last["silences"]) == 1


def test_the_digest_and_the_bundle(shop: str, run: Run) -> None:
    assert run("incidents", "digest", shop).out.startswith("2 opened, 0 reopened, 0 closed, 2 not closed\n")
    assert run("incidents", "digest", shop, "--json").last["opened"] == ["inc1", "inc2"]
    assert run("incidents", "bundle", shop, "inc1").out == "9 files in shop-inc1.zip; begin with README.md\n"
    again = run("incidents", "bundle", shop, "inc1")
    assert (again.code, "shop-inc1.zip must not be there yet" in again.err) == (1, True)
    assert run("incidents", "bundle", shop, "inc1", "--out", "x.tar").code == 2
    for out in ("no/such/x.zip", "no/folder"):
        nowhere = run("incidents", "bundle", shop, "inc1", "--out", out)
        assert (nowhere.code, "folder of --out must be one that exists: make it first, got 'no" in nowhere.err) == (
            2,
            True,
        )
    assert not Path("no").exists()
    assert "README.md" in run("incidents", "bundle", shop, "inc1", "--out", "folder", "--json").last["files"]


def test_a_quiet_application_has_none(run: Run) -> None:
    run("new", "shop")
    run("ingest", "shop.py", "shop-events.jsonl")
    assert run("incidents", "list", "shop.py").out == "no incident is open\n"
    missing = run("incidents", "show", "shop.py", "inc1")
    assert (missing.code, "none was opened yet" in missing.err) == (2, True)


def test_where_notifications_go_and_which_sink_fails(shop: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "log   log://" in run("incidents", "sinks", shop).out
    server = Posts()
    with running(server):
        url = f"slack+http://127.0.0.1:{server.port}/services/s3cret"
        monkeypatch.setenv("FLYBALL_SINKS", f"{url} log://")
        tried = run("incidents", "sinks", shop, "--test")
        assert (tried.code, tried.out.count("good")) == (0, 2)
        assert run("incidents", "sinks", shop, "--deliver").code == 0
    assert [document["text"][:12] for _, document, _ in server.posts] == [
        "test of shop",
        "inc1 opened:",
        "inc2 opened:",
    ]
    failed = run("incidents", "sinks", shop, "--test")
    assert (failed.code, "must answer, got ConnectionRefusedError" in failed.out) == (1, True)
    run("incidents", "acknowledge", shop, "inc1")
    run("incidents", "sinks", shop, "--deliver")
    assert "sink slack fails since 2" in run("incidents", "list", shop).out
    assert run("incidents", "list", shop, "--json").last["sinks"][1]["waiting"] == 1
    settings = run("settings", shop).out
    assert f"slack+http://127.0.0.1:{server.port}/*** log:// " in settings
    assert not any("s3cret" in text for text in (tried.out, failed.out, settings))


def test_the_status_shows_open_incidents(shop: str, run: Run) -> None:
    assert "inc1 high, open, ann: 2 findings in events.View" in run("status", shop).out
    assert len(run("status", shop, "--json").last["incidents"]) == 2


def test_its_commands_name_the_file_and_the_home_that_it_was_shown_by(shop: str, run: Run) -> None:
    """They are pasted as they are, though what looks at findings has the application from another file."""
    home = str(Path(".flyball/shop").rename("my home"))
    other = str(Path(shop).rename("shop6.py"))
    out = run("incidents", "show", other, "--home", home, "inc1").out
    lines = [line.strip().removeprefix("next: ") for line in out.splitlines()]
    commands = [line for line in lines if line.startswith("flyball ")]
    assert "flyball incidents acknowledge shop6.py inc1 --home 'my home'" in commands
    assert len(commands) > 3
    for command in commands:
        assert f" {other} " in f"{command} "
        assert command.endswith(" --home 'my home'")
        if "WHAT" not in command:
            assert run(*shlex.split(command)[1:]).code == 0, command


def test_a_finding_that_is_silenced_does_not_keep_its_incident_open(shop: str, run: Run) -> None:
    assert run("incidents", "close", shop, "inc2", "--reason", "known").code == 1
    words = ("group=outcomes.buy", "--for", "10m", "--reason", "known")
    assert run("incidents", "silence", shop, *words).code == 0
    assert "silenced by sil1" in run("incidents", "show", shop, "inc2").out
    assert "inc2 is closed" in run("incidents", "close", shop, "inc2", "--reason", "known").out
