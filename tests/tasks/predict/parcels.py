"""Parcels that come late, damaged or both, each with a chance that is known; damage is reported within ten days."""

from typing import Annotated

import msgspec
import numpy as np

import flyball as fb

DAY_US = 86_400_000_000
ParcelId = Annotated[int, fb.Ref("parcel"), fb.integer(1)]


class Parcel(fb.Event):
    parcel: ParcelId
    km: Annotated[float, fb.real(0, 10_000)]
    glass: bool


class Late(fb.Event):
    parcel: ParcelId


class Report(fb.Event):
    parcel: ParcelId
    what: str


class Returned(fb.Event):
    parcel: ParcelId


app = fb.App(
    "parcels",
    events=[Parcel, Late, Report, Returned],
    task=fb.Predict(
        on=Parcel,
        target={
            "late": fb.occurs(Late, by="parcel", within="2d"),
            "damaged": fb.occurs(
                Report, by="parcel", within="10d", where=lambda r: r.what == "damaged", censored_by=(Returned,)
            ),
        },
    ),
    candidates={"linear": fb.Linear(), "trees": fb.LightGBM(n_estimators=30)},
    gates=fb.gates(min_examples=20),
)


def chances(km: float, glass: bool) -> tuple[float, float]:
    """Of being late and of damage."""
    return float(1 / (1 + np.exp(3 - km / 100))), 0.4 if glass else 0.05


def lines(days: int, start_us: int, a_day: int = 200) -> list[bytes]:
    """Parcels of some days; lateness is known after a day, damage after eight; one in fifty is returned before."""
    rng = np.random.default_rng(4)
    found = []
    for number in range(days * a_day):
        at_us = start_us + number * DAY_US // a_day
        km, glass = round(float(rng.gamma(2.0, 120.0)), 1), bool(rng.random() < 0.3)
        found.append((at_us, {"type": "parcel", "parcel": number + 1, "km": km, "glass": glass}))
        late, damaged = chances(km, glass)
        if rng.random() < late:
            found.append((at_us + DAY_US, {"type": "late", "parcel": number + 1}))
        if rng.random() < 0.02:
            found.append((at_us + 3 * DAY_US, {"type": "returned", "parcel": number + 1}))
        elif rng.random() < damaged:
            found.append((at_us + 8 * DAY_US, {"type": "report", "parcel": number + 1, "what": "damaged"}))
        elif rng.random() < 0.1:
            found.append((at_us + 4 * DAY_US, {"type": "report", "parcel": number + 1, "what": "rude"}))
    ended = start_us + days * DAY_US
    return [
        msgspec.json.encode({**fields, "at": at}) for at, fields in sorted(found, key=lambda one: one[0]) if at < ended
    ]
