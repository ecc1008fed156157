"""Logs written by hand, and the comparison of the offline features with the oracle."""

import os
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from flyball.features import Entity, Features, point_in_time
from flyball.testing import feature_logs as logs
from flyball.testing.feature_oracle import Logged, before, known_by, value_of

EXAMPLES = int(os.environ.get("TEST_EXAMPLES", "60"))
FAIL_FAST = os.environ.get("NUMBA_DISABLE_JIT") == "1"  # under planted errors nobody reads the smallest case
CI = settings(
    phases=[Phase.explicit, Phase.generate] if FAIL_FAST else list(Phase),
    max_examples=EXAMPLES,
    derandomize="TEST_EXAMPLES" not in os.environ,
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


START = 1_600_000_000_000_000 // logs.TILE * logs.TILE


def act(at: int, offset: int = 0, known_at: int | None = None, partition: int = 0, **fields: Any) -> Logged:
    event = logs.Act(**{"user": 1, "shop": "s", "n": 3, "x": 1.5, "t": "b", **fields}, at=at)
    return Logged(event, at if known_at is None else known_at, partition, offset)


def row(at: int, offsets: tuple[int, ...] | None = None, user: int = 1) -> logs.Row:
    return logs.Row({"user": str(user), "shop": "s", "tag": "a"}, at, offsets)
