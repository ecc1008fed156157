"""The past as files for other processes: whatever a task reads of it is there, the sides of joined types, too."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl
import pytest

import flyball as fb
from flyball.events import Schema
from flyball.history import with_joined
from flyball.history.columns import frame_of
from flyball.learning.past import SnapshotPast, event_names, read_past, write_past
from flyball.tasks import ServingLag, build_interactions
from flyball.tasks.featurize import chosen_features
from flyball.tasks.recommend.offline import RecommendOffline
from flyball.tasks.recommend.training_data import training_data

User = Annotated[int, fb.Ref("user")]
Kitchen = Annotated[str, fb.Ref("kitchen")]
Number = Annotated[int, fb.Ref("order")]
START_US, HOUR_US = 1_770_000_000_000_000, 3_600_000_000


class Order(fb.Event):
    order: Number
    user: User
    kitchen: Kitchen


class Delivered(fb.Event):
    order: Number


class Eat(fb.Event):
    user: User
    kitchen: Kitchen


class Card(fb.Profile):
    kitchen: Kitchen
    city: str = ""


Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="6h")
SCHEMA = Schema([Order, Delivered, Eat, Card, Delivery])


def task_of(label: type[fb.Event], counted: type[fb.Event]) -> fb.Recommend:
    kitchen = fb.Entity("kitchen", profile=Card, n=fb.count(counted, "30d"))
    return fb.Recommend(fb.Entity("user"), kitchen, positive=fb.outcome(label, within="1d"), k=3)


def frames() -> dict[str, pl.DataFrame]:
    rows: dict[str, list[Any]] = {name: [] for name in SCHEMA.types}
    for number in range(240):
        at = START_US + number * HOUR_US
        user, kitchen = number % 24, f"k{(number * 7 + number // 24) % 6}"
        for name, fields, later in (
            ("order", {"order": number, "user": user, "kitchen": kitchen}, 0),
            ("delivered", {"order": number}, HOUR_US // 2),
            ("eat", {"user": user, "kitchen": kitchen}, HOUR_US),
        ):
            rows[name].append((SCHEMA.check(name, fields, at + later, at + later), 0, len(rows[name])))
    return with_joined(
        {name: frame_of(SCHEMA.types[name], some) for name, some in rows.items()},
        [declared.cls for declared in SCHEMA.joined.values()],
    )


@pytest.mark.parametrize(
    ("label", "counted"), [(Delivery, Delivery), (Delivery, Eat), (Eat, Delivery), (Eat, Eat)], ids=str
)
def test_a_ranker_is_fitted_from_files_as_from_memory(
    tmp_path: Path, label: type[fb.Event], counted: type[fb.Event]
) -> None:
    """A joined type as label, as what a feature counts, as both, and none: the same trees as without files."""
    task, everything = task_of(label, counted), frames()
    as_of_us = START_US + 300 * HOUR_US
    past = SnapshotPast(lambda name: everything[name], as_of_us, ServingLag())
    write_past(tmp_path / "events", past, event_names(task.about))
    candidate = fb.Stages(
        (fb.Popular(),),
        features=("kitchen",),
        most=5,
        rank=fb.LambdaMART(n_estimators=5, num_leaves=4, min_data_in_leaf=5),
    )
    candidate = msgspec.structs.replace(candidate, hashes=chosen_features(task, candidate.features))
    data = training_data(build_interactions(everything, task, SCHEMA, as_of_us))
    offline = RecommendOffline(task)
    in_memory, from_files = (
        offline.train(candidate, data, one, seed=1)
        for one in (past, read_past(tmp_path / "events", as_of_us, ServingLag()))
    )
    assert from_files.arrays.keys() == in_memory.arrays.keys()
    for name, values in in_memory.arrays.items():
        np.testing.assert_array_equal(values, from_files.arrays[name])
