"""Hourly rentals of a bike-sharing system in Washington, D.C., as a share of the largest hour ever.

Protocol: "Time-related feature engineering" of scikit-learn's examples: five test windows of 1,000 hours in a row, each
after at most 10,000 hours of training that end 48 hours before. Data: Fanaee-T and Gama, "Event labeling combining
ensemble detectors and background knowledge", 2013 (UCI, CC BY 4.0).
"""

from typing import Annotated

import flyball as fb

Hour = Annotated[int, fb.Ref("hour"), fb.integer(0)]


class Forecast(fb.Event):
    """An hour begins: its calendar and its weather."""

    number: Hour
    season: str
    year: str
    month: Annotated[int, fb.integer(1, 12)]
    hour_of_day: Annotated[int, fb.integer(0, 23)]
    holiday: str
    day_of_week: Annotated[int, fb.integer(0, 6)]
    working_day: str
    weather: str
    temperature: float
    feels_like: float
    humidity: float
    wind: float


class Rented(fb.Event):
    """An hour has ended."""

    number: Hour
    share: Annotated[float, fb.real(0, 1)]


app = fb.App(
    "bike-sharing",
    events=[Forecast, Rented],
    task=fb.Predict(
        on=Forecast,
        target=fb.target_value(Rented, lambda r: r.share, by="number", within="1h"),
        ignore=("hour", "weekday"),
    ),
    candidates={
        "mean": fb.Constant(),
        "median": fb.GroupMedian("hour_of_day", "working_day"),
        "linear": fb.Linear(),
        "trees": fb.LightGBM(n_estimators=100, num_leaves=31, learning_rate=0.1),
    },
    choose=fb.best("mae"),
)
