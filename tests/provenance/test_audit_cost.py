"""The audit reads what the audited answers can have seen, from the history or from the log, and finds the same."""

import random
from pathlib import Path

import polars as pl
import pytest

from flyball.events.sqlite import SqliteLog
from flyball.features import point_in_time
from flyball.provenance import audit
from flyball.provenance.log_features import Needed, events_about

from .conftest import DAY_US, DAYS, FEATURES, START_US, Theatre, opened

SECOND_US = 1_000_000
WINDOWED = FEATURES.replace("fb.lifetime", '"7d"')
KEYS = {"user": {("1",), ("7",)}, "film": {("f1",)}, "user_film": {("1", "f1"), ("7", "f3")}}


def test_windows_without_beginning_need_all_events_of_their_keys_and_no_others(
    theatre_home: Path, tmp_path: Path
) -> None:
    theatre = opened(theatre_home, tmp_path)
    groups = theatre.runtime.app.task.feature_groups
    needed = Needed(groups, KEYS, theatre.clock.now_us())
    assert "watch" not in needed.since_of, "both films' windows and pairs' lifetimes are over it"
    assert needed.since["watch", ("film",)] == (START_US + DAYS * DAY_US - 40 * DAY_US) // (DAY_US // 4) * (DAY_US // 4)
    assert ("watch", ("user", "film")) not in needed.since
    for from_log in (False, True):
        frames = events_about(theatre.runtime, needed, theatre.runtime.log.ends(), from_log)
        watched = frames["watch"]
        assert set(watched["user"].cast(pl.String)) - {"1", "7"}, "all who watched f1"
        mine = watched.filter(~pl.col("user").is_in([1, 7]))
        assert set(mine["film"]) == {"f1"}
        assert frames["card"].height == 1
        assert frames["viewer"].height == 2


@pytest.mark.parametrize("features", [FEATURES, WINDOWED])
def test_values_are_those_of_the_whole_log(theatre_home: Path, tmp_path: Path, features: str) -> None:
    theatre = opened(theatre_home, tmp_path, features)
    for day in (1, 3, 5, 20, 60):
        for _ in range(20):
            user, film = random.Random(day).randrange(1, 61), random.Random(-day).randrange(30)
            at = START_US - day * DAY_US + random.Random(user).randrange(DAY_US)
            theatre.put("watch", user=user, film=f"f{film}", minute=day, at_us=at)
    theatre.follow()
    theatre.put("watch", user=1, film="f1", minute=2)  # neither in the history nor applied
    runtime, now_us = theatre.runtime, theatre.clock.now_us()
    groups, ends = runtime.app.task.feature_groups, runtime.log.ends()
    everything = {name: runtime.history.events(name) for name in runtime.schema.types}
    for until in (ends, tuple(end // 2 for end in ends)):
        needed = Needed(groups, KEYS, now_us)
        parts = [events_about(runtime, needed, until, from_log) for from_log in (False, True)]
        for group in groups:
            rows = pl.DataFrame(
                {key: [one[place] for one in sorted(KEYS[group.name])] for place, key in enumerate(group.keys)}
            ).with_columns(at=pl.lit(now_us, pl.Int64), offsets=pl.lit(list(runtime.history.offsets())))
            if until != ends:
                rows = rows.with_columns(offsets=pl.lit(list(until)))
            whole = point_in_time([group], everything, rows)
            for part in parts:
                assert point_in_time([group], part, rows).equals(whole)


def test_what_no_window_reaches_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theatre = Theatre(tmp_path, WINDOWED)
    theatre.fill()
    theatre.learn()
    for day in range(400, 440):
        records = [
            theatre.runtime.schema.check("watch", {"user": user, "film": f"f{day % 30}", "minute": 1}, at, at)
            for user in range(1_001, 1_061)
            for at in [START_US - day * DAY_US + user]
        ]
        theatre.runtime.log.append(records)
    theatre.follow()
    theatre.answer(*range(1, 21))
    decoded: list[int] = []
    opening = SqliteLog._open
    monkeypatch.setattr(
        SqliteLog,
        "_open",
        lambda self, place, count, crc, data: (decoded.append(count), opening(self, place, count, crc, data))[1],
    )
    groups = theatre.runtime.app.task.feature_groups
    needed = Needed(groups, KEYS, theatre.clock.now_us())
    assert needed.since_of["watch"] > START_US - 100 * DAY_US
    frames = events_about(theatre.runtime, needed, theatre.runtime.log.ends(), from_log=True)
    assert frames["watch"]["at"].min() >= needed.since_of["watch"]  # type: ignore[operator]
    assert sum(decoded) <= sum(theatre.runtime.log.ends()) - 40 * 60, "blocks of 400 days ago stay closed"
    for from_log in (False, True):
        found = audit(theatre.runtime, START_US, from_log=from_log)
        assert (found.exact, found.audited) == (True, 20), found.text()


def test_a_spoiled_history_is_no_logic_skew_and_is_reported(theatre_home: Path, tmp_path: Path) -> None:
    theatre = opened(theatre_home, tmp_path)
    theatre.answer(*range(1, 11))
    assert audit(theatre.runtime, START_US) == audit(theatre.runtime, START_US, from_log=True)
    part = next((theatre.runtime.history_folder / "parts" / "watch").glob("*.parquet"))
    frame = pl.read_parquet(part)
    frame.with_columns(minute=pl.col("minute") + 1).write_parquet(part)
    found = audit(theatre.runtime, START_US)
    assert found.exact
    assert "history is not what the log holds" in found.text()


def test_each_feature_is_held_to_its_own_target(theatre_home: Path, tmp_path: Path) -> None:
    quick = FEATURES.replace('watched=fb.count(Watch, "7d")', 'watched=fb.count(Watch, "7d").fresh("2s")')
    slow = quick.replace('views=fb.count(Watch, "7d")', 'views=fb.count(Watch, "7d").fresh("1m")')
    theatre = opened(theatre_home, tmp_path, slow)
    hashes = theatre.runtime.app.task.feature_hashes
    assert hashes == Theatre(tmp_path, FEATURES, "plain").runtime.app.task.feature_hashes, "no part of the meaning"
    now_us = theatre.clock.now_us()
    for user in range(1, 41):
        theatre.put("watch", user=user, film="f1", minute=9, at_us=now_us - 3 * SECOND_US)
    theatre.answer(*range(1, 41))
    found = audit(theatre.runtime, START_US)
    by_name = {one.name: one for one in found.features}
    watched, minutes = by_name["user.watched"], by_name["user.minutes"]
    assert (watched.target_us, watched.late, watched.met) == (2 * SECOND_US, 40, False)
    assert (minutes.target_us, minutes.stale, minutes.late, minutes.met) == (5 * SECOND_US, 40, 0, True)
    assert by_name["film.views"].target_us == 60 * SECOND_US
    assert watched.all_p99_us == 3 * SECOND_US
    assert not found.fresh
    assert "target MISSED by user.watched (2s)" in found.text()
    assert audit(theatre.runtime, START_US, target_us=4 * SECOND_US).fresh
    assert {one.target_us for one in audit(theatre.runtime, START_US, target_us=0).features} == {0}
