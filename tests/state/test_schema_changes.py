"""Online state after a change of declarations: never read by the order of other fields, rebuilt where it differs."""

from typing import Annotated, Any

import pytest
from tests.events.growing import declare

from flyball.events import DeclaredLog, Event, Joiner, Profile, Ref, Schema, integer, joined
from flyball.features import Entity, sum
from flyball.features.online.layout import compile_group, groups_of
from flyball.policy import outcome
from flyball.state import StateConsumer, load_catalog
from flyball.state.profiles import ProfileView
from flyball.stores.memory import MemoryStore
from flyball.tasks import Signals
from flyball.testing.log_contract import PlainLog

AT = 1_700_000_000_000_000
Film = Annotated[str, Ref("film")]
User = Annotated[int, Ref("user")]
Tx = Annotated[int, Ref("tx")]


def profile(**fields: Any) -> type[Profile]:
    made: type[Profile] = type(Profile)(  # type: ignore[call-arg]
        "Card", (Profile,), {"__annotations__": {"film": Film} | fields, "__module__": __name__}, kw_only=True
    )
    return made


def follow(log: PlainLog, card: type[Profile], store: MemoryStore) -> Entity:
    film = Entity("film", profile=card)
    declared = DeclaredLog(log, Schema([card]))
    consumer = StateConsumer([ProfileView(declared.schema, film)], store, partitions=1)
    slices = declared.read((0,), 10)
    consumer.apply(slices)
    if consumer.rebuilding:
        consumer.rebuild(slices)
        consumer.swap()
    return film


def test_profiles_are_rebuilt_and_read_by_name_meanwhile() -> None:
    log, store = PlainLog(1), MemoryStore()
    before, after = profile(year=int, rank=int), profile(rank=int, year=int)
    declared = DeclaredLog(log, Schema([before]))
    declared.append([declared.schema.check("card", {"film": "up", "year": 2009, "rank": 3}, AT, AT)])
    film = follow(log, before, store)
    assert load_catalog(store, film).attributes("year") == [2009]
    swapped = Entity("film", profile=after)
    standing_in = load_catalog(store, swapped)  # until the new view is made
    assert (standing_in.ids, standing_in.attributes("year")) == (["up"], [None])
    follow(log, after, store)
    catalog = load_catalog(store, swapped)
    assert (catalog.attributes("year"), catalog.attributes("rank")) == ([2009], [3])


class Paid(Event):
    tx: Tx
    amount: int
    fee: int


class Disputed(Event):
    user: User
    tx: Tx


def test_what_waits_for_the_other_side_is_read_by_name() -> None:
    log, store = PlainLog(1), MemoryStore()
    first = declare("Paid", tx=Tx, amount=int, fee=int)
    before = DeclaredLog(log, Schema([first, Disputed, joined("Fraud", first, Disputed, by="tx", within="3d")]))
    before.append([before.schema.check("paid", {"tx": 1, "amount": 50, "fee": 2}, AT, AT)])
    (piece,) = before.read((0,), 10)
    _, changes = Joiner(before.schema, ["fraud"], before).apply({"paid": [(piece.records[0], 0, 0)]}, store)
    store.write(changes, (1,))
    second = declare("Paid", tx=Tx, fee=int, amount=float)
    after = DeclaredLog(log, Schema([second, Disputed, joined("Fraud", second, Disputed, by="tx", within="3d")]))
    after.append([after.schema.check("disputed", {"user": 7, "tx": 1}, AT + 5, AT + 5)])
    (piece,) = after.read((1,), 10)
    made, _ = Joiner(after.schema, ["fraud"], after).apply({"disputed": [(piece.records[0], 1, 0)]}, store)
    ((record, _, _),) = made["fraud"]
    event: Any = after.schema.decode(record)
    assert (event.amount, event.fee, event.elapsed_us) == (50.0, 2, 5)


@pytest.mark.parametrize("default", [1, 2])
def test_state_depends_on_the_default_that_past_events_are_read_with(default: int) -> None:
    """Only on those that it reads: another field's default makes nothing again."""

    def layout(weight: int, other: int) -> str:
        Rate = declare("Rate", user=User, film=Film, weight=(int, weight), other=(Annotated[int, integer(0)], other))
        (group,) = groups_of([Entity("user", total=sum(Rate, lambda r: r.weight, "7d"))])
        return compile_group(group).hash

    assert layout(default, 0) == layout(default, 5)
    assert layout(default, 0) != layout(default + 1, 0)

    def view(weight: int, other: int) -> str:
        Rate = declare("Rate", user=User, film=Film, weight=(int, weight), other=(int, other))
        schema = Schema([Rate])
        positive = outcome(Rate, where=lambda r: r.weight >= 2)
        return Signals(Entity("user"), Entity("film"), positive, schema=schema).spec.hash

    assert view(default, 0) == view(default, 5)
    assert view(default, 0) != view(default + 1, 0)
