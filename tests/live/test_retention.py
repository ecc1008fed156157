"""A running `up` removes what is older than declared, by itself, while it answers; also what an earlier one began."""

from pathlib import Path

import pytest
from tests.cinema import SERVED_CINEMA
from tests.live.instance import Instance, fill, until

from flyball.core import SystemStopwatch
from flyball.events import open_log
from flyball.home import HomeLayout
from flyball.operations import RETENTION, RetentionReport, write_report
from flyball.operations.process_specs import read_report
from flyball.removal import Removal, due_removal, plan_under_way
from flyball.runtime import Runtime, load_settings

pytestmark = pytest.mark.live
DAY_US = 86_400_000_000


def ages(home: Path, now_us: int) -> list[float]:
    """The ages in days of the events in the log."""
    log = open_log(load_settings(home).events)
    return [
        (now_us - record.at) / DAY_US
        for piece in log.read((0,) * len(log.ends()), 1_000_000)
        for record in piece.records
    ]


def applied_us(home: Path) -> int:
    """When retention was applied last."""
    report = read_report(home, RETENTION, RetentionReport)
    return 0 if report is None else report.at_us


class Killed(BaseException):
    """The process ends here."""


def interrupt(runtime: Runtime) -> None:
    """Begin a round that is killed once it has removed something."""

    def on_step(words: str) -> None:
        if words == "removed from events":
            raise Killed

    plan = due_removal(runtime, "governor")
    assert plan is not None
    with pytest.raises(Killed):
        Removal(runtime, SystemStopwatch(), on_step).begin(plan)
    runtime.close()


@pytest.mark.parametrize("begun", [False, True], ids=["due", "interrupted"])
def test_up_removes_what_is_older_than_declared(tmp_path: Path, begun: bool) -> None:
    (tmp_path / "cinema.py").write_text(SERVED_CINEMA.replace("gates=", 'retention={"Watch": "10d"},\n    gates=', 1))
    fill(tmp_path)
    home, instance = tmp_path / "home", Instance.__new__(Instance)
    instance.folder, instance.home = tmp_path, home
    runtime = instance.runtime()
    now_us = runtime.clock.now_us()
    before = ages(home, now_us)
    assert max(before) > 13
    if begun:
        interrupt(runtime)
    else:
        write_report(home, RETENTION, RetentionReport(now_us - 2 * DAY_US))
    instance = Instance(tmp_path)
    try:
        until(lambda: applied_us(home) > now_us, within_s=300)  # after the first run of learning
        report = read_report(home, RETENTION, RetentionReport)
        assert report is not None
        assert report.error == ""
        assert plan_under_way(HomeLayout(home)) is None
        until(lambda: len(instance.children()) == 4 and instance.get("/readyz")[0] == 200)
        assert instance.get("/recommend/1")[0] == 200
        until(lambda: any("retention removed" in line for line in instance.lines))
    finally:
        instance.end()
    after = ages(home, now_us)
    assert report.removed["events"] == len(before) - len(after) >= sum(age > 10 for age in before)
    assert max(after) < 10.01
