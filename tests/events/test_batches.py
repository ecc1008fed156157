"""Batches: each event has the name of the batch that brought it first, also after a retry from quarantine."""

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from tests.events.home import Home

from flyball.core import BadInput
from flyball.events import Batch, Event, Ref, Schema, batch_records, batches_in, check_batch_name, columns, retry
from flyball.events.batches import batch_of_source

JSON = columns()["jsonl"]


class Sale(Event):
    shop: Annotated[int, Ref("shop")]
    amount: Annotated[float, msgspec.Meta(le=100)]


def lines(*amounts: float) -> str:
    return "".join(json.dumps({"type": "sale", "shop": 1, "amount": amount, "at": 5}) + "\n" for amount in amounts)


@pytest.fixture
def home(tmp_path: Path) -> Any:
    home = Home(tmp_path, Schema([Sale]))
    yield home
    home.close()


def amounts(home: Home, batch: str) -> list[float]:
    records = [record for _, _, record in batch_records(home.log, batch)]
    return sorted(home.schema.decode(record).amount for record in records)  # type: ignore[attr-defined]


def test_an_event_belongs_to_the_batch_that_brought_it_first(home: Home) -> None:
    home.ingest(lines(1), "jsonl", format=JSON)
    home.ingest(lines(1, 2, 3, 200), "jsonl", format=JSON, batch="a")
    home.ingest(lines(3, 4, 300, 400), "jsonl", format=JSON, batch="b.2")
    assert (amounts(home, "a"), amounts(home, "b.2"), amounts(home, "")) == ([2, 3], [4], [2, 3, 4])
    listed = batches_in(home.log, home.quarantine)
    assert [(batch.name, batch.events, batch.quarantined) for batch in listed] == [
        ("a", {"sale": 2}, (1,)),
        ("b.2", {"sale": 1}, (2, 3)),
    ]
    assert [entry.source for entry in home.quarantine.list()] == ["a.log (batch a)", *["a.log (batch b.2)"] * 2]
    for part, offset, record in batch_records(home.log, "a"):
        pieces = [piece.part(offset, offset + 1) for piece in home.log.read((0, 0), 100) if piece.partition == part]
        assert [kept for piece in pieces for kept in piece.records] == [record]


def test_a_line_that_is_retried_stays_in_its_batch(tmp_path: Path) -> None:
    home = Home(tmp_path, Schema([Sale]))
    home.ingest(lines(200), "jsonl", format=JSON, batch="a")
    home.ingest(lines(300), "jsonl", format=JSON)
    home.close()

    class Larger(Event):
        former_names = ("Sale",)
        shop: Annotated[int, Ref("shop")]
        amount: Annotated[float, msgspec.Meta(le=1_000)]

    home = Home(tmp_path, Schema([Larger]))
    assert retry(home.inlet(), formats={"jsonl": JSON}).accepted == 2
    assert amounts(home, "a") == [200]
    (batch,) = batches_in(home.log, home.quarantine)
    assert (batch.events, batch.quarantined) == ({"larger": 1}, (1,))
    home.close()


def test_a_batch_of_nothing_but_bad_lines_is_listed(home: Home) -> None:
    home.ingest(lines(200), "jsonl", format=JSON, batch="bad")
    assert batches_in(home.log, home.quarantine) == [Batch("bad", {}, 0, 0, (1,))]


@pytest.mark.parametrize("name", ["", " a", "a b", "-a", "a)", "x" * 101, "a\n"])
def test_a_name_that_no_batch_can_have_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="name of a batch must be letters, digits"):
        check_batch_name(name)
    assert batch_of_source(f"x (batch {name})") == ""
