"""What the history exports is read back as the same events, whatever their fields are."""

import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.events.growing import User

from flyball.events import FORMATS, DeclaredLog, Event, Schema, real
from flyball.history import History, HistoryConsumer
from flyball.history.reader import EXPORTS, export
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000


class Size(enum.Enum):
    """A choice of numbers."""

    SMALL = 1
    LARGE = 2


class Sent(Event):
    """A field of every kind, required and not."""

    user: User
    count: int
    maybe: str | None
    price: Annotated[float, real(0)]
    fine: bool
    raw: bytes
    size: Size
    color: Literal["red", "blue"]
    tags: list[str]
    counts: list[int] | None
    parts: dict[str, str | int | float]
    lists: dict[str, list[str]]
    factor: float | None = 2.5


TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=5)
VALUES = st.fixed_dictionaries(
    {
        "user": st.integers(1, 9),
        "count": st.integers(-(2**63), 2**63 - 1),
        "maybe": st.none() | TEXT,
        "price": st.floats(0, 1e9),
        "fine": st.booleans(),
        "raw": st.binary(max_size=4),
        "size": st.sampled_from([1, 2]),
        "color": st.sampled_from(["red", "blue"]),
        "tags": st.lists(TEXT | st.just("a|b"), max_size=3),
        "counts": st.none() | st.lists(st.integers(-9, 9), max_size=3),
        "parts": st.dictionaries(TEXT, TEXT | st.integers(-9, 9) | st.sampled_from([0.5, 2.5]), max_size=2),
        "lists": st.dictionaries(TEXT, st.lists(TEXT, max_size=2), max_size=2),
        "factor": st.none() | st.floats(-9, 9),
    }
)


@pytest.mark.parametrize("kind", EXPORTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(VALUES, min_size=1, max_size=4))
def test_what_is_exported_is_read_as_the_same_events(
    kind: str, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("history")
    log = DeclaredLog(PlainLog(1), Schema([Sent]))
    records = [log.schema.check("sent", row, AT + number, AT) for number, row in enumerate(rows)]
    log.append(records)
    consumer = HistoryConsumer(log.schema, folder / "parts", partitions=1, schemas=log.schemas)
    consumer.apply(log.read((0,), 100))
    consumer.flush()
    out = folder / f"sent.{kind}"
    assert export(History(folder / "parts", log.schema), "sent", out, kind, as_is=True) == (len(rows), 0)
    assert _ids(out, kind, log.schema) == {record.id for record in records}


def _ids(path: Path, kind: str, schema: Schema) -> set[bytes]:
    """The identities of the events in a file, without the name of their type."""
    with path.open("rb") as stream:
        parsed = FORMATS[kind].parser(schema).parse(b"".join(FORMATS[kind].lines(stream)).splitlines())
    assert parsed.bad == []
    return {
        schema.check("sent", dict(zip(batch.fields, row, strict=True)), at or 0, AT, lax=batch.lax).id
        for batch in parsed.batches
        for at, *row in zip(batch.at, *batch.columns, strict=True)
    }
