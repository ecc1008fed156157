"""The online features have the oracle's bits, whatever the log, the batches, restarts, seals and repeats."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.features.online import EXAMPLES, FAIL_FAST, FEW, opener, play_through


@pytest.mark.parametrize("backend", ["memory", "lmdb"])
@settings(
    phases=[Phase.explicit, Phase.generate] if FAIL_FAST else list(Phase),
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == FEW,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_online_equals_the_oracle(backend: str, data: st.DataObject, tmp_path: Path) -> None:
    play_through(data, opener(backend, tmp_path))
