"""A home's world: planned once, the same each time, its past ingested whole."""

from pathlib import Path

import pytest

import flyball as fb
from flyball.app import load_app
from flyball.core import BadDeclaration, BadInput, ManualClock, parse_timestamp
from flyball.learning import learn
from flyball.operations import catch_up, status
from flyball.runtime import Runtime, load_settings
from flyball.simulation import WorldPlan, live_past, new_plan, plan_summary, read_plan, seed_home, speed_for, world_of
from flyball.simulation.world import DAY_US

NOW_US = parse_timestamp("2026-05-01T12:00:00.250Z")


def runtime(home: Path, app: fb.App | None = None) -> Runtime:
    return Runtime(app or load_app("movies"), load_settings(home), ManualClock(NOW_US))


def small_plan() -> WorldPlan:
    return new_plan(load_app("movies"), NOW_US, days=2, users=60, items=80)


def test_the_past_ends_now_and_is_ingested_whole(tmp_path: Path) -> None:
    home = runtime(tmp_path)
    assert read_plan(home.home) is None
    report = seed_home(home, small_plan())
    plan = small_plan()
    batches = list(live_past(world_of(home.app, plan), plan.start_us, plan.until_us))
    planted = sum(batch.planted.get("broken", 0) for batch in batches)
    lines = [(format, line) for batch in batches for format, part in batch.lines for line in part]
    assert report.read == len(lines)
    assert sum(report.quarantined.values()) == planted
    records = [record for piece in home.log.read((0,) * 4, 1_000_000) for record in piece.records]
    said = [record for record in records if record.type in ("watch", "rate", "joined")]
    # What was said in the last minute before now may still be on its way.
    assert min(record.at for record in said) >= NOW_US - 2 * DAY_US
    assert NOW_US - DAY_US < max(record.at for record in said) <= NOW_US
    assert sum(record.type == "filmcard" for record in records) == sum(
        format == "jsonl" and b'"filmcard"' in line for format, line in lines
    )


def test_the_views_are_up_to_the_past_before_anybody_asks(tmp_path: Path) -> None:
    home = runtime(tmp_path)
    seed_home(home, small_plan())
    consumers = status(home).consumers
    assert {consumer.name for consumer in consumers} >= {"state", "features"}
    assert all(consumer.behind == 0 and not consumer.error for consumer in consumers)


def test_whoever_waits_sees_lines_ingested_and_views_catching_up(tmp_path: Path) -> None:
    home, message = runtime(tmp_path), list[str]()
    seed_home(home, small_plan(), message.append)
    assert any("lines ingested" in line for line in message)
    to_go = [int(line.split()[-4].replace(",", "")) for line in message if "bringing the views up" in line]
    assert to_go[-1] == 0 < to_go[0]
    # Folding all of the log again, as after a change of the declaration, is reported as well.
    for view in (tmp_path / "outcomes.db", tmp_path / "outcomes.db-wal", tmp_path / "outcomes.db-shm"):
        view.unlink(missing_ok=True)
    again = list[str]()
    assert catch_up(runtime(tmp_path), again.append) > 0
    assert any("records to go" in line for line in again)


def test_a_past_begun_is_finished_not_begun_again(tmp_path: Path) -> None:
    class Killed(BaseException): ...

    def kill(_: str) -> None:
        raise Killed

    with pytest.raises(Killed):
        seed_home(runtime(tmp_path), small_plan(), kill)
    assert read_plan(tmp_path) is None
    later = new_plan(load_app("movies"), NOW_US + DAY_US, users=60, items=80, days=2)
    seed_home(runtime(tmp_path), later)
    assert read_plan(tmp_path) == small_plan()
    whole = tmp_path / "whole"
    seed_home(runtime(whole), small_plan())
    assert sum(runtime(tmp_path).log.ends()) == sum(runtime(whole).log.ends())


def test_a_world_runs_as_fast_as_the_wanted_rate_needs() -> None:
    assert speed_for(100.0, lines=10_000, days=2) == pytest.approx(100.0 * 2 * 86_400 / 10_000)
    assert speed_for(1.0, lines=10_000_000, days=1) == 1.0  # never slower than life


def test_a_plan_says_its_sizes() -> None:
    assert plan_summary(load_app("movies"), small_plan()) == "users 60, items 80, k 20; 2 days of its past"


def test_a_plan_that_is_not_one_is_reported(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("[]")
    with pytest.raises(BadInput, match="world plan"):
        read_plan(tmp_path)
    with pytest.raises(BadInput, match="days"):
        new_plan(load_app("movies"), NOW_US, days=0)


def test_a_plan_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text('{"until_us": 1, "users": 60, "films": 80}')
    with pytest.raises(BadInput, match="format 2; choose another --home"):
        read_plan(tmp_path)


def test_an_application_without_a_world_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    movies = load_app("movies")
    alone = fb.App("alone", events=movies.events, task=movies.task, candidates=movies.candidates)
    with pytest.raises(BadDeclaration, match=r"world=fb.world"):
        new_plan(alone, NOW_US)
    with pytest.raises(BadDeclaration, match=r"world=fb.world"):
        seed_home(runtime(tmp_path / "home", alone), small_plan())
    assert not (tmp_path / "home").exists()


def test_the_past_of_the_movie_service_is_enough_to_learn_of_tastes(tmp_path: Path) -> None:
    """What is popular is not the best of that world, by its own truth: the first champion must not be it."""
    app = load_app("movies")
    app.candidates = {"popular": fb.Popular(), "item_knn": fb.ItemKNN()}
    movies = runtime(tmp_path, app)
    seed_home(movies, new_plan(app, NOW_US))
    report = learn(movies, workers=1)
    assert "item_knn is the champion now" in report.reason.replace(f"{report.champion} (item_knn)", "item_knn")
