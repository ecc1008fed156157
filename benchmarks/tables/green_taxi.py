"""Minutes that a trip of a green taxi in New York takes, from where it starts, where it goes and when.

Data: New York City Taxi and Limousine Commission, trip records of January 2022. Trips of 1 to 60 minutes.
"""

from typing import Annotated

import flyball as fb

Trip = Annotated[int, fb.Ref("trip"), fb.integer(0)]
Zone = Annotated[str, fb.Ref("zone")]


class Pickup(fb.Event):
    """A trip starts."""

    trip: Trip
    origin: Zone
    destination: str
    way: str
    distance: Annotated[float, fb.real(0, 1_000)]


class Dropoff(fb.Event):
    """A trip has ended."""

    trip: Trip
    origin: Zone
    minutes: Annotated[float, fb.real(0, 60)]


origin = fb.Entity(
    "zone",
    minutes_1h=fb.mean(Dropoff, lambda d: d.minutes, "1h"),
    minutes_1d=fb.mean(Dropoff, lambda d: d.minutes, "1d"),
    minutes_7d=fb.mean(Dropoff, lambda d: d.minutes, "7d"),
    trips_1h=fb.count(Pickup, "1h"),
)

features = fb.FeatureSet(
    Pickup,
    origin,
    half_miles=fb.computed(lambda miles: round(2 * miles) / 2, "distance", kind=float),
)


def make_app(quantiles: bool = False) -> fb.App:
    """`quantiles`: an interval of 80 % around the middle, not a number."""
    trees = fb.LightGBM(n_estimators=300, num_leaves=31, learning_rate=0.05)
    candidates = {
        "mean": fb.Constant(),
        "zones": fb.GroupMedian("destination", "origin", "hour", least=5),
        "median": fb.GroupMedian("half_miles", "hour"),
        "linear": fb.Linear(),
        "trees": trees,
    }
    if quantiles:
        candidates["covering"] = fb.conformal(trees, level=0.8)
    return fb.App(
        "green-taxi",
        events=[Pickup, Dropoff],
        task=fb.Predict(
            on=Pickup,
            target=fb.elapsed(Dropoff, by="trip", within="1h", unit="m"),
            kind="quantiles" if quantiles else "number",
            features=features,
        ),
        candidates=candidates,
        choose=fb.best("pinball" if quantiles else "mae"),
    )


app = make_app()
