"""What was renamed keeps the hash that it had under its oldest name; what was not means something else."""

from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.events import field_names_now, join_of, original_field_name, original_type_name

Card = Annotated[int, fb.Ref("card")]


class Payment(fb.Event):
    card: Card
    amount: float


class Purchase(fb.Event):
    former_names = ("Payment", "Buy")
    plastic: Annotated[Card, fb.renamed("card")]
    total: Annotated[float, fb.renamed("amount", "price")]


class Unmarked(fb.Event):
    plastic: Card
    total: float


class Dispute(fb.Event):
    card: Card
    lost: float


def hashes(event: type[fb.Event], card: str, amount: str) -> dict[str, str]:
    """Of a sum with a filter, of a joined type, and of what is derived from a field."""
    fraud = fb.joined("Fraud", event, Dispute, by="card", within="5d")
    entity = fb.Entity(
        "card",
        paid=fb.sum(event, lambda p: getattr(p, amount), "7d", where=lambda p: getattr(p, amount) > 1),
        frauds=fb.mean(fraud, lambda f: getattr(f, amount), "7d"),
    )
    by_field = fb.Features("amounts", keys=(card,), paid=fb.count(event, "7d"))
    features = fb.FeatureSet(entity, by_field, event, twice=fb.computed(lambda a: 2 * a, amount))
    return {**features.hashes, "all": features.hash}


def test_hashes_are_those_of_the_oldest_names() -> None:
    before = hashes(Payment, "card", "amount")
    assert hashes(Purchase, "plastic", "total") == before
    other = hashes(Unmarked, "plastic", "total")
    assert all(other[name] != before[name] for name in before)


@pytest.mark.parametrize(
    ("event", "type_name", "names"),
    [
        (Payment, "Payment", {"card": "card", "amount": "amount"}),
        (Purchase, "Payment", {"plastic": "card", "total": "amount"}),
        (
            fb.joined("Pair", Purchase, Dispute, by="card", within="1d"),
            "Pair",
            {"total": "amount", "elapsed_us": "elapsed_us"},
        ),
    ],
)
def test_oldest_names(event: Any, type_name: str, names: dict[str, str]) -> None:
    assert original_type_name(event) == type_name
    assert {name: original_field_name(event, name) for name in names} == names


def test_every_name_leads_to_the_one_of_now() -> None:
    assert field_names_now(Purchase) == {
        "card": "plastic",
        "plastic": "plastic",
        "amount": "total",
        "price": "total",
        "total": "total",
        "at": "at",
    }


def test_what_waits_for_its_other_side_is_found_after_a_rename() -> None:
    before, after = (join_of(fb.joined("Pair", side, Dispute, by="card", within="1d")) for side in (Payment, Purchase))
    assert before is not None
    assert after is not None
    assert before.hash == after.hash
