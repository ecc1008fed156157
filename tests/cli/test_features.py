"""`flyball features list`: everything about each declared feature; `ingest --lag learned`."""

import json
from pathlib import Path

from tests.cinema import CINEMA

from flyball.app import load_app
from flyball.core import SystemClock, format_timestamp, parse_timestamp
from flyball.history import Delay, load_snapshot, take_snapshot
from flyball.registry import Version, add_versions, begin_run
from flyball.runtime import Runtime, load_settings

from .conftest import Run

APP = (
    CINEMA
    + """
user = fb.Entity("user", watched=fb.count(Watch, "7d").fresh("1s"), ever=fb.last(Watch, lambda w: w.film))
film = fb.Entity(
    "film",
    recent=fb.mean(Watch, lambda w: w.minute, fb.exact("1d")),
    long=fb.ratio(fb.count(Watch, "30d", where=lambda w: w.minute > 60), fb.count(Watch, fb.lifetime)).fresh("1m"),
)
reading = fb.FeatureSet(
    user, film,
    hour=fb.computed(lambda at: at // 3_600_000_000 % 24, "at", kind=int),
    taste=fb.hashed("user", "film", size=64),
)
app = fb.App(
    "cinema",
    events=[Watch],
    task=fb.Recommend(user, film, positive=fb.outcome(Watch, within="1d")),
    candidates={"ranker": fb.Stages((fb.Popular(),), features=reading), "popular": fb.Popular()},
)
"""
)


def written(folder: Path, lines: list[dict[str, object]], name: str = "events.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return name


def opened() -> Runtime:
    Path("cinema.py").write_text(APP)
    return Runtime(load_app("cinema.py"), load_settings(Path(".flyball/cinema")), SystemClock())


def test_every_feature_with_window_kind_hash_freshness_bytes_and_versions(run: Run, tmp_path: Path) -> None:
    runtime = opened()
    lines: list[dict[str, object]] = [
        {"type": "watch", "user": user, "film": "up", "minute": 1, "at": "2026-01-01T00:00:00"} for user in range(5)
    ]
    assert run("ingest", "cinema.py", written(tmp_path, lines)).code == 0
    hashes = runtime.app.task.feature_hashes
    other = dict.fromkeys(("hour", "user.watched"), "0" * 16)
    common = {
        "app": "cinema",
        "candidate": "ranker",
        "kind": "x:Y",
        "seed": 0,
        "snapshot": "",
        "as_of_us": 0,
        "created_us": 0,
        "run": begin_run(runtime.registry, "cinema", 0, 0).id,
        "state": "candidate",
    }
    for read in (hashes, other, {}):
        add_versions(runtime.registry, [Version(**common, params={}, features=read)])  # type: ignore[arg-type]
    assert run("export", "cinema.py", "watch").code == 0, "brings the views up to date"
    listed = run("features", "list", "cinema.py", "--json")
    rows = {one["name"]: one for one in listed.last["features"]}
    assert list(rows) == ["user.watched", "user.ever", "film.recent", "film.long", "hour", "taste"]
    assert {name: (one["window"], one["kind"], one["type"]) for name, one in rows.items()} == {
        "user.watched": ("7d", "tiled", "int"),
        "user.ever": ("all", "lifetime", "text"),
        "film.recent": ("1d", "exact", "real"),
        "film.long": ("30d, all", "tiled, lifetime", "real"),
        "hour": (None, "computed", "int"),
        "taste": (None, "hashed", "int"),
    }
    assert {name: one["hash"] for name, one in rows.items()} == hashes
    assert rows["user.watched"]["freshness"] == {"target_us": 1_000_000, "p99_us": None, "met": None}
    assert rows["film.long"]["freshness"]["target_us"] == 60_000_000
    assert rows["user.ever"]["freshness"]["target_us"] == 5_000_000
    assert rows["hour"]["freshness"] is None
    assert all(rows[name]["bytes"] > 0 and rows[name]["behind"] == 0 for name in rows if "." in name)
    assert rows["hour"]["versions"] == rows["user.watched"]["versions"] == ["v1", "v2(other)"]
    assert rows["film.long"]["versions"] == ["v1"]
    assert rows["hour"]["definition"] == "computed(at)"
    runtime.apply_delays_path.write_text(json.dumps({"delays": {"features": {str(20_000): {"60": 99, "70": 1}}}}))
    measured = {one["name"]: one for one in run("features", "list", "cinema.py", "--json").last["features"]}
    late_us = measured["user.watched"]["freshness"]["p99_us"]
    assert late_us > 1_000_000
    assert [measured[name]["freshness"]["met"] for name in ("user.watched", "film.long")] == [False, True]
    text = run("features", "list", "cinema.py").out
    assert f"{late_us / 1e6:.2f} s of 1s" in text
    assert "examples see an event only that long after it was known" in text
    assert run("status", "cinema.py", "--json").last["apply_delays"]["features"]["events"] == 100


def test_history_imported_with_the_lag_of_live_events(run: Run, tmp_path: Path) -> None:
    runtime = opened()
    past = [
        {"type": "watch", "user": 1, "film": "up", "minute": minute, "at": "2026-01-01T00:00:00"} for minute in range(3)
    ]
    file = written(tmp_path, past, "past.jsonl")  # type: ignore[arg-type]
    refused = run("ingest", "cinema.py", file, "--lag", "learned")
    assert refused.code == 2
    assert "100 live events" in refused.err
    earlier = format_timestamp(SystemClock().now_us() - 60_000_000)
    live = [{"type": "watch", "user": user, "film": "up", "minute": 1, "at": earlier} for user in range(200)]
    file_of_live = written(tmp_path, live, "live.jsonl")  # type: ignore[arg-type]
    assert run("ingest", "cinema.py", file_of_live, "--as", "live", "--json").last["accepted"] == {"watch": 200}
    message = run("ingest", "cinema.py", file, "--lag", "learned")
    assert message.code == 0
    assert "99 of 100 of 200 live events" in message.err
    assert run("export", "cinema.py", "watch").code == 0
    taken = take_snapshot(runtime.history_folder, runtime.schema, 2**62, apply_delays={"state": Delay(1, 2, 3)})
    lags = load_snapshot(runtime.history_folder, runtime.schema, taken.name).types["watch"].lags
    assert lags.live is not None
    assert lags.declared is not None
    assert lags.live.events == 200
    assert lags.declared == Delay(3, lags.live.p99_us, lags.live.p99_us)
    assert lags.live.p99_us >= 60_000_000
    watched = taken.frame("watch")
    assert watched["known_at"][0] == parse_timestamp("2026-01-01T00:00:00Z") + lags.live.p99_us
