"""Releases through the command line: a canary is started, shown, paused, resumed, promoted, and undone."""

from pathlib import Path

import pytest
from tests.cli.conftest import Run
from typer.core import TyperGroup
from typer.main import get_command

from flyball.cli import app
from flyball.cli.common import open_home, user_name
from flyball.releases import change_release


@pytest.fixture
def shop(run: Run) -> str:
    """A shop with two versions that may serve, the first of which does; it declares a canary."""
    run("new", "shop")
    text = Path("shop.py").read_text()
    Path("shop.py").write_text(
        text.replace("candidates={", 'release=fb.canary(10, 50, 100), candidates={"luck": fb.Random(), ')
    )
    run("ingest", "shop.py", "shop-events.jsonl")
    assert run("learn", "shop.py", "--as-of", "2026-03-05", "--json").last["released"] is True
    return "shop.py"


def test_learning_again_starts_a_canary_instead_of_promoting(shop: str, run: Run) -> None:
    champion = run("versions", "list", shop, "--json").last["versions"]
    first = next(version["id"] for version in champion if version["state"] == "champion")
    report = run("learn", shop, "--as-of", "2026-03-06", "--json").last
    if not report["chosen"]:
        pytest.fail(f"a version must pass its gates again, got {report['reason']}")
    second = str(report["chosen"])
    assert (report["released"], report["champion"]) == (False, first)
    assert f"rel2 started: {second} against {first}, canary at 10 %" in str(report["reason"])

    listed = run("releases", "list", shop, "--json").last["releases"]
    assert [(release["id"], release["state"]) for release in listed] == [("rel1", "champion"), ("rel2", "canary")]
    shown = run("releases", "show", shop, "rel2").out
    assert f"rel2: canary of {second} against {first}, canary at 10 % (step 1 of 3)" in shown
    assert "before it advances, it must be shown:" in shown
    assert run("releases", "show", shop, "rel2", "--json").last["next"].startswith("waits to go on to 50 %: until ")
    assert "rel1  " in run("releases", "list", shop).out

    assert "now paused in canary at 10 %" in run("releases", "pause", shop, "rel2", "--reason", "lunch").out
    assert "now canary at 10 %" in run("releases", "resume", shop, "rel2", "--by", "eve").out
    refused = run("releases", "start", shop, second)
    assert (refused.code, "must be in one release at a time, got rel2" in refused.err) == (1, True)
    assert f"{second} (" in run("releases", "promote", shop, "rel2").out
    assert "now" not in run("releases", "rollback", shop, "rel1").out
    assert f"{first} (" in run("releases", "rollback", shop, "rel2", "--reason", "worse", "--by", "ann").out
    undone = run("releases", "list", shop, "--json").last["releases"][1]
    assert (undone["ended_by"], undone["ended_reason"]) == ("ann", "worse")
    assert "ann   worse" in run("releases", "list", shop, "--wide").out
    commands = [step["command"] for step in run("releases", "show", shop, "rel2", "--json").last["steps"]]
    assert commands == ["draft", "start", "pause", "resume", "promote", "rollback"]
    case = run("cases", "show", shop, "c2").out
    assert f"resume of rel2 ({second}) by eve, now canary: by hand\n" in case
    assert f"promote of rel2 ({second}) by {user_name()}, now champion: by hand\n" in case
    assert f"rollback of rel2 ({second}) by ann, now rolled back: worse\nverdict: undone" in case
    assert f"rollback of rel2 ({second}) by ann, now rolled back: worse" in run("versions", "show", shop, second).out
    assert [change["by"] for change in run("cases", "show", shop, "c2", "--json").last["changes"]] == [
        user_name(),
        user_name(),
        "eve",
        user_name(),
        "ann",
    ]
    assert f"restore of rel1 ({first}) by ann, now champion" in run("cases", "show", shop, "c1").out
    assert "rel3 started" in run("releases", "start", shop, second, "--by", "ben").out
    assert "now aborted" in run("releases", "abort", shop, "rel3").out
    assert run("releases", "show", shop, "rel9").code != 0


def test_a_release_that_ended_by_itself_shows_what_it_was_decided_on(shop: str, run: Run) -> None:
    second = str(run("learn", shop, "--as-of", "2026-03-06", "--json").last["chosen"])
    runtime = open_home(shop, None)
    sentence = "failed: 50.00% of 40 answers by candidate, 0.00% of 4,000 by control"
    evidence = {"guardrails": [sentence], "metrics": []}
    change_release(runtime.registry, "rel2", "abort", runtime.actor("governor", "broken"), evidence=evidence)
    shown = run("releases", "show", shop, "rel2").out
    assert f"of {second} against" in shown
    assert f"what its end was decided on:\n  {sentence}" in shown


def test_every_command_that_changes_what_is_served_or_learned_takes_a_name() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    groups = [group.commands[name] for name in ("releases", "versions", "arrangements", "suspects")]
    changing = [
        command
        for part in groups
        for command in part.commands.values()  # type: ignore[attr-defined]
        if any("--reason" in option.opts for option in command.params)
    ]
    changing += [group.commands["learn"], groups[0].commands["start"]]  # type: ignore[attr-defined]
    assert len(changing) >= 14
    for command in changing:
        assert any("--by" in option.opts for option in command.params), command.name


def test_nobody_is_no_name(shop: str, run: Run) -> None:
    versions = run("versions", "list", shop, "--json").last["versions"]
    other = next(version["id"] for version in versions if version["state"] == "candidate")
    refused = run("versions", "release", shop, other, "--by", " ")
    assert refused.err.startswith("flyball: --by must be the name of a person or a program, got ' '")
    run("versions", "release", shop, other, "--by", "ann", "--reason", "try it")
    promoted = open_home(shop, None).registry.audit()[-1]
    assert (promoted.by, promoted.subject, promoted.reason) == ("ann", other, "try it")
    run("versions", "rollback", shop, "--by", "ben", "--reason", "worse")
    undone = open_home(shop, None).registry.audit()[-1]
    assert (undone.by, undone.action, undone.reason) == ("ben", "rollback", "worse")
    case = run("cases", "show", shop, "c1").out
    assert f"({other}) by ann, now champion: try it" in case, "of a version of the run that was not chosen"
    assert f"({other}) by ben, now rolled back: worse" in case
    run("learn", shop, "--as-of", "2026-03-06", "--by", "eve")
    assert "cause: started by eve" in run("cases", "show", shop, "c2").out


def test_a_label_for_credit_without_drafted_lists_is_refused(run: Run) -> None:
    run("new", "shop")
    refused = run("releases", "start", "shop.py", "v1", "--credit", "nothing")
    assert (refused.code, refused.err.startswith("flyball: --credit must come with --interleave")) == (1, True)
    both = run("releases", "start", "shop.py", "v1", "--shadow", "--interleave")
    assert (both.code, both.err.startswith("flyball: --shadow must come without --interleave")) == (1, True)
