"""What may change nothing, changes nothing: arrival, sharding, other keys, events outside; a shift of time shifts."""

from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from tests.features.offline import CI, act, row

from flyball.features import point_in_time
from flyball.testing import feature_logs as logs
from flyball.testing.feature_oracle import Logged

NAMES = [one.name for group in logs.GROUPS for one in group.features.definitions]


def values(log: Sequence[Logged], rows: Sequence[logs.Row]) -> pl.DataFrame:
    return point_in_time(logs.GROUPS, logs.frames_of(log), logs.rows_frame(rows)).select(NAMES)


def known(rows: Sequence[logs.Row]) -> list[logs.Row]:
    return [msgspec.structs.replace(one, offsets=None) for one in rows]


def without_profiles(log: Sequence[Logged]) -> list[Logged]:
    return [one for one in log if not isinstance(one.event, logs.Card)]


@CI
@given(logs.cases(), st.randoms(use_true_random=False))
def test_arrival_and_partitions_change_nothing(case: tuple[list[Logged], list[logs.Row]], random: Any) -> None:
    log, rows = without_profiles(case[0]), known(case[1])
    order = random.sample(range(len(log)), len(log))
    moved = [
        msgspec.structs.replace(one, partition=random.randrange(9), offset=place)
        for place, one in zip(order, log, strict=True)
    ]
    random.shuffle(moved)
    assert values(log, rows).equals(values(moved, rows))


@CI
@given(logs.cases(), st.integers(-(10**6), 10**6))
def test_a_shift_of_time_by_whole_tiles_shifts_the_answers(
    case: tuple[list[Logged], list[logs.Row]], tiles: int
) -> None:
    log, rows = case
    step = tiles * logs.TILE
    later = [
        Logged(
            msgspec.structs.replace(one.event, at=one.event.at + step), one.known_at + step, one.partition, one.offset
        )
        for one in log
    ]
    asked = [msgspec.structs.replace(one, at=one.at + step) for one in rows]
    kept = [name for name in NAMES if name != "user.since"]  # its value is a time
    assert values(log, rows).select(kept).equals(values(later, asked).select(kept))


@CI
@given(logs.cases())
def test_others_events_and_events_to_come_change_nothing(case: tuple[list[Logged], list[logs.Row]]) -> None:
    log, rows = case
    last = max(one.at for one in rows)
    more = [act(at, 900 + place, user=77, shop="elsewhere", tag="b") for place, at in enumerate(range(last - 5, last))]
    more += [act(last + after, 950 + after, known_at=0) for after in range(3)]
    asked = [one for one in rows if one.keys["tag"] != "b"]
    if asked:
        assert values(log, known(asked)).equals(values([*log, *more], known(asked)))


@CI
@given(logs.cases())
def test_rows_are_answered_alone_as_together(case: tuple[list[Logged], list[logs.Row]]) -> None:
    log, rows = case
    assert values(log, rows).equals(pl.concat([values(log, [one]) for one in rows]))


@CI
@given(logs.cases())
def test_knowing_all_is_having_all_applied(case: tuple[list[Logged], list[logs.Row]]) -> None:
    log, rows = case
    early = [msgspec.structs.replace(one, known_at=one.event.at) for one in log]
    everything = [msgspec.structs.replace(one, offsets=(len(log),) * logs.PARTITIONS) for one in rows]
    assert values(early, known(rows)).equals(values(early, everything))


def test_more_known_never_lowers_a_count() -> None:
    log = [
        act(place * logs.TILE, place % 7, known_at=(place * 5 % 11) * logs.TILE, partition=place % 3)
        for place in range(20)
    ]
    rows = [row(25 * logs.TILE, (n, n, n)) for n in range(9)]
    counts = values(log, rows)["user.acts_ever"].to_list()
    assert counts == sorted(counts)
    assert counts[-1] == 20
