"""What was applied is left out, a gap moves nothing, and the offsets stored are those that were reached."""

from collections.abc import Iterator, Mapping, Sequence

import pytest

from flyball.core import BadInput
from flyball.events import Joiner, Offsets, Record, Slice
from flyball.outcomes.streams import take_new, take_new_events
from flyball.testing.movie_events import movie_schema


class Store:
    """Offsets in a dict; nothing waits for its other side."""

    def __init__(self, **streams: dict[int, int]) -> None:
        self.streams = streams

    def offsets(self, stream: str) -> dict[int, int]:
        return dict(self.streams.get(stream, {}))

    def put_offsets(self, stream: str, offsets: Offsets) -> None:
        self.streams[stream] = dict(enumerate(offsets))

    def put_pending(self, changes: Mapping[bytes, bytes | None]) -> None:
        assert not changes

    def read(self, keys: Sequence[bytes]) -> tuple[list[bytes | None], Offsets]:
        raise NotImplementedError

    def scan(self, prefix: bytes, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
        raise NotImplementedError


def records(*numbers: int) -> list[Record]:
    return [Record("watch", "a", number, number, number.to_bytes(16), b"") for number in numbers]


def test_only_what_is_new_comes_and_moves_the_offsets() -> None:
    store = Store(events={1: 2})
    new = take_new(store, "events", [Slice(1, 1, records(1, 2, 3)), Slice(0, 0, records(9))])
    assert [(piece.partition, piece.first, piece.records) for piece in new] == [
        (1, 2, records(2, 3)),
        (0, 0, records(9)),
    ]
    assert store.streams == {"events": {0: 1, 1: 4}}
    assert take_new(store, "events", [Slice(1, 1, records(1, 2, 3))]) == []
    assert store.streams == {"events": {0: 1, 1: 4}}


def test_streams_move_apart_and_a_gap_moves_nothing() -> None:
    store = Store(events={0: 5})
    with pytest.raises(BadInput, match="first offset of a slice of partition 0 must be at most 0, got 1"):
        take_new(store, "predictions", [Slice(0, 1, records(1))])
    assert store.streams == {"events": {0: 5}}


def test_new_events_of_the_types_come_with_where_they_lie_in_the_log() -> None:
    store, joiner = Store(events={0: 3}), Joiner(movie_schema(), [])
    log = records(1, 2, 3, 4, 5)
    log[3] = Record("rate", "a", 4, 4, b"", b"")
    taken = take_new_events(store, [Slice(0, 2, log), Slice(1, 0, records(9))], ["watch"], joiner)
    assert taken == [(log[1], 3, 0), (log[2], 4, 0), (log[4], 6, 0), (records(9)[0], 0, 1)]
