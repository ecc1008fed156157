"""On the edges of windows the online features are the oracle's, with every event sealed that can be."""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.features.online import EXAMPLES, FAIL_FAST, FEW, same
from tests.features.online_events import record_of

from flyball.core import ManualClock
from flyball.events import Schema, Slice
from flyball.features import FeatureConsumer, FeatureReader
from flyball.stores.memory import MemoryStore
from flyball.testing import feature_logs as logs
from flyball.testing.feature_oracle import Logged, before, value_of

SCHEMA = Schema(logs.EVENT_TYPES)


def store_at(log: list[Logged], row: logs.Row, rows: int, batch: int) -> tuple[MemoryStore, tuple[int, ...]]:
    """The online state for a question: the events before its offsets, those before its time sealed."""
    parts: list[list[Logged]] = [[] for _ in range(logs.PARTITIONS)]
    for logged in log:
        parts[logged.partition].append(logged)
    wanted = tuple(len(part) for part in parts)
    if row.offsets is not None:
        wanted = tuple(min(end, offset) for end, offset in zip(wanted, row.offsets, strict=True))
    store = MemoryStore()
    consumer = FeatureConsumer(
        SCHEMA, logs.GROUPS, store, partitions=logs.PARTITIONS, clock=ManualClock(row.at), grace_us=0, rows=rows
    )
    for place, part in enumerate(parts):
        records = [record_of(one.event, one.known_at, number) for number, one in enumerate(part)]
        for low in range(0, wanted[place], batch):
            consumer.apply([Slice(place, low, records[low : min(low + batch, wanted[place])])])
    if rows == 0:
        for group in logs.GROUPS:
            consumer.seal(group.name, [tuple(row.keys[key] for key in group.features.keys)])
    return store, wanted


@settings(
    phases=[Phase.explicit, Phase.generate] if FAIL_FAST else list(Phase),
    max_examples=10 * EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == FEW,
    suppress_health_check=list(HealthCheck),
)
@given(logs.cases(most=25), st.sampled_from([0, 0, 2, 32]), st.sampled_from([1, 3, 50]))
def test_every_feature_is_what_the_oracle_says(
    case: tuple[list[Logged], list[logs.Row]], rows: int, batch: int
) -> None:
    log, questions = case
    for row in questions[:2]:
        store, offsets = store_at(log, row, rows, batch)
        asked = {group.name: [tuple(row.keys[key] for key in group.features.keys)] for group in logs.GROUPS}
        reading = FeatureReader(logs.GROUPS, store).read(asked, row.at)
        for group in logs.GROUPS:
            for one, got in zip(group.features.definitions, reading.groups[group.name].row(0), strict=True):
                must = value_of(one, log, row.keys, row.at, before(offsets))
                assert same(got, must), (one.name, row, got, must)
