"""A backfill by key ranges gives what one computation gives, with any memory, stopped anywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from flyball.core import BadInput
from flyball.features import backfill, point_in_time
from flyball.features.offline.backfill import _portable, plan_backfill
from flyball.testing import feature_logs as logs
from flyball.testing.feature_oracle import Logged

GROUPS = logs.GROUPS


def history(folder: Path, events: int = 400) -> tuple[dict[str, pl.DataFrame], dict[str, list[Path]], pl.DataFrame]:
    """A log over 23 users in files of at most 100 events, and rows about them, some of nobody."""
    rng = np.random.default_rng(5)
    log = []
    for offset in range(events):
        at, person = int(rng.integers(0, 40 * logs.TILE)), int(rng.integers(1, 24))
        if offset % 9 == 0:
            event: Any = logs.Card(shop=f"s{offset % 4}", size=offset, at=at)
        elif offset % 7 == 0:
            event = logs.Label(user=person, tag="a", y=float(rng.integers(0, 3)), at=at)
        else:
            event = logs.Act(user=person, shop=f"s{person % 5}", n=int(rng.integers(0, 9)), x=0.25, t="b", at=at)
        log.append(Logged(event, at + int(rng.integers(0, logs.TILE)), 0, offset))
    frames = logs.frames_of(log)
    files: dict[str, list[Path]] = {}
    for name, frame in frames.items():
        for number, start in enumerate(range(0, frame.height, 100)):
            path = folder / f"{name}-{number}.parquet"
            frame[start : start + 100].write_parquet(path)
            files.setdefault(name, []).append(path)
    asked = 120
    rows = pl.DataFrame(
        {
            "user": [None if row % 31 == 0 else str(int(rng.integers(1, 26))) for row in range(asked)],
            "shop": [f"s{int(rng.integers(0, 6))}" for _ in range(asked)],
            "tag": ["a", "b"] * (asked // 2),
            "at": rng.integers(0, 45 * logs.TILE, asked),
            "offsets": [[int(rng.integers(0, events))] if row % 3 == 0 else None for row in range(asked)],
        }
    )
    return frames, files, rows


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyball.features.offline.backfill.BYTES_PER_EVENT", (1 << 20) // 40)


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_give_what_the_whole_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    small_parts(monkeypatch)
    frames, files, rows = history(tmp_path)
    message: list[tuple[int, int]] = []
    made = backfill(
        GROUPS,
        files,
        rows,
        tmp_path / "out",
        memory_bytes=workers << 20,
        workers=workers,
        progress=lambda done, parts: message.append((done, parts)),
    )
    assert made.equals(point_in_time(GROUPS, frames, rows))
    assert len(message) > 20
    assert message[-1][0] == message[-1][1] == len(message)


def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch)
    frames, files, rows = history(tmp_path)

    class Stopped(Exception):
        pass

    def stop(done: int, parts: int) -> None:
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        backfill(GROUPS, files, rows, tmp_path / "out", memory_bytes=1 << 20, progress=stop)
    message: list[int] = []
    made = backfill(
        GROUPS, files, rows, tmp_path / "out", memory_bytes=1 << 20, progress=lambda done, parts: message.append(done)
    )
    assert message[0] == 6
    assert made.equals(point_in_time(GROUPS, frames, rows))


def test_other_rows_start_again(tmp_path: Path) -> None:
    frames, files, rows = history(tmp_path)
    backfill(GROUPS, files, rows, tmp_path / "out")
    moved = rows.with_columns(pl.col("at") + 1)
    assert backfill(GROUPS, files, moved, tmp_path / "out").equals(point_in_time(GROUPS, frames, moved))


def test_parts_hold_no_more_events_than_allowed(tmp_path: Path) -> None:
    _, files, rows = history(tmp_path)
    named = {name: [str(path) for path in paths] for name, paths in files.items()}
    plan = plan_backfill([logs.user.features], named, rows, 60, 0)
    assert all(part.events <= 60 for part in plan.parts)
    assert [part.low for part in plan.parts[1:]] == [part.high for part in plan.parts[:-1]]
    assert (plan.parts[0].low, plan.parts[-1].high) == (None, None)


def test_definitions_cross_to_processes_that_lack_their_module() -> None:
    moved = _portable(logs.user_shop.features)
    assert [one.name for one in moved.definitions] == [one.name for one in logs.user_shop.features.definitions]
    assert moved.event_types[0].__name__ == "Act"


def test_too_little_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="1 MiB"):
        backfill(GROUPS, {}, pl.DataFrame(), tmp_path, memory_bytes=100)
