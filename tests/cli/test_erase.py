"""`flyball erase` says what it could not do: an unknown id, a file that was not cleaned, an interruption."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import call
from typer.testing import CliRunner, Result

from flyball.cli.main import app as commands
from flyball.core import FileLock
from flyball.removal import Person, Removal, RemovalPlan, plan_under_way
from flyball.removal.plan import write_plan
from flyball.runtime import Runtime

from ..removal.homes import add, cinema, open_home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Runtime]:
    home = open_home(cinema(tmp_path), tmp_path / "home")
    add(home, [{"type": "watch", "user": user, "film": "f1", "minute": 3} for user in (7, 8)])
    yield home
    home.close()


def run(home: Runtime, command: str, *words: str) -> Result:
    file = str(home.home.parent / "cinema.py")
    return CliRunner().invoke(commands, [command, file, *words, "--home", str(home.home)])


def test_an_unknown_id_and_an_uncleaned_file_are_said(home: Runtime) -> None:
    (home.home / "mine.csv").write_text("who\n7\n")
    assert "names 1 user: look whether the id is right" in run(home, "erase", "user", "99999", "--dry-run").output
    done = run(home, "erase", "user", "7", "--yes", "--reason", "request 2026-17")
    assert (done.exit_code, "1 events" in done.output) == (0, True)
    assert "could not be cleaned, delete or replace them: mine.csv" in done.output
    assert "must name nobody" in str(run(home, "erase", "user", "8", "--yes", "--reason", "user 8 asked").exception)


def test_a_dry_run_says_what_would_be_done_in_each_store_and_changes_nothing(home: Runtime) -> None:
    before = home.log.ends()
    shown = run(home, "erase", "user", "7", "--dry-run")
    assert "would remove of 1 user: 1 events" in shown.output
    for line in (
        "  late events: of these people are refused, on all machines",
        "  events: 1 record removed, and the log written again without them",
        "  predictions: there is none",
        "  quarantine: stays as it is",
        "  state, features, outcomes, intervals, exposures, known entities: built again from the logs",
        "  files of the home: rows whose cell is an id removed",
    ):
        assert line in shown.output
    assert (home.log.ends(), home.erased.is_empty, plan_under_way(home.layout)) == (before, True, None)
    steps = json.loads(run(home, "erase", "user", "7", "--dry-run", "--json").output.splitlines()[-1])["steps"]
    assert [name for name in steps if name not in shown.output] == []


def test_nothing_is_begun_while_a_backup_runs(home: Runtime) -> None:
    with FileLock(home.layout.run / "backup.lock", "flyball backup"):
        refused = run(home, "erase", "user", "7", "--yes")
    assert "Nothing was removed: run the command again when the backup is done" in str(refused.exception)
    assert plan_under_way(home.layout) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_removal_is_said_until_it_is_completed(
    home: Runtime, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    plan = RemovalPlan("erase", "1 user", "ann", "asked", home.clock.now_us(), (Person("user", "7"),), begun=True)

    def begin(self: Removal, wanted: RemovalPlan) -> None:
        write_plan(home.layout, plan)
        os.kill(os.getpid(), number)
        raise AssertionError("the signal must end it")

    said = "a removal was interrupted: flyball erase APP --continue completes it"
    with monkeypatch.context() as patched:
        patched.setattr(Removal, "begin", begin)
        ended = run(home, "erase", "user", "7", "--yes")
    assert ended.exit_code != 0
    assert said in ended.output
    status = run(home, "status")
    assert (status.exit_code, said in status.output) == (1, True)
    assert run(home, "erase", "--continue").exit_code == 0
    assert run(home, "status").exit_code == 0


CAFE = """
from typing import Annotated
import flyball as fb

Guest = Annotated[str, fb.Ref("guest")]
Dish = Annotated[str, fb.Ref("dish")]

class Order(fb.Event):
    guest: Guest
    dish: Dish

app = fb.App(
    "cafe", events=[Order],
    task=fb.Recommend(fb.Entity("guest"), fb.Entity("dish"), positive=fb.outcome(Order, within="7d"), k=3),
    candidates={"popular": fb.Popular()},
)
"""


def test_an_id_with_an_accent_is_erased_in_both_forms_of_unicode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cafe.py").write_text(CAFE)
    composed, decomposed, other = "zo\u00eb", "zoe\u0308", "zoe"
    orders = [
        {"type": "order", "guest": guest, "dish": "soup", "at": f"2026-01-01T00:00:0{second}Z"}
        for second, guest in enumerate((composed, decomposed, other))
    ]
    Path("orders.jsonl").write_text("".join(json.dumps(order, ensure_ascii=False) + "\n" for order in orders))
    assert call("ingest", "cafe.py", "orders.jsonl").code == 0
    erased = call("erase", "cafe.py", "guest", decomposed, composed, "--yes", "--json").last
    assert (erased["subject"], erased["removed"]["events"]) == ("1 guest", 2)
    again = call("ingest", "cafe.py", "orders.jsonl", "--json").last
    assert (again["erased"], again["duplicates"]) == (2, 1)
    trail = call("audit", "cafe.py", "--json").last["actions"]
    assert [action["subject"] for action in trail if action["action"] == "erase"] == ["1 guest"]
