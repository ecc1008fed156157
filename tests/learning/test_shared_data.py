"""What other processes are handed is what there was, attributes of the items too."""

from pathlib import Path

import numpy as np

from flyball.learning.shared_data import read_data, write_data
from flyball.tasks.recommend.training_data import interactions_of, training_data
from flyball.testing.model_checks import sample_interactions


def test_attributes_arrive(tmp_path: Path) -> None:
    data = sample_interactions()
    write_data(tmp_path / "data", training_data(data))
    found = interactions_of(read_data(tmp_path / "data")).attributes
    assert data.attributes is not None
    assert found is not None
    assert found.names == data.attributes.names
    np.testing.assert_array_equal(found.indptr, data.attributes.indptr)
    np.testing.assert_array_equal(found.index, data.attributes.index)
