"""Features computed over history are those that the naive oracle says, to the last bit."""

import os
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flyball.features import Entity, Features, point_in_time
from flyball.testing import feature_logs as logs
from flyball.testing.feature_oracle import Logged, before, known_by, value_of

EXAMPLES = int(os.environ.get("FLYBALL_EXAMPLES", "60"))
CI = settings(
    max_examples=EXAMPLES,
    derandomize="FLYBALL_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def bits(value: Any) -> Any:
    """A value with its type, and doubles by their bits."""
    if isinstance(value, list):
        return [bits(one) for one in value]
    return (float, struct.pack("d", value)) if isinstance(value, float) else (type(value), value)


def check(
    log: Sequence[Logged],
    rows: Sequence[logs.Row],
    delay_us: int = 0,
    groups: Sequence[Entity | Features] = logs.GROUPS,
) -> None:
    computed = point_in_time(groups, logs.frames_of(log), logs.rows_frame(rows), apply_delay_us=delay_us)
    for group in groups:
        for definition in group.features.definitions:
            for row, got in zip(rows, computed[definition.name].to_list(), strict=True):
                sees = known_by(row.at, delay_us) if row.offsets is None else before(row.offsets)
                must = value_of(definition, log, row.keys, row.at, sees)
                assert bits(got) == bits(must), (definition.name, row, got, must)


@CI
@given(logs.cases(), st.sampled_from([0, 0, 1, logs.TILE]))
def test_every_feature_is_what_the_oracle_says(case: tuple[list[Logged], list[logs.Row]], delay_us: int) -> None:
    check(*case, delay_us)
