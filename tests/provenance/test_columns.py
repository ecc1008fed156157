"""Which rows of a frame are kept for keys, against comparing each row."""

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from flyball.events import EventLog, Offsets, Record, Slice, partition
from flyball.provenance.columns import everything, frames_before, naming

from .conftest import START_US, Cinema

Fields = tuple[str, ...]
SCHEMA = {"at": pl.Int64, "user": pl.Int64, "film": pl.String, "stars": pl.Float64}

rows = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.none() | st.integers(-2, 12),
        st.none() | st.sampled_from(["", "1", "01", "f1", "é"]),
        st.none() | st.sampled_from([1.0, 2.5, float("nan")]),
    ),
    max_size=25,
)
users, films = st.sampled_from(["-2", "1", "01", "12", "x"]), st.sampled_from(["", "1", "f1", "é"])
wanted = st.fixed_dictionaries(
    {},
    optional={
        ("user",): st.sets(st.tuples(users), min_size=1),
        ("film",): st.sets(st.tuples(films), min_size=1),
        ("film", "user"): st.sets(st.tuples(films, users), min_size=1),
        ("user", "stars"): st.sets(st.tuples(users, st.sampled_from(["1.0", "2.5"])), min_size=1),
    },
)


def named(row: dict[str, Any], fields: Fields, key: tuple[str, ...]) -> bool:
    """Whether a row's fields are this key, as texts; fractions are not compared."""
    pairs = [(row[field], text) for field, text in zip(fields, key, strict=True) if field != "stars"]
    return all(value is not None and str(value) == text for value, text in pairs)


@given(rows, wanted.filter(bool), st.dictionaries(st.sampled_from([("user",), ("film", "user")]), st.integers(0, 6)))
def test_rows_of_a_key_are_kept_and_those_of_no_part_of_any_are_not(
    found: list[tuple[Any, ...]], keys: dict[Fields, set[tuple[str, ...]]], since_us: dict[Fields, int]
) -> None:
    frame = pl.DataFrame(found, schema=SCHEMA, orient="row").with_row_index("row")
    keep = naming({"rate": keys}, {("rate", fields): since for fields, since in since_us.items()})
    kept = set(keep("rate", frame)["row"])
    for row in frame.iter_rows(named=True):
        recent = [fields for fields in keys if row["at"] >= since_us.get(fields, 0)]
        needed = any(named(row, fields, key) for fields in recent for key in keys[fields])
        possible = any(
            all(any(named(row, (field,), (key[place],)) for key in keys[fields]) for place, field in enumerate(fields))
            for fields in recent
        )
        assert needed <= (row["row"] in kept) <= possible


class Growing:
    """A log to which events are appended, in blocks of many, before it is read."""

    def __init__(self, log: EventLog, more: list[Record]) -> None:
        self.log, self.more = log, more

    def ends(self) -> Offsets:
        return self.log.ends()

    def read(self, after: Offsets, limit: int) -> list[Slice]:
        self.log.append(self.more)
        return self.log.read(after, limit)


def test_events_that_come_while_the_log_is_read_are_left_out(cinema: Cinema) -> None:
    """The history reaches further than asked in all partitions but one, whose rest is read from the log."""
    runtime = cinema.runtime
    runtime.history_consumer.flush()
    cinema.put("rate", user=1, film="f3", stars=5)
    mine = partition("1", len(runtime.log.ends()))
    until = tuple(end if part == mine else end - 3 for part, end in enumerate(runtime.log.ends()))

    def offsets() -> set[tuple[int, int]]:
        frames = frames_before(runtime, until, runtime.schema.types, everything)
        return {row for frame in frames.values() for row in frame.select("partition", "offset").iter_rows()}

    assert offsets() == {(part, offset) for part, end in enumerate(until) for offset in range(end)}
    fields = [{"user": user, "film": "f0", "stars": 1} for user in range(1, 61)]
    more = [runtime.schema.check("rate", one, START_US, START_US) for one in fields]
    runtime.log = Growing(runtime.log, more)  # type: ignore[assignment]
    assert offsets() == {(part, offset) for part, end in enumerate(until) for offset in range(end)}
    assert all(end > before + 3 for end, before in zip(runtime.log.ends(), until, strict=True))
