"""The application of `predict_serving.py`: minutes of a trip from twelve numbers, by boosted trees."""

from typing import Annotated

import msgspec
import numpy as np

import flyball as fb

MINUTE_US = 60_000_000
TripId = Annotated[int, fb.Ref("trip"), fb.integer(1)]
Number = Annotated[float, fb.real(-1_000, 1_000)]
TREES, LEAVES = 100, 31


class Trip(fb.Event):
    trip: TripId
    km: Number
    passengers: Number
    rain: Number
    wind: Number
    heat: Number
    road: Number
    slope: Number
    lights: Number
    speed: Number
    driver_age: Number
    car_age: Number
    load: Number


class Arrived(fb.Event):
    trip: TripId


NUMBERS = tuple(field for field in Trip.__struct_fields__ if field not in ("at", "trip"))

app = fb.App(
    "trips",
    events=[Trip, Arrived],
    task=fb.Predict(
        on=Trip,
        target=fb.elapsed(Arrived, by="trip", within="6h", unit="m"),
        ignore=("hour", "weekday"),
    ),
    candidates={"trees": fb.LightGBM(n_estimators=TREES, num_leaves=LEAVES)},
    choose=fb.best("mae"),
)


def bodies(count: int, first: int = 1) -> list[bytes]:
    """Requests as JSON, in the order of `NUMBERS`; the same ones for every server."""
    rng = np.random.default_rng(first)
    rows = rng.normal(size=(count, len(NUMBERS))).round(3).tolist()
    return [
        msgspec.json.encode({"trip": first + index, **dict(zip(NUMBERS, row, strict=True))})
        for index, row in enumerate(rows)
    ]


def past(start_us: int, days: int, a_day: int) -> list[bytes]:
    """Trips and their arrivals, in order of time."""
    rng, lines = np.random.default_rng(7), []
    for number, body in enumerate(bodies(days * a_day)):
        fields = msgspec.json.decode(body)
        at_us = start_us + number * 86_400_000_000 // a_day
        minutes = 20 + 5 * fields["km"] * fields["rain"] + 4 * np.sin(3 * fields["road"]) + rng.normal()
        lines.append((at_us, {"type": "trip", **fields}))
        lines.append((at_us + int(max(minutes, 1.0) * MINUTE_US), {"type": "arrived", "trip": fields["trip"]}))
    return [msgspec.json.encode({**fields, "at": at}) for at, fields in sorted(lines, key=lambda line: line[0])]
