"""Identities: the same one by one and many at once, and distinct for distinct natural keys."""

from typing import Annotated

from hypothesis import given
from hypothesis import strategies as st

import flyball as fb
from flyball.events import Schema
from flyball.events.identity_hash import ENCODER, IdentityHash


class Whole(fb.Event):
    user: Annotated[str, fb.Ref("user")]
    n: int


class Keyed(fb.Event):
    natural_key = ("user",)
    user: Annotated[str, fb.Ref("user")]
    n: int


ROWS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(10**15, 10**15 + 1)), min_size=1)


def hash_of(event: type[fb.Event]) -> IdentityHash:
    return IdentityHash(Schema([event]).lineages[event.__name__.lower()])


@given(ROWS)
def test_many_at_once_are_those_one_by_one(rows: list[tuple[str, int, int]]) -> None:
    for event in (Whole, Keyed):
        bodies, columns = (
            [ENCODER.encode(row[:2]) for row in rows],
            [list(column) for column in zip(*rows, strict=True)],
        )
        ids = hash_of(event).many(bodies, columns[:2], columns[2])
        assert ids == [hash_of(event).of(body, row[:2], row[2]) for body, row in zip(bodies, rows, strict=True)]
        assert {len(identity) for identity in ids} == {16}


@given(ROWS)
def test_as_many_identities_as_natural_keys(rows: list[tuple[str, int, int]]) -> None:
    for event, parts in ((Whole, 3), (Keyed, 1)):
        ids = [hash_of(event).of(ENCODER.encode(row[:2]), row[:2], row[2]) for row in rows]
        assert len(set(ids)) == len({row[:parts] for row in rows})
