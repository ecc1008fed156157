"""A home to measure in takes in what the sample holds, by all consumers, and says what its stores take."""

from itertools import count
from pathlib import Path

from tests.capacity.logs import NOW_US, filled

from flyball.capacity import take_sample
from flyball.capacity.scratch import ANSWERS, ONLINE, close_stores, folder_bytes, remove, store_bytes, take_in
from flyball.capacity.serving_cost import request_paths
from flyball.core import ManualClock
from flyball.runtime import Runtime, load_settings


def test_all_of_a_sample_is_taken_in_and_applied(tmp_path: Path) -> None:
    first = filled(tmp_path / "first", 2_500)
    sample = take_sample(first, "a log")
    runtime = Runtime(first.app, load_settings(tmp_path / "second"), ManualClock(NOW_US))
    ticks = count()
    taken = take_in(runtime, sample, lambda: float(next(ticks)))
    assert sum(runtime.log.ends()) == len(sample.events)
    assert taken.ingest_s == 1.0  # a tick from before to after
    assert {*ONLINE, *ANSWERS, "history", "outcomes"} <= set(taken.applied_s)
    assert runtime.history_consumer.offsets() == runtime.log.ends()
    again = take_sample(runtime, "the copy")
    assert sorted(event.line for event in again.events) == sorted(event.line for event in sample.events)
    close_stores(runtime)
    log_bytes = store_bytes(runtime.settings.events)
    assert log_bytes is not None
    assert log_bytes > 50 * len(sample.events)
    remove(runtime.home)
    assert not runtime.home.exists()


def test_a_server_does_not_say_what_it_takes(tmp_path: Path) -> None:
    assert store_bytes("redis://127.0.0.1:1/0?name=x") is None
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    assert folder_bytes(tmp_path) >= 10_000


def test_each_user_of_a_sample_is_asked_for(tmp_path: Path) -> None:
    runtime = filled(tmp_path, 2_500)
    paths = request_paths(runtime, take_sample(runtime, "a log"))
    assert sorted(paths) == sorted(f"/v1/recommend?user={user}" for user in range(1, 101))
