"""The history reads parts of every declaration as the type is declared now, and gives the same data the same name."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.growing import Model, User, declare

from flyball.core import Refused
from flyball.events import DeclaredLog, Event, Schema, integer, real, renamed
from flyball.history import History, HistoryConsumer, hold_events, take_snapshot
from flyball.history.columns import META
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000
Stars = Annotated[int, integer(0, 100)]


def written(log: PlainLog, folder: Path, cls: type[Event], rows: list[dict[str, Any]], fan_in: int = 16) -> DeclaredLog:
    """Append the rows as events of `cls` and write them to the history."""
    declared = DeclaredLog(log, Schema([cls]))
    start = sum(log.ends())
    for number, row in enumerate(rows, start):
        declared.append([declared.schema.check(cls.__name__.lower(), {"user": 7} | row, AT + number, AT)])
    follow(declared, folder, fan_in)
    return declared


def follow(log: DeclaredLog, folder: Path, fan_in: int = 16) -> None:
    consumer = HistoryConsumer(log.schema, folder, partitions=1, schemas=log.schemas, fan_in=fan_in)
    while slices := log.read(consumer.offsets(), 1_000):
        consumer.apply(slices)
        consumer.flush()


def fields(folder: Path, cls: type[Event]) -> list[dict[str, Any]]:
    schema = Schema([cls])
    frame = History(folder, schema).events(cls.__name__.lower())
    maps = {field.name for field in schema.types[cls.__name__.lower()].declared if field.kind is dict}
    return [
        {
            name: msgspec.json.decode(value) if name in maps and value is not None else value
            for name, value in row.items()
        }
        for row in frame.drop("user", *META).rows(named=True)
    ]


BEFORE = declare("Rate", user=User, stars=Stars, seconds=Stars)


def test_parts_of_earlier_declarations_are_read_by_name(tmp_path: Path) -> None:
    log = PlainLog(1)
    written(log, tmp_path, BEFORE, [{"stars": 5, "seconds": 90}])
    moved = declare("Rating", former=("Rate",), user=User, length=Annotated[Stars, renamed("seconds")], stars=Stars)
    written(log, tmp_path, moved, [{"length": 7, "stars": 2}])
    after = declare("Rating", user=User, length=Annotated[float, real(0)], seconds=(str, "none"), stars=Stars)
    written(log, tmp_path, after, [{"length": 0.5, "seconds": "some", "stars": 1}])
    expected = [
        {"length": 90.0, "seconds": "none", "stars": 5},
        {"length": 7.0, "seconds": "none", "stars": 2},
        {"length": 0.5, "seconds": "some", "stars": 1},
    ]
    assert fields(tmp_path, after) == expected
    assert History(tmp_path, Schema([after])).counts() == {"rating": 3}
    held = hold_events(History(tmp_path, Schema([after])), ["rating"], tmp_path / "held")
    import polars as pl

    assert pl.read_parquet(held["rating"]).drop("user", *META).rows(named=True) == expected


def test_merging_parts_keeps_what_a_removed_field_held(tmp_path: Path) -> None:
    log = PlainLog(1)
    without = declare("Rate", user=User, stars=Stars)
    written(log, tmp_path, BEFORE, [{"stars": 5, "seconds": 90}], fan_in=2)
    for number in range(4):
        written(log, tmp_path, without, [{"stars": number}], fan_in=2)
    assert [row["stars"] for row in fields(tmp_path, without)] == [5, 0, 1, 2, 3]
    back = declare("Rate", user=User, stars=Stars, seconds=(Stars | None, None))
    assert [row["seconds"] for row in fields(tmp_path, back)] == [90, None, None, None, None]


def test_events_of_a_type_that_was_not_declared_for_a_while_are_not_lost(tmp_path: Path) -> None:
    log = PlainLog(1)
    both = DeclaredLog(log, Schema([BEFORE, declare("Other", user=User)]))
    both.append([both.schema.check("rate", {"user": 7, "stars": 5, "seconds": 90}, AT, AT)])
    both.append([both.schema.check("other", {"user": 7}, AT, AT)])
    follow(DeclaredLog(log, Schema([declare("Other", user=User)])), tmp_path)
    assert History(tmp_path, Schema([declare("Other", user=User)])).counts() == {"other": 1, "rate": 1}
    swapped = declare("Rate", user=User, seconds=Stars, stars=Stars)
    assert fields(tmp_path, swapped) == [{"seconds": 90, "stars": 5}]
    assert fields(tmp_path, BEFORE) == [{"stars": 5, "seconds": 90}]


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    written(PlainLog(1), tmp_path, BEFORE, [{"stars": 5, "seconds": 90}])
    with pytest.raises(Refused, match="Rate.stars must stay int"):
        fields(tmp_path, declare("Rate", user=User, stars=str, seconds=Stars))
    with pytest.raises(Refused, match=r"Rate.seconds must be int \(ge=0, le=50\), got 90"):
        fields(tmp_path, declare("Rate", user=User, stars=Stars, seconds=Annotated[int, integer(0, 50)]))


def test_a_snapshot_keeps_its_name_when_fields_change_places(tmp_path: Path) -> None:
    swapped = declare("Rate", user=User, seconds=Stars, stars=Stars)
    names = set()
    for number, (first, second) in enumerate([(BEFORE, BEFORE), (BEFORE, swapped)]):
        log, folder = PlainLog(1), tmp_path / str(number)
        written(log, folder, first, [{"stars": 5, "seconds": 90}])
        last = written(log, folder, second, [{"stars": 1, "seconds": 2}])
        names.add(take_snapshot(folder, last.schema, AT).name)
    assert len(names) == 1
    other = PlainLog(1)
    written(other, tmp_path / "other", swapped, [{"stars": 90, "seconds": 5}])
    last = written(other, tmp_path / "other", swapped, [{"stars": 2, "seconds": 1}])
    assert take_snapshot(tmp_path / "other", last.schema, AT).name not in names


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode({"offsets": [3], "serial": 1, "parts": []}))
    with pytest.raises(Refused, match=r"must be of format 2, got 1: .*delete the folder, it is rebuilt"):
        History(tmp_path, Schema([BEFORE])).offsets()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_sequence_of_changes_reads_as_dicts_by_name(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The consumer may lag behind: what it writes later was written earlier, with other declarations."""
    folder = tmp_path_factory.mktemp("history")
    model, log = Model(), PlainLog(1)
    steps = st.sampled_from(["add", "back", "remove", "rename", "reorder", "widen", "narrow", "default", "no default"])
    for _ in range(data.draw(st.integers(1, 5))):
        for step in data.draw(st.lists(steps, max_size=3)):
            model.change(step, data)
        cls = model.declare()
        declared = DeclaredLog(log, Schema([cls]))
        for _ in range(data.draw(st.integers(1, 3))):
            at = AT + data.draw(st.integers(0, 2))
            sent, _ = model.put(at, data)
            declared.append([declared.schema.check("thing", {"user": 7} | sent, at, at)])
        if data.draw(st.booleans()):
            follow(declared, folder, fan_in=2)
    follow(declared, folder, fan_in=2)
    seen = sorted(enumerate(model.seen()), key=lambda one: (one[1][0], one[0]))
    assert fields(folder, cls) == [values for _, (_, values) in seen]
