"""What other processes are handed is what there was, attributes of the items too."""

from pathlib import Path

import numpy as np

from flyball.learning.shared_data import read_interactions, write_interactions
from flyball.testing.model_checks import sample_interactions


def test_attributes_arrive(tmp_path: Path) -> None:
    data = sample_interactions()
    write_interactions(tmp_path / "data", data)
    found = read_interactions(tmp_path / "data").attributes
    assert data.attributes is not None
    assert found is not None
    assert found.names == data.attributes.names
    np.testing.assert_array_equal(found.indptr, data.attributes.indptr)
    np.testing.assert_array_equal(found.index, data.attributes.index)
