"""Minutes until food is delivered, from who delivers it, how far and how.

Data: a table of 45,593 deliveries in India that circulates without times, so an order a minute is made of its rows. It
has a rating beside each courier. As a field of the order it is known before the delivery that it is a rating of; as an
event after it, it counts for later orders only. `make_app(rating=...)` takes one of both: "field" or "event".
"""

from typing import Annotated

import flyball as fb

Key = Annotated[int, fb.Ref("order"), fb.integer(0)]
Courier = Annotated[str, fb.Ref("courier"), fb.text(max_length=30)]
Shop = Annotated[str, fb.Ref("shop"), fb.text(max_length=30)]


class Order(fb.Event):
    """Somebody orders food."""

    order: Key
    courier: Courier
    shop: Shop
    age: Annotated[int, fb.integer(0, 120)]
    rating: float
    km: float | None
    kind: str
    vehicle: str


class Delivered(fb.Event):
    """It is there."""

    order: Key
    courier: Courier
    shop: Shop
    minutes: Annotated[float, fb.real(0, 600)]


class Rated(fb.Event):
    """The customer rates the delivery, a minute after it."""

    order: Key
    courier: Courier
    rating: Annotated[float, fb.real(0, 10)]


courier = fb.Entity(
    "courier",
    rating=fb.mean(Rated, lambda r: r.rating, "90d"),
    last_rating=fb.last(Rated, lambda r: r.rating, "90d"),
    minutes=fb.mean(Delivered, lambda d: d.minutes, "90d"),
)
shop = fb.Entity("shop", minutes=fb.mean(Delivered, lambda d: d.minutes, "90d"))


def make_app(rating: str = "event", quantiles: bool = False) -> fb.App:
    """`rating`: as it is known, see above; `quantiles`: an interval of 80 % around the middle, not a number."""
    ignored = ("rating",) if rating == "event" else ("courier.rating", "courier.last_rating")
    trees = fb.LightGBM(n_estimators=300, num_leaves=31, learning_rate=0.05, min_data_in_leaf=50)
    candidates = {"shop": fb.GroupMedian("shop"), "linear": fb.Linear(), "trees": trees}
    if quantiles:
        candidates["covering"] = fb.conformal(trees, level=0.8)
    return fb.App(
        "food-delivery",
        events=[Order, Delivered, Rated],
        task=fb.Predict(
            on=Order,
            target=fb.elapsed(Delivered, by="order", within="2h", unit="m"),
            kind="quantiles" if quantiles else "number",
            features=(courier, shop),
            ignore=("courier", "hour", "weekday", *ignored),
        ),
        candidates=candidates,
        choose=fb.best("pinball" if quantiles else "mae"),
    )


app = make_app()
