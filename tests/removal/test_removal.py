"""After a removal a home is as if the people had never been in it, wherever the process was killed."""

import io
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.processes import until

from flyball.app import App
from flyball.core import FileLock, HomeBusy, ManualStopwatch
from flyball.data import AppData, export_data
from flyball.events import Appended, LineSource, Record, find_format, ingest_lines
from flyball.events.ingest import LineTaker, Tally
from flyball.history import LeftOut, export, take_snapshot
from flyball.models import save_artifact
from flyball.operations import catch_up
from flyball.registry import add_versions, begin_run, hold_accounts
from flyball.removal import Person, Removal, RemovalPlan, RemovalReport, begin_removal, plan_under_way
from flyball.removal.versions import _in_file
from flyball.runtime import Runtime

from .homes import add, again, answer, cinema, copy_without, derived, open_home, version_of
from .search import places_with

ANN, BOB = 7_700_000_000_000_042, 8_800_000_000_000_017
REMOVED = {"events": 11, "predictions": 2, "quarantine": 1}
WATCH = {"type": "watch", "user": ANN, "film": "f1", "minute": 3}


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> App:
    return cinema(tmp_path_factory.mktemp("app"))


def plan_of(home: Runtime, *people: int) -> RemovalPlan:
    return RemovalPlan(
        "erase", "some people", "ann", "asked", home.clock.now_us(), tuple(Person("user", str(id)) for id in people)
    )


def remove(home: Runtime, plan: RemovalPlan, on_step: Callable[[str], object] = lambda words: None) -> RemovalReport:
    begin_removal(home.layout, plan)
    return Removal(home, ManualStopwatch(), on_step).run()


def world() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"type": "viewer", "user": ANN, "name": "Ann"},
        {"type": "viewer", "user": BOB, "name": "Bob"},
        {"type": "gift", "user": 5, "receiver": ANN, "film": "f2"},
        {"type": "party", "film": "f3", "guests": [4, ANN, 5]},
        {"type": "party", "film": "f3", "guests": [4, 5]},
    ]
    for number in range(40):
        user = (ANN, BOB, 3, 4, 5)[number % 5]
        events.append({"type": "watch", "user": user, "film": f"f{number % 6}", "minute": number})
    return events


def filled(app: App, folder: Path) -> Runtime:
    home = open_home(app, folder)
    add(home, world()[:30])
    add(home, [{"type": "watch", "user": ANN, "film": "f1", "minute": 999}, {"type": "watch", "user": 3, "minute": 1}])
    answer(home, [ANN, BOB, 3])
    catch_up(home)
    add(home, world()[30:])
    answer(home, [4, ANN])
    catch_up(home)
    return home


def test_a_home_is_as_if_the_people_had_never_been_in_it(app: App, tmp_path: Path) -> None:
    home, other = filled(app, tmp_path / "home"), open_home(app, tmp_path / "other")
    copy_without(home, other, {ANN})
    report = remove(home, plan_of(home, ANN))
    assert report.removed == {"events": 11, "predictions": 2, "quarantine": 1, "registry": 0, "files": 0}
    assert derived(again(home)) == derived(other)
    left = [msgspec.json.decode(entry.raw) for entry in home.quarantine.list(state=None)]
    assert [(line["user"], line["minute"]) for line in left] == [(3, 1)]
    assert plan_under_way(home.layout) is None
    assert not home.layout.removal.exists()
    entry = home.registry.audit()[-1]
    assert (entry.action, entry.after["removed"]) == ("erase", report.removed)
    assert str(ANN) not in repr(home.registry.audit())


def test_the_home_goes_on_after_it(app: App, tmp_path: Path) -> None:
    home, other = filled(app, tmp_path / "home"), open_home(app, tmp_path / "other")
    copy_without(home, other, {ANN})
    remove(home, plan_of(home, ANN))
    other.clock.advance_us(home.clock.now_us() - other.clock.now_us())  # type: ignore[attr-defined]
    for one in (home, other):  # the same processes go on
        add(one, [{"type": "watch", "user": BOB, "film": "f9", "minute": 5}, WATCH])
    assert derived(home) == derived(other)


def test_a_dry_run_counts_and_changes_nothing(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    before = derived(home)
    report = Removal(home, ManualStopwatch()).look(plan_of(home, ANN, BOB))
    assert (report.removed, report.dry_run) == ({"events": 20, "predictions": 3, "quarantine": 1}, True)
    assert derived(again(home)) == before


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {
                    "type": st.just("watch"),
                    "user": st.integers(1, 5),
                    "film": st.sampled_from("abc"),
                    "minute": st.just(1),
                }
            ),
            st.fixed_dictionaries(
                {
                    "type": st.just("gift"),
                    "user": st.integers(1, 5),
                    "receiver": st.none() | st.integers(1, 5),
                    "film": st.sampled_from("abc"),
                }
            ),
            st.fixed_dictionaries(
                {"type": st.just("party"), "film": st.just("a"), "guests": st.lists(st.integers(1, 5), max_size=3)}
            ),
        ),
        max_size=25,
    ),
    st.sets(st.integers(1, 5)),
)
def test_any_world_and_any_set_of_people(
    app: App, tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]], people: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    home, other = open_home(app, folder / "home"), open_home(app, folder / "other")
    add(home, events)
    answer(home, [1, 2, 3])
    catch_up(home)
    copy_without(home, other, people)
    remove(home, plan_of(home, *people))
    assert derived(again(home)) == derived(other)


def test_killed_at_each_step_and_continued(app: App, tmp_path: Path) -> None:
    steps = list[str]()
    home, other = filled(app, tmp_path / "home"), open_home(app, tmp_path / "other")
    copy_without(home, other, {ANN})
    expected, saved = derived(other), shutil.copytree(home.home, tmp_path / "saved")
    remove(home, plan_of(home, ANN), steps.append)
    assert len(steps) > 20
    for step in sorted({*range(1, len(steps), 4), len(steps)}):
        shutil.copytree(saved, tmp_path / f"killed-{step}")
        killed = open_home(app, tmp_path / f"killed-{step}")
        killed.clock.advance_us(home.clock.now_us() - killed.clock.now_us())  # type: ignore[attr-defined]
        left = [step]

        def on_step(words: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Killed(words)

        plan = plan_of(killed, ANN)
        with pytest.raises(Killed):
            remove(killed, plan, on_step)
        resumed = again(killed)
        if plan_under_way(killed.layout) is not None or step < len(steps):
            begin_removal(killed.layout, msgspec.structs.replace(plan, at_us=plan.at_us + 1))
            report = Removal(resumed, ManualStopwatch()).run()
            assert {name: report.removed[name] for name in ("events", "predictions", "quarantine")} == REMOVED
        assert derived(again(killed)) == expected
        assert sum(entry.action == "erase" for entry in killed.registry.audit()) == 1


def test_no_byte_of_the_home_holds_an_id_after_it(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    snapshot = take_snapshot(
        home.history_files, home.schema, home.clock.now_us(), left_out=LeftOut("user", {str(ANN): 0})
    )
    hold_accounts(home.registry, "user", {str(ANN): 0.5}, by="ann", reason=f"user {ANN} is odd", at_us=1)
    logs = home.layout.logs / "serve-1.log"
    logs.parent.mkdir(parents=True, exist_ok=True)
    logs.write_text(f"refused {ANN}\nanswered 5\n")
    (home.home / "watch.csv").write_text(f"user,film\n{ANN},f1\n{BOB},f1\n")
    pl.DataFrame({"user": [ANN, BOB]}).write_parquet(home.home / "watch.parquet")
    home.layout.monitoring.mkdir(parents=True, exist_ok=True)
    (home.layout.monitoring / "w.profiles").write_bytes(b"x" + str(ANN).encode())
    save_artifact(
        home.artifacts / "r1-own", {"kind": "own"}, {"users": np.array([ANN, 1])}, texts={"users": [str(ANN)]}
    )
    found = {place.split(":")[0].split("/")[0].split("-")[0] for place in places_with(home.home, ANN)}
    assert found >= {
        "artifacts",
        "catalog.db",
        "events.db",
        "features",
        "history",
        "monitoring",
        "outcomes.db",
        "predictions.db",
        "quarantine.db",
        "registry.db",
        "run",
        "state",
        "watch.csv",
        "watch.parquet",
    }
    begin_run(home.registry, "cinema", 1, 1)
    version = version_of("r1-own", snapshot.name)
    add_versions(home.registry, [version])
    report = remove(home, plan_of(home, ANN))
    home.close()
    assert places_with(home.home, ANN) == []
    assert places_with(home.home, BOB)
    assert logs.read_text() == f"refused {'*' * 16}\nanswered 5\n"
    assert (home.home / "watch.csv").read_text() == f"user,film\n{BOB},f1\n"
    assert report.snapshots == [snapshot.name]
    assert (report.versions.learned, report.versions.removed, report.versions.holding) == (["v1"], ["v1"], [])


def test_late_events_of_an_erased_person_are_refused_and_kept_nowhere(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    remove(home, plan_of(home, ANN))
    source = LineSource("web", find_format("jsonl"), "jsonl", "live")
    before_us = home.clock.now_us() - 1_000_000
    home.clock.advance_us(5_000_000)  # type: ignore[attr-defined]
    lines = [{**WATCH, "at": before_us}, {**WATCH, "user": BOB, "at": before_us}, {**WATCH, "at": home.clock.now_us()}]
    for one in (home, again(home)):  # the processes that ran before, and new ones
        verdicts = ingest_lines([msgspec.json.encode(line) for line in lines[:2]], source, one.inlet).verdicts
        assert (verdicts[0].verdict, verdicts[0].reason) == ("erased", "erased")
    home.close()
    assert places_with(home.home, ANN) == []
    late = ingest_lines([msgspec.json.encode(lines[2])], source, again(home).inlet).verdicts
    assert [verdict.verdict for verdict in late] == ["accepted"]


def test_other_machines_learn_of_it_by_the_registry(app: App, tmp_path: Path) -> None:
    home, other = filled(app, tmp_path / "home"), open_home(app, tmp_path / "other")
    other.settings = msgspec.structs.replace(other.settings, registry=home.settings.registry)
    assert not other.erased.was([("user", str(ANN))], 0)
    remove(home, plan_of(home, ANN))
    other.learn_erasures()
    erased_us = home.clock.now_us()
    assert other.erased.was([("user", str(BOB)), ("user", str(ANN))], 0)
    assert not other.erased.was([("user", str(BOB))], 0)
    assert not other.erased.was([("user", str(ANN))], erased_us + 1)
    assert places_with(other.home, ANN) == []
    other.erased.add([("user", "5")], erased_us)  # as by an earlier release, which kept it to itself
    again(other).learn_erasures()
    again(home).learn_erasures()
    assert again(home).erased.was([("user", "5")], erased_us)


def test_what_was_checked_before_an_erasure_and_is_stored_during_it_is_removed(app: App, tmp_path: Path) -> None:
    home = filled(app, tmp_path / "home")
    goes, asked, late = threading.Event(), threading.Event(), again(home)

    class Slow:
        """Appends when it may, as a process that the machine has stopped for a while."""

        def append(self, records: Sequence[Record]) -> Appended:
            asked.set()
            assert goes.wait(60)
            return late.log.append(records)

    inlet = msgspec.structs.replace(late.inlet, appender=Slow())
    source = LineSource("web", find_format("jsonl"), "jsonl", "live")
    profile = {"type": "viewer", "user": ANN, "name": "Ann", "at": home.clock.now_us() - 1}
    bad = {"type": "watch", "user": ANN, "minute": 7}
    lines = [msgspec.json.encode(line) for line in (profile, bad)]
    writer = threading.Thread(target=lambda: ingest_lines(lines, source, inlet))
    writer.start()
    assert asked.wait(60)

    def on_step(words: str) -> None:
        assert words != "late events are refused" or not writer.is_alive()

    eraser = threading.Thread(target=lambda: remove(home, plan_of(home, ANN), on_step))
    eraser.start()
    until(home.layout.erased.exists)
    goes.set()
    writer.join(60)
    eraser.join(120)
    home.close()
    late.close()
    assert plan_under_way(home.layout) is None
    assert places_with(home.home, ANN) == []


def test_nothing_is_noted_or_removed_while_a_backup_or_another_removal_runs(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    add(home, world()[:6])
    before = home.log.ends()
    for name, other in (("backup.lock", "the backup"), ("removal.lock", "the other removal")):
        with (
            FileLock(home.layout.run / name, "flyball backup"),
            pytest.raises(HomeBusy, match=f"Nothing was removed: run the command again when {other} is done"),
        ):
            Removal(home, ManualStopwatch()).begin(plan_of(home, ANN))
        assert plan_under_way(home.layout) is None
        assert home.log.ends() == before


class Hurried(ManualStopwatch):
    """Seven seconds pass at every look."""

    def read_s(self) -> float:
        self.advance_s(7)
        return super().read_s()


def test_a_round_of_retention_is_waited_for_and_named(app: App, tmp_path: Path) -> None:
    home, steps = open_home(app, tmp_path / "home"), list[str]()
    add(home, world()[:6])
    with (
        FileLock(home.layout.removal_lock, "retention"),
        pytest.raises(HomeBusy, match=r"retention must have ended, .* run the command again in a minute"),
    ):
        Removal(home, Hurried(), steps.append).begin(plan_of(home, ANN))
    assert len(steps) == 1
    assert steps[0].startswith("waiting for retention, process")
    lock = FileLock(home.layout.removal_lock, "retention")
    lock.__enter__()
    removal = Removal(home, ManualStopwatch(), lambda words: lock.__exit__(None, None, None))
    assert removal.begin(plan_of(home, ANN)).removed["events"] == 4


def test_an_id_is_compared_whole_with_the_shorter_ids_of_an_artifact() -> None:
    content = io.BytesIO()
    np.save(content, np.array(["987", "12"]))
    assert not _in_file("users.npy", content.getvalue(), {"987654321"})
    assert _in_file("users.npy", content.getvalue(), {"987654321", "12"})


def test_bad_lines_of_an_erased_person_do_not_come_back_into_quarantine(app: App, tmp_path: Path) -> None:
    home = open_home(app, tmp_path / "home")
    home.erased.add([("user", str(ANN)), ("user", "7")], home.clock.now_us())
    source = LineSource("web", find_format("jsonl"), "jsonl", "live")
    bad = [b'{"type": "watch", "user": %d, "minute": "x"}' % id for id in (ANN, BOB, 7)] + [b"user=%d;" % ANN]
    tally = Tally()
    LineTaker(source, home.inlet, tally).take(bad, range(1, 5))
    report = tally.report(1.0)
    assert (report.erased, sum(report.quarantined.values()), report.read) == (3, 1, 4)
    left = [entry.raw for entry in home.quarantine.list(state=None)]
    assert left == bad[1:2]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_exports_in_a_folder_of_the_home_lose_the_rows_of_a_short_id(app: App, tmp_path: Path, kind: str) -> None:
    home = filled(app, tmp_path / "home")
    folder = home.home / "exports"
    folder.mkdir()
    export_data(AppData(home), "predictions", folder / f"predictions.{kind}", kind)
    for name in ("watch", "gift"):
        export(home.history, name, folder / f"{name}.{kind}", kind)
    report = remove(home, plan_of(home, 3, 5))
    assert (report.removed["files"], report.unread) == (3, [])
    read = pl.read_csv if kind == "csv" else pl.read_parquet
    left = {path.stem: read(path) for path in folder.iterdir()}
    assert set(map(int, left["predictions"]["key"])) == {ANN, BOB, 4}
    assert set(left["watch"]["user"]) == {ANN, BOB, 4}
    assert left["gift"].height == 0
