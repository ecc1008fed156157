"""The delivery application: predicts at each order when the food will arrive.

It predicts three quantiles of the minutes, so that a promise can be the median, or one that is kept nine times in ten.
"""

from typing import Annotated

import flyball as fb

OrderKey = Annotated[int, fb.Ref("order"), fb.integer(1, 2**53)]
Shop = Annotated[str, fb.Ref("shop"), fb.text(max_length=80)]
Zone = Annotated[str, fb.Ref("zone"), fb.text(max_length=20)]
City = Annotated[str, fb.Ref("city"), fb.text(max_length=80)]


class Order(fb.Event):
    """A customer orders; this event is also the request."""

    order: OrderKey
    shop: Shop
    city: City
    zone: Zone  # where it goes
    km: Annotated[float, fb.real(0, 100, scale=0.01)]
    items: Annotated[int, fb.integer(1, 100)]
    amount: Annotated[float, fb.real(0, 10_000, scale=0.01)]
    rain: Annotated[float, fb.real(0, 200, scale=0.1)] = 0.0  # mm an hour


class Accepted(fb.Event):
    """The kitchen has accepted the order."""

    order: OrderKey
    shop: Shop
    city: City


class PickedUp(fb.Event):
    """A courier leaves the shop with the order."""

    order: OrderKey
    shop: Shop
    city: City
    zone: Zone
    courier: Annotated[int, fb.integer(1)]


class Delivered(fb.Event):
    """The order has arrived."""

    order: OrderKey
    shop: Shop
    city: City
    zone: Zone
    courier: Annotated[int, fb.integer(1)]


class Cancelled(fb.Event):
    """The shop or the customer has cancelled the order."""

    order: OrderKey
    shop: Shop
    city: City
    by: Annotated[str, fb.text(max_length=20)]


class ShopCard(fb.Profile):
    """The profile of a shop."""

    shop: Shop
    zone: Annotated[str, fb.text(max_length=20)]
    cuisine: Annotated[str, fb.text(max_length=40)]


Pickup = fb.joined("Pickup", Order, PickedUp, by="order", within="6h")
Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="6h")

MINUTE_US = 60_000_000

shop = fb.Entity(
    "shop",
    profile=ShopCard,
    zone=fb.attribute(ShopCard, lambda card: card.zone),
    cuisine=fb.attribute(ShopCard, lambda card: card.cuisine),
    accepted=fb.count(Accepted, fb.lifetime),
    picked=fb.count(PickedUp, fb.lifetime),
    given_up=fb.count(Cancelled, fb.lifetime, where=lambda c: c.by == "customer"),
    orders_15m=fb.count(Order, "15m"),
    orders_1h=fb.count(Order, "1h"),
    pickup_minutes_1h=fb.mean(Pickup, lambda p: p.elapsed_us / MINUTE_US, "1h"),
    pickup_minutes_7d=fb.mean(Pickup, lambda p: p.elapsed_us / MINUTE_US, "7d"),
    minutes_7d=fb.mean(Delivery, lambda d: d.elapsed_us / MINUTE_US, "7d"),
)
zone = fb.Entity(
    "zone",
    orders_1h=fb.count(Order, "1h"),
    minutes_1h=fb.mean(Delivery, lambda d: d.elapsed_us / MINUTE_US, "1h"),
    minutes_7d=fb.mean(Delivery, lambda d: d.elapsed_us / MINUTE_US, "7d"),
)
city = fb.Entity(
    "city",
    accepted=fb.count(Accepted, fb.lifetime),
    picked=fb.count(PickedUp, fb.lifetime),
    given_up=fb.count(Cancelled, fb.lifetime, where=lambda c: c.by == "customer"),
    delivered=fb.count(Delivered, fb.lifetime),
    orders_15m=fb.count(Order, "15m"),
    pickup_minutes_15m=fb.mean(Pickup, lambda p: p.elapsed_us / MINUTE_US, "15m"),
    minutes_1h=fb.mean(Delivery, lambda d: d.elapsed_us / MINUTE_US, "1h"),
)


def _waiting(of: str) -> fb.Derived:
    """Accepted orders that are still in the kitchen: accepted less picked up or cancelled."""
    names = f"{of}.accepted", f"{of}.picked", f"{of}.given_up"
    return fb.computed(lambda accepted, picked, given_up: accepted - picked - given_up, *names, kind=int)


COUNTERS = (
    *(f"{of}.{name}" for of in ("shop", "city") for name in ("accepted", "picked", "given_up")),
    "city.delivered",
)

features = fb.FeatureSet(
    shop,
    zone,
    city,
    kitchen_queue=_waiting("shop"),
    city_queue=_waiting("city"),
    courier_load=fb.computed(lambda picked, delivered: picked - delivered, "city.picked", "city.delivered", kind=int),
)

app = fb.App(
    "delivery",
    events=[Order, Accepted, PickedUp, Delivered, Cancelled, ShopCard, Pickup, Delivery],
    task=fb.Predict(
        on=Order,
        target=fb.elapsed(Delivery, by="order", within="6h", censored_by=(Cancelled,), unit="m"),
        kind="quantiles",
        quantiles=(0.1, 0.5, 0.9),
        features=features,
        # Counts of all time are only inputs of the queues: by themselves they would reveal the date.
        ignore=(*COUNTERS, "city"),
        deadline="100ms",
    ),
    candidates={
        "shop_hour": fb.GroupMedian(by=("shop", "hour")),
        "linear": fb.Linear(),
        "trees": fb.LightGBM(),
        "covering": fb.conformal(fb.LightGBM(), level=0.8),
    },
    choose=fb.best("pinball"),
    retrain=[fb.every("1d")],
    train_window=["all", "since_drift"],
    world=fb.world("delivery", past_days=7),
)
