"""The popular list computed from frames is the folded one, bit for bit."""

from collections.abc import Sequence

from hypothesis import given, settings

from flyball.events import Record
from flyball.history import frame_of
from flyball.state import StateConsumer
from flyball.stores.memory import MemoryStore
from flyball.tasks import popular_of, read_popular
from flyball.testing.state_contract import divided
from flyball.testing.state_logs import APPLICATION, PARTITIONS, records


@given(records())
@settings(max_examples=80, deadline=None)
def test_it_is_the_list_that_was_folded(came: Sequence[Record]) -> None:
    app = APPLICATION
    log, store = app.partitioned(came), MemoryStore()
    StateConsumer(app.views, store, partitions=PARTITIONS).apply(divided(log, [])[0])
    rows: dict[str, list[tuple[Record, int, int]]] = {}
    for partition, part in enumerate(log):
        for offset, record in enumerate(part):
            rows.setdefault(record.type, []).append((record, partition, offset))
    frames = {name: frame_of(app.schema.types[name], found) for name, found in rows.items()}
    assert popular_of(frames, app.signals) == read_popular(store, app.signals)
