"""The law on a real log: MovieLens 100k, folded in uneven batches, equals its history."""

import random
from pathlib import Path

import numpy as np
import pytest
from tests.data import real

from flyball.events import Slice
from flyball.history import HistoryConsumer, movielens_events, take_snapshot
from flyball.state import StateConsumer, load_catalog
from flyball.stores import open_state
from flyball.tasks import interactions_frame, read_histories
from flyball.testing.state_logs import APPLICATION, PARTITIONS


@pytest.mark.data
def test_online_equals_offline_on_movielens(tmp_path: Path) -> None:
    folder = real("ml-100k")
    app, rng = APPLICATION, random.Random(7)
    events = [event for event in movielens_events(folder) if event[0] != "viewer"]
    log = app.partitioned([app.record(name, at, **fields) for name, fields, at in events])
    store = open_state(f"lmdb://{tmp_path}/state?sync=0")
    state = StateConsumer(app.views, store, partitions=PARTITIONS)
    history = HistoryConsumer(app.schema, tmp_path / "history", partitions=PARTITIONS, flush_rows=20_000)
    at = [0] * PARTITIONS
    while any(at[part] < len(log[part]) for part in range(PARTITIONS)):
        ends = [min(len(part), low + rng.randrange(5_000)) for part, low in zip(log, at, strict=True)]
        batch = [Slice(part, at[part], log[part][at[part] : ends[part]]) for part in range(PARTITIONS)]
        state.apply(batch)
        history.apply(batch)
        at = ends
    history.flush()
    taken = take_snapshot(tmp_path / "history", app.schema, 2**62)
    assert {name: taken.types[name].rows for name in ("rate", "filmcard")} == {"rate": 100_000, "filmcard": 1_682}
    frame = interactions_frame(taken.frames(), app.signals, 2**62).sort("user", "at_us", "item")
    users = frame["user"].unique(maintain_order=True).to_list()
    histories, offsets = read_histories(store, app.signals, users)
    assert offsets == taken.offsets == tuple(len(part) for part in log)
    assert [item for one in histories for item in one.items] == frame["item"].to_list()
    for column, name in (("weights", "weight"), ("ratings", "rating"), ("at_us", "at_us")):
        joined = np.concatenate([getattr(one, column) for one in histories])
        assert joined.tobytes() == frame[name].to_numpy().tobytes()
    assert len(load_catalog(store, app.film).ids) == 1_682
