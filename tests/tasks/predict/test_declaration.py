"""A declaration says what is wrong with it; a version is served as it was declared."""

from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration, Refused


class Pay(fb.Event):
    payment: Annotated[int, fb.Ref("payment"), fb.integer(1)]
    card: Annotated[str, fb.Ref("card")]
    amount: float
    till: str = ""


class Chargeback(fb.Event):
    payment: Annotated[int, fb.Ref("payment"), fb.integer(1)]
    reason: str = ""


class Weather(fb.Event):
    town: Annotated[str, fb.Ref("town")]


CARD = fb.Entity("card", spent=fb.sum(Pay, lambda p: p.amount, "1d"))
FRAUD = fb.occurs(Chargeback, by="payment", within="45d")


def task_of(**named: Any) -> fb.Predict:
    return fb.Predict(**{"on": Pay, "target": FRAUD, **named})


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"on": int}, "on of Predict"),
        ({"target": Chargeback}, "target of Predict"),
        ({"kind": "quantiles"}, "kind of Predict"),
        ({"target": fb.elapsed(Chargeback, by="payment", within="1d"), "quantiles": (0.9, 0.1)}, "quantiles"),
        ({"open_examples": "guess"}, "open_examples"),
        ({"ignore": ("color",)}, "ignore"),
        (
            {"slices": "amount"},
            r'slices of Predict must be a tuple of fields of Pay, such as \("amount",\); known: payment, card, ',
        ),
        ({"slices": ("amuont",)}, r"did you mean amount\?\), got \('amuont',\)"),
        ({"slices": 5}, "slices of Predict must be a tuple of fields of Pay"),
        ({"ignore": 5}, "ignore of Predict must be a tuple of fields of Pay or features"),
        ({"unit": 5}, 'unit of Predict must be "day" or the name of one field of Pay'),
        ({"unit": "amuont"}, r"did you mean amount\?\), got 'amuont'"),
        ({"unit": "town"}, "unit"),
        ({"weight": lambda p: p.color}, "weight"),
        ({"features": ("amount",)}, "features"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"deadline": "soon"}, "deadline"),
    ],
)
def test_what_is_wrong_is_named(named: dict[str, Any], field: str) -> None:
    with pytest.raises(BadDeclaration, match=field):
        task_of(**named)


@pytest.mark.parametrize(
    "make",
    [
        lambda: fb.occurs(Chargeback, by="card", within="1d"),  # the outcome does not name a card
        lambda: fb.occurs(Chargeback, by="payment", within="later"),
        lambda: fb.occurs(int, by="payment", within="1d"),  # type: ignore[arg-type]
        lambda: fb.elapsed(Chargeback, by="payment", within="1d", unit="decade"),
        lambda: fb.occurs(Chargeback, by="payment", within="1d", latest=True),  # the latest of what?
        lambda: fb.elapsed(Chargeback, by="payment", within="1d", censored_by=(Weather,)),
        lambda: fb.target_value(Chargeback, 3, by="payment", within="1d"),  # type: ignore[arg-type]
        lambda: fb.target_value(Chargeback, lambda c: c.reason, by="payment", within="1d", classes=("one",)),
    ],
)
def test_a_target_that_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(BadDeclaration):
        make()


def test_leaks_are_refused_where_they_are_declared() -> None:
    with pytest.raises(BadDeclaration, match="later event, not the request itself"):
        task_of(target=fb.target_value(Pay, lambda p: p.amount, by="payment", within="1d"))
    with pytest.raises(BadDeclaration, match="inputs of derived feature reason"):  # a field that only the outcome has
        task_of(features=fb.FeatureSet(Pay, CARD, reason=fb.computed(lambda x: x, "reason")))
    with pytest.raises(BadDeclaration, match="name of a derived feature"):
        task_of(features=(fb.FeatureSet(CARD, amount=fb.computed(lambda at: 1.0, "at")),))


def test_kinds_come_from_the_target() -> None:
    wait = fb.elapsed(Chargeback, by="payment", within="1d", unit="h")
    reason = fb.target_value(Chargeback, lambda c: c.reason, by="payment", within="1d", classes=("lost", "stolen"))
    assert task_of().about.values == ("probability",)
    assert task_of(target=wait).about.values == ("value",)
    assert task_of(target=wait, kind="quantiles", quantiles=(0.1, 0.5, 0.9)).about.values == ("q10", "q50", "q90")
    assert task_of(target=reason).about.values == ("lost", "stolen")


def test_elapsed_time_makes_no_type_and_an_application_declares_no_profile() -> None:
    wait = fb.elapsed(Chargeback, by="payment", within="1d", unit="h")
    app = fb.App("pay", events=[Pay, Chargeback], task=task_of(target=wait), candidates={"c": fb.Constant()})
    assert [event.__name__ for event in app.events] == ["Pay", "Chargeback"]
    with pytest.raises(BadDeclaration, match="Chargeback"):
        fb.App("pay", events=[Pay], task=task_of(target=wait), candidates={"c": fb.Constant()})
    with pytest.raises(BadDeclaration, match="candidate"):
        fb.App("pay", events=[Pay, Chargeback], task=task_of(), candidates={"c": fb.Popular()})


def test_a_version_is_served_as_long_as_what_it_reads_is_declared_alike() -> None:
    task = task_of(features=(CARD,))
    declaration = task.about.declaration
    assert task.restore(declaration) is task
    more = task_of(features=(CARD, fb.Features("shop", keys=("till",), n=fb.count(Pay, "1h"))))
    assert more.restore(declaration) is more
    other = fb.Entity("card", spent=fb.sum(Pay, lambda p: p.amount, "2d"))
    with pytest.raises(Refused, match=r"card\.spent"):
        task_of(features=(other,)).restore(declaration)
    with pytest.raises(Refused, match=r"column card\.spent"):
        task_of().restore(declaration)
    wait = fb.elapsed(Chargeback, by="payment", within="1d", unit="h")
    quantiles = task_of(target=wait, kind="quantiles")
    restored = quantiles.restore(task_of(target=wait).about.declaration)
    assert (restored.target_kind.kind, quantiles.target_kind.kind) == ("number", "quantiles")
    with pytest.raises(Refused, match="binary"):
        quantiles.restore(task_of().about.declaration)


def test_a_version_keeps_the_zone_it_learned_with() -> None:
    learned = task_of(zone="Europe/Berlin").about.declaration
    assert task_of(zone="Asia/Tokyo").restore(learned).zone == "Europe/Berlin"


def test_a_version_in_other_units_than_the_target_is_refused() -> None:
    hours, minutes = (fb.elapsed(Chargeback, by="payment", within="1d", unit=unit) for unit in ("h", "m"))
    with pytest.raises(Refused, match=r"units of 1h, as when the version was learned, got 1m: .*flyball learn"):
        task_of(target=minutes).restore(task_of(target=hours).about.declaration)


def test_reports_are_sliced_by_the_time_and_by_declared_fields() -> None:
    plan = task_of(slices=("till",)).offline().plan()
    metric = plan.default
    for name in ("hour=0", "hour=23", "weekday=6", "till=anything"):
        plan.check_metric(f"{metric}/{name}")
    for wrong in ("hour=24", "weekday=7", "till", "card=3", "new"):
        with pytest.raises(BadDeclaration, match=rf"slice of metric .* must be one of hour=0\|1.*, got '{wrong}'"):
            plan.check_metric(f"{metric}/{wrong}")
