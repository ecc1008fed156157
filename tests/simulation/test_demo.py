"""A home's world: planned once, the same each time, its past taken in whole."""

from pathlib import Path

import pytest

import flyball as fb
from flyball.app import load_app
from flyball.core import BadDeclaration, BadInput, ManualClock, parse_timestamp
from flyball.runtime import Runtime, load_settings
from flyball.simulation import WorldPlan, new_plan, read_plan, seed_history, seed_home, world_of, world_program
from flyball.simulation.worlds.movies.log_lines import DAY_US

NOW_US = parse_timestamp("2026-05-01T12:00:00.250Z")


def runtime(home: Path, app: fb.App | None = None) -> Runtime:
    return Runtime(app or load_app("movies"), load_settings(home), ManualClock(NOW_US))


def small_plan() -> WorldPlan:
    return new_plan(NOW_US, users=60, films=80, days=2)


def test_the_past_ends_now_and_is_taken_in_whole(tmp_path: Path) -> None:
    home = runtime(tmp_path)
    assert read_plan(home.home) is None
    report = seed_home(home, small_plan())
    batches = list(seed_history(world_of(small_plan()), small_plan().until_us))
    planted = sum(batch.planted.get("broken", 0) for batch in batches)
    assert report.read == sum(len(batch.lines) for batch in batches)
    assert sum(report.quarantined.values()) == planted
    records = [record for piece in home.log.read((0,) * 4, 1_000_000) for record in piece.records]
    said = [record for record in records if record.type in ("watch", "rate", "joined")]
    # What was said in the last minute before now may still be on its way.
    assert min(record.at for record in said) >= NOW_US - 2 * DAY_US
    assert NOW_US - DAY_US < max(record.at for record in said) <= NOW_US
    assert sum(record.type == "filmcard" for record in records) == sum(
        kind == "filmcard" for batch in batches for kind, _, _ in batch.profiles
    )


def test_a_past_begun_is_finished_not_begun_anew(tmp_path: Path) -> None:
    class Killed(BaseException): ...

    def kill(_: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        seed_home(runtime(tmp_path), small_plan(), kill)
    assert read_plan(tmp_path) is None
    later = new_plan(NOW_US + DAY_US, users=60, films=80, days=2)
    seed_home(runtime(tmp_path), later)
    assert read_plan(tmp_path) == small_plan()
    whole = tmp_path / "whole"
    seed_home(runtime(whole), small_plan())
    assert sum(runtime(tmp_path).log.ends()) == sum(runtime(whole).log.ends())


def test_the_program_drives_this_home(tmp_path: Path) -> None:
    program = world_program(tmp_path)
    assert str(tmp_path) in program.argv
    assert any("{port}" in word for word in program.argv)


def test_a_plan_that_is_not_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("[]")
    with pytest.raises(BadInput, match="world plan"):
        read_plan(tmp_path)
    with pytest.raises(BadInput, match="days"):
        new_plan(NOW_US, days=0)


def test_an_application_without_movielog_has_no_world(tmp_path: Path) -> None:
    movies = load_app("movies")
    deaf = fb.App("deaf", events=movies.events, task=movies.task, candidates=movies.candidates)
    with pytest.raises(BadDeclaration, match="movielog"):
        seed_home(runtime(tmp_path, deaf), small_plan())
