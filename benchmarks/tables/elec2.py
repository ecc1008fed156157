"""Whether the price of electricity in New South Wales goes up against its mean of the day before, every half hour.

Data: Harries, "Splice-2 comparative evaluation: electricity pricing", 1999, as streamed by scikit-multiflow. The answer
of a half hour is known when it ends, so the next one may learn from it.
"""

from typing import Annotated

import flyball as fb

Key = Annotated[int, fb.Ref("half_hour"), fb.integer(0)]
Market = Annotated[str, fb.Ref("market"), fb.text(max_length=8)]


class Period(fb.Event):
    """A half hour begins."""

    number: Key
    market: Market
    period: float
    nswprice: float
    nswdemand: float
    vicprice: float
    vicdemand: float
    transfer: float


class Moved(fb.Event):
    """A half hour has ended."""

    number: Key
    market: Market
    direction: Annotated[str, fb.text(max_length=4)]


market = fb.Entity(
    "market",
    last=fb.last(Moved, lambda m: m.direction, "1h"),
    ups_2h=fb.count(Moved, fb.exact("2h", max_events=10), where=lambda m: m.direction == "up"),
    ups_6h=fb.count(Moved, fb.exact("6h", max_events=20), where=lambda m: m.direction == "up"),
    price_1h=fb.mean(Period, lambda p: p.nswprice, fb.exact("1h", max_events=10), scale=1e-9),
    price_1d=fb.mean(Period, lambda p: p.nswprice, fb.exact("1d", max_events=100), scale=1e-9),
)
features = fb.FeatureSet(
    Period,
    market,
    over_day=fb.computed(
        lambda price, usual: None if usual is None else price - usual, "nswprice", "market.price_1d", kind=float
    ),
    last_over_day=fb.computed(
        lambda last, usual: None if last is None or usual is None else last - usual,
        "market.price_1h",
        "market.price_1d",
        kind=float,
    ),
)


def make_app(ignore: str = "") -> fb.App:
    """`ignore`: columns that models do not see, with commas between."""
    trees = fb.LightGBM(n_estimators=200, num_leaves=31, learning_rate=0.05)
    return fb.App(
        "elec2",
        events=[Period, Moved],
        task=fb.Predict(
            on=Period,
            target=fb.target_value(Moved, lambda m: m.direction, classes=("down", "up"), by="number", within="29m"),
            features=features,
            ignore=("market", "hour", *(name for name in ignore.split(",") if name)),
        ),
        candidates={"linear": fb.Linear(), "trees": trees},
        choose=fb.best("accuracy"),
    )


app = make_app()
