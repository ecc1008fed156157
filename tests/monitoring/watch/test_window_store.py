"""Profiles of windows: those of the rows that became known in them, kept in files, taken again when a file is lost."""

from pathlib import Path

from tests.monitoring.watch.shops import DAY_US, START_US, shop

from flyball.monitoring.watch.columns import MARKS
from flyball.monitoring.watch.window_store import WindowStore, count_volumes, kept_volumes, read_volumes


def test_profiles_are_those_of_the_rows_of_the_window(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 3)
    store = WindowStore(runtime, tmp_path / "windows", DAY_US)
    rows = runtime.history.events("buy")
    day = rows.filter((rows["known_at"] >= START_US + DAY_US) & (rows["known_at"] < START_US + 2 * DAY_US))
    profiles = store.profiles(START_US + DAY_US)
    assert profiles["events.buy"].rows == len(day) > 0
    assert profiles["events.buy"].column("price").numbers.mean == day["price"].mean()
    assert set(profiles["events.buy"].columns) == {"price", "coupon", *MARKS}
    assert profiles["predictions"].rows == 0
    assert store.profiles(START_US + DAY_US) == profiles


def test_damaged_files_are_taken_from_the_rows_again_and_old_ones_go(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 3)
    store = WindowStore(runtime, tmp_path / "windows", DAY_US)
    profiles = store.profiles(START_US)
    (path,) = (tmp_path / "windows").rglob("*.profile")
    path.write_bytes(b"damaged")
    assert store.profiles(START_US) == profiles
    store.profiles(START_US + DAY_US)
    store.forget_before(START_US + DAY_US)
    assert [left.stem for left in (tmp_path / "windows").rglob("*.profile")] == [str(START_US + DAY_US)]


def test_volumes_are_counted_from_the_first_row_on(tmp_path: Path) -> None:
    runtime = shop(tmp_path, 3, lambda hour, event: event if 24 <= hour < 60 else None)
    volumes = count_volumes(runtime, START_US - DAY_US, START_US + 3 * DAY_US, DAY_US)
    known = runtime.history.events("buy")["known_at"] // DAY_US * DAY_US
    assert volumes["events.buy"] == {
        START_US + DAY_US: int((known == START_US + DAY_US).sum()),
        START_US + 2 * DAY_US: int((known == START_US + 2 * DAY_US).sum()),
    }
    assert volumes["predictions"] == {}
    assert kept_volumes(volumes, ["events.buy"], START_US + 2 * DAY_US)["events.buy"].keys() == {START_US + 2 * DAY_US}
    assert read_volumes(tmp_path / "none") is None
