"""Offline interactions equal the oracle, and with it the online fold, at any time."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.events import Record
from flyball.features.declaration.columns import holds_column, number_column
from flyball.history.columns import frame_of
from flyball.policy import compile_python, trace
from flyball.tasks import interactions_frame
from flyball.testing.state_contract import Placed, divided, naive_pairs, placed, same_float
from flyball.testing.state_logs import APPLICATION, HOUR, START, WITHIN, records


def frames_of(rows: Sequence[Placed]) -> dict[str, pl.DataFrame]:
    by_type: dict[str, list[tuple[Record, int, int]]] = {}
    for partition, offset, record in rows:
        by_type.setdefault(record.type, []).append((record, partition, offset))
    return {name: frame_of(APPLICATION.schema.types[name], found) for name, found in by_type.items()}


@given(records(), st.sampled_from([START - 1, START, START + HOUR, START + WITHIN + HOUR, START + 10**15]))
@settings(max_examples=150, deadline=None)
def test_offline_equals_the_oracle(came: list[Record], as_of_us: int) -> None:
    app = APPLICATION
    rows = placed(divided(app.partitioned(came), [])[0])
    found = interactions_frame(frames_of(rows), app.signals, as_of_us)
    expected = naive_pairs([row for row in rows if row[2].known_at <= as_of_us], app.schema, app.signals)
    assert list(zip(found["user"], found["item"], strict=True)) == sorted(expected)
    for row in found.iter_rows(named=True):
        known = expected[row.pop("user"), row.pop("item")]
        assert same_float(known.rating, row.pop("rating"))
        assert row == {name: getattr(known, name) for name in row}
    assert found.dtypes == interactions_frame({}, app.signals, as_of_us).dtypes


ROWS: dict[str, tuple[pl.DataType | type[pl.DataType], list[Any]]] = {
    "whole": (pl.Int64, [0, 1, -3, None, 2**62, 7]),
    "real": (pl.Float64, [0.0, -0.5, None, float("nan"), 1e300, 3.5]),
    "word": (pl.String, ["", "a", None, "b", "tv", "é"]),
    "flag": (pl.Boolean, [True, False, None, True, False, True]),
}


@pytest.mark.parametrize(
    "expression",
    [
        lambda r: r.whole > 0,
        lambda r: r.whole != 7,
        lambda r: r.whole == 7,
        lambda r: r.whole <= 5,
        lambda r: r.whole >= 0.5,
        lambda r: r.whole == 2.0**62,
        lambda r: r.real < 0.5,
        lambda r: r.real > 1,
        lambda r: r.real != 3.5,
        lambda r: ~(r.real <= 3.5),
        lambda r: r.word == "a",
        lambda r: r.word != "a",
        lambda r: r.word < "b",
        lambda r: r.flag == True,  # noqa: E712
        lambda r: r.flag != False,  # noqa: E712
        lambda r: (r.whole > 0) & ~(r.word == "tv") | (r.real < 0),
        lambda r: r.word == 1,
        lambda r: r.whole < 2**63,
        lambda r: r.flag,
        lambda r: r.whole % 2 == 1,
        lambda r: (r.whole // 2) < -1,
        lambda r: r.whole == r.real,
        lambda r: r.word == None,  # noqa: E711
    ],
)
def test_a_filter_over_columns_means_what_it_means_over_events(expression: Any) -> None:
    frame = pl.DataFrame([pl.Series(name, values, dtype=kind) for name, (kind, values) in ROWS.items()])

    class Row:
        def __init__(self, place: int) -> None:
            self.__dict__.update({name: values[place] for name, (_, values) in ROWS.items()})

    traced = trace(expression)
    function = compile_python(traced)
    assert holds_column(traced, frame).to_list() == [bool(function(Row(place))) for place in range(frame.height)]


def test_numbers_are_read_as_python_reads_them() -> None:
    frame = pl.DataFrame({"stars": [1, None, 2**53 + 1], "real": [0.1, float("nan"), None]})
    assert number_column(trace(lambda r: r.stars), frame).to_list() == [1.0, None, float(2**53 + 1)]
    assert number_column(trace(lambda r: r.real), frame).to_list() == [0.1, None, None]
    assert number_column(trace(lambda r: r.real * 3), frame).to_list() == [0.1 * 3, None, None]
    assert number_column(trace(lambda r: 4), frame).to_list() == [4.0, 4.0, 4.0]
