"""A home is moved whole, whenever the process that moves it is killed; what is written meanwhile is moved too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flyball.app import App
from flyball.core import ManualStopwatch, Refused, StoreUnavailable
from flyball.events import open_log
from flyball.migration import Migration, MigrationReport
from flyball.registry import begin_run
from flyball.releases import ShadowBatch
from flyball.runtime import Runtime

from .conftest import NOW_US, add_events, open_home
from .homes import Killed, contents, killed_at

KILLED_AT = (1, 4, 9, 12, 15, 18, 22, 26, 31)


def migrate(
    source: Runtime, target: Runtime, switch: bool = False, on_step: Callable[[str], object] = lambda words: None
) -> MigrationReport:
    return Migration(source, target, ManualStopwatch(), on_step).run(switch)


def again(home: Runtime) -> Runtime:
    """The same home in a new process."""
    return Runtime(home.app, home.settings, home.clock)


def test_a_moved_home_has_all_that_the_first_one_had(full: Runtime, tmp_path: Path) -> None:
    full.quarantine.mark([2], "dropped")
    full.quarantine.mark([3], "released")
    target = open_home(full.app, tmp_path / "second")
    report = migrate(full, target)
    assert contents(again(target)) == contents(full)
    counts = {part.part: part.count for part in report.parts}
    assert counts["events"] == sum(full.log.ends()) > 100
    assert counts["predictions"] == 2
    assert counts["quarantine"] == len(full.quarantine.list(state=None)) == 19
    assert counts["artifacts"] == 1
    assert (report.behind, report.switched) == (0, False)


def test_what_shadows_came_to_is_moved(full: Runtime, tmp_path: Path) -> None:
    batch = ShadowBatch("r1")
    batch.leave_out("too old", 3)
    full.shadow_counter.add(batch, (2,))
    migrate(full, open_home(full.app, tmp_path / "second"))
    assert again(open_home(full.app, tmp_path / "second")).shadow_counter.offsets("r1") == {0: 2}


@pytest.mark.parametrize("step", KILLED_AT)
def test_a_killed_move_continues_and_doubles_nothing(full: Runtime, tmp_path: Path, step: int) -> None:
    target = open_home(full.app, tmp_path / "second")
    with pytest.raises(Killed):
        migrate(full, target, switch=True, on_step=killed_at(step))
    if full.gate.moved() is None:
        add_events(again(full), 500, 30)  # the first home is in use as before
    report = migrate(again(full), again(target), switch=True)
    assert report.switched
    assert contents(again(target)) == contents(again(full))
    add_events(again(target), 900, 10)


def test_every_step_comes_before_the_last_of_those_at_which_it_is_killed(full: Runtime, tmp_path: Path) -> None:
    steps: list[str] = []
    migrate(full, open_home(full.app, tmp_path / "second"), switch=True, on_step=steps.append)
    assert max(KILLED_AT) <= len(steps) < 2 * max(KILLED_AT)
    before = [
        sum(step < number for step in KILLED_AT) for number in map(steps.index, ("writers are kept out", "switched"))
    ]
    assert 2 <= before[0] < before[1], f"killed before, in and after the switch: {steps}"


def test_what_is_written_meanwhile_is_moved_too(full: Runtime, tmp_path: Path) -> None:
    target, writes = open_home(full.app, tmp_path / "second"), iter(range(1_000, 9_000, 10))

    def write(words: str) -> None:
        if words.startswith(("copying", "copied", "comparing")) and (first := next(writes)) < 3_000:
            add_events(full, first, 10)

    report = migrate(full, target, on_step=write)
    assert report.behind > 0
    report = migrate(full, again(target), switch=True)
    assert contents(again(target)) == contents(again(full))
    assert report.pause_s == 0.0


def test_writers_are_kept_out_during_the_switch_and_follow_it(full: Runtime, tmp_path: Path) -> None:
    target, refused = open_home(full.app, tmp_path / "second"), list[str]()

    def write(words: str) -> None:
        if words == "writers are kept out":
            with pytest.raises(StoreUnavailable, match="send it again in a moment"):
                add_events(full, 5_000, 5)
            with pytest.raises(StoreUnavailable, match="send it again in a moment"):
                begin_run(full.registry, "cinema", NOW_US, NOW_US)
            refused.append(words)

    migrate(full, target, switch=True, on_step=write)
    assert refused
    ends = open_log(target.settings.events).ends()
    add_events(full, 6_000, 10)  # a process that had the first home open
    moved = open_log(target.settings.events)
    assert sum(moved.ends()) == sum(ends) + 9
    assert len(again(target).quarantine.list(state=None, limit=1_000)) == 21
    with pytest.raises(StoreUnavailable, match=f"use --home {target.home}"):
        begin_run(full.registry, "cinema", NOW_US, NOW_US)
    with pytest.raises(Refused, match=f"use --home {target.home}"):
        add_events(again(full), 7_000, 10)  # one that was started later


def test_a_copy_is_not_written_to_before_the_switch(full: Runtime, tmp_path: Path) -> None:
    target = open_home(full.app, tmp_path / "second")
    migrate(full, target)
    with pytest.raises(Refused, match="run it with --switch"):
        add_events(again(target), 1, 10)


def test_a_home_is_moved_back(full: Runtime, tmp_path: Path) -> None:
    target = open_home(full.app, tmp_path / "second")
    migrate(full, target, switch=True)
    moved = again(target)
    add_events(moved, 2_000, 50)
    begin_run(moved.registry, "cinema", NOW_US, NOW_US)
    report = migrate(moved, again(full), switch=True)
    assert {part.part: part.copied for part in report.parts}["events"] == 45
    back = again(full)
    assert contents(back) == contents(again(target))
    add_events(back, 3_000, 10)
    with pytest.raises(Refused, match=f"use --home {full.home}"):
        add_events(again(target), 4_000, 10)


def test_a_store_that_holds_something_else_is_not_written_to(full: Runtime, app: App, tmp_path: Path) -> None:
    target = open_home(app, tmp_path / "second")
    add_events(target, 0, 10)
    before = open_log(target.settings.events).ends()
    with pytest.raises(Refused, match="events .* must be empty to be copied to, got 9 records"):
        migrate(full, target)
    assert open_log(target.settings.events).ends() == before


def test_a_copy_to_which_something_else_was_written_is_refused(full: Runtime, tmp_path: Path) -> None:
    target = open_home(full.app, tmp_path / "second")
    migrate(full, target)
    log = open_log(target.settings.events)
    (piece, *_) = log.read((0,) * len(log.ends()), 1)
    log.append([type(piece.records[0])("watch", "1", 1, 1, b"x" * 16, piece.records[0].body, 1 << 31)])
    with pytest.raises(Refused, match="something else was written to it"):
        migrate(full, again(target))


def test_a_store_in_its_former_place_is_left_there(full: Runtime, app: App, tmp_path: Path) -> None:
    urls = {
        part: getattr(full.settings, part) for part in ("events", "predictions", "quarantine", "history", "artifacts")
    }
    target = open_home(app, tmp_path / "second", "".join(f'{part} = "{url}"\n' for part, url in urls.items()))
    report = migrate(full, target, switch=True)
    assert [part.part for part in report.parts] == ["registry"]
    add_events(again(target), 500, 10)
    with pytest.raises(Refused, match="use --home"):
        add_events(again(full), 600, 10)


@pytest.mark.parametrize("case", ["itself", "other"])
def test_homes_that_do_not_fit_are_refused(full: Runtime, app: App, tmp_path: Path, case: str) -> None:
    second, third = open_home(app, tmp_path / "second"), open_home(app, tmp_path / "third")
    if case == "itself":
        with pytest.raises(Refused, match="must be another one"):
            migrate(full, full)
        return
    migrate(full, second)
    with pytest.raises(Refused, match="got an unfinished copy"):
        migrate(second, third)
    migrate(full, again(second), switch=True)
    with pytest.raises(Refused, match="got one that was moved to"):
        migrate(full, third)
