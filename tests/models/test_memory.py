"""What an artifact holds grows as each model states, in bytes; measured at two sizes, so a hidden square shows."""

import numpy as np
import pytest

from flyball.models import MODELS, rated
from flyball.testing.model_checks import sample_interactions

SLACK = 4_096  # pointers' ends, settings, padding of small arrays


EXEMPT = {"stages": "its trees' text depends on what they learn; its retrievers are models of this table"}


def test_every_model_states_its_memory() -> None:
    data = sample_interactions()
    assert {name for name, model in MODELS.items() if model().artifact_bytes(data) is None} == EXEMPT.keys()


@pytest.mark.parametrize("name", [name for name in MODELS if name not in EXEMPT])
def test_an_artifact_is_no_larger_than_stated(name: str) -> None:
    for users, items, pairs in ((60, 47, 900), (90, 700, 4_000)):
        data = sample_interactions(users=users, items=items, pairs=pairs)
        stated = MODELS[name]().artifact_bytes(data)
        assert stated is not None
        arrays = sum(np.asarray(array).nbytes for array in MODELS[name]().fit(data, 1).values())
        assert arrays <= stated + SLACK, f"{name} at {items} items"
    assert len(rated(data).ratings) > 1_000
