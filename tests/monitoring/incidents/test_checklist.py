"""What to do first: by monitor, origin and recent releases; every command is one of the command line."""

import shlex
from typing import Any

import pytest
import typer
from tests.monitoring.incidents.world import DAY, HOUR, START, finding

from flyball.cli import app
from flyball.monitoring.incidents.checklist import ReleaseContext, checklist
from flyball.policy import MONITORS as KNOWN

RELEASED = ReleaseContext(champion="v3", previous="v2", champion_since_us=START - 2 * HOUR, under_way=("rel4",))
MONITORS = (
    "volume-daily",
    "missing",
    "shift",
    "attack_burst",
    "consumer",
    "equal_answers",
    "performance",
    "stale_model",
    "left_running",
    "unknown",
)
SUBJECTS = ("events.watch.minute", "predictions.score", "releases.rel4", "worker")


def commands_of(context: ReleaseContext, **fields: Any) -> list[str]:
    return [step.command for step in checklist("shop.py", "inc1", [finding(**fields)], context)]


def test_a_release_shortly_before_is_rolled_back_first() -> None:
    commands = commands_of(RELEASED, monitor="performance", subject="chargeback")
    assert commands[:2] == [
        "flyball releases pause shop.py rel4 --reason inc1",
        "flyball versions rollback shop.py --reason inc1",
    ]


def test_a_champion_of_long_ago_is_not_suspected() -> None:
    old = ReleaseContext(champion="v3", previous="v2", champion_since_us=START - 9 * DAY)
    commands = commands_of(old, monitor="performance", subject="chargeback")
    assert not any("rollback" in command for command in commands)


def test_wrong_input_is_no_reason_to_roll_back() -> None:
    assert commands_of(RELEASED, monitor="shift", origin="unknown") == [
        "flyball profiles changes shop.py Watch",
        "",
        "",
        "flyball incidents mitigate shop.py inc1 --reason WHAT",
    ]


def test_for_a_change_of_the_world_one_learns_instead_of_rolling_back() -> None:
    commands = commands_of(RELEASED, monitor="covariate_shift", origin="world")
    assert commands[:2] == ["flyball profiles changes shop.py Watch", "flyball learn shop.py"]


def test_wrong_rows_are_stopped_at_their_source() -> None:
    texts = [step.text for step in checklist("shop.py", "inc1", [finding(monitor="schema")], ReleaseContext())]
    assert texts[0].startswith("pause the source of events.Watch where")


def test_a_step_stands_there_once() -> None:
    many = [finding(f"events.Watch.f{index}") for index in range(30)]
    steps = checklist("shop.py", "inc1", many, RELEASED)
    assert len({step.text for step in steps}) == len(steps) < 7


@pytest.mark.parametrize("monitor", MONITORS)
@pytest.mark.parametrize("origin", ["own", "world"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_command_is_there_with_these_arguments(monitor: str, origin: str, subject: str) -> None:
    for command in filter(None, commands_of(RELEASED, monitor=monitor, origin=origin, subject=subject)):
        group, words = typer.main.get_command(app), shlex.split(command)[1:]
        while hasattr(group, "commands"):
            group = group.commands[words.pop(0)]
        group.make_context("flyball", words)


SUBJECTS_OF = {
    "consumer": "worker",
    "feedback_loop": "lists",
    "label_share": "fraud",
    "performance": "fraud/region=north",
    "suspects": "accounts.user",
    "stale_model": "learning",
    "left_running": "releases.rel4",
    "version_skew": "processes.serve-1",
}


@pytest.mark.parametrize("monitor", KNOWN)
def test_every_monitor_has_a_step_that_says_what_to_do(monitor: str) -> None:
    subject = SUBJECTS_OF.get(monitor, "events.order.km")
    for origin in ("own", "world", "unknown"):
        steps = checklist("shop.py", "inc1", [finding(subject, monitor=monitor, origin=origin)], ReleaseContext())
        assert len(steps) > 1, origin
        texts = [step.text for step in steps]
        assert not ({"learn again, and release what passes"} <= set(texts) and any("do not learn" in t for t in texts))


def test_refused_lines_are_looked_at_corrected_and_taken_in_again() -> None:
    commands = commands_of(ReleaseContext(), subject="quarantine", monitor="volume")
    assert commands == [
        "flyball quarantine list shop.py",
        "",
        "flyball quarantine retry shop.py",
        "flyball incidents mitigate shop.py inc1 --reason WHAT",
    ]


def test_too_many_rows_are_not_looked_for() -> None:
    more = finding("events.order", monitor="volume", origin="unknown", evidence={"rows": 90, "expected": 30.0})
    texts = [step.text for step in checklist("shop.py", "inc1", [more], ReleaseContext())]
    assert not any("still arrives" in text for text in texts)
    assert texts[1] == "ask the owner of events.order whether more is meant to come, or is sent twice"


def test_a_source_with_wrong_values_is_paused_first() -> None:
    wrong = finding("events.order.km", monitor="shift", origin="own")
    first = checklist("shop.py", "inc1", [wrong], RELEASED)[0]
    assert first.text == "pause the source of events.order until its values are right; tell its owner why"
