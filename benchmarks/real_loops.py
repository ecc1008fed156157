"""Public sets through the commands that a user types, on windows in a row; peers and simple rules on the same windows.

Run: python benchmarks/real_loops.py elec|food|taxi|cards|fraud --data FOLDER
`FOLDER`: of the set named (see each module of benchmarks/tables). Events enter by `flyball ingest`; `flyball learn`
says what it warns of; `flyball search prequential` evaluates on windows in a row, each after training on what was known
when it begins. Peers learn from the same rows before each window, and River row by row in the environment of the peers
(`PEERS_PYTHON`, see `make bench`).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn import ensemble, linear_model, metrics, pipeline, preprocessing
from tables import readers

from flyball.core import Doubles

HERE = Path(__file__).parent / "tables"
HOUR_US = 3_600_000_000
Windows = list[dict[str, Any]]
Measured = dict[str, list[dict[str, float]]]
"""{model: its metrics in each window}."""


class Loop:
    """One application in a home of its own, driven by commands."""

    def __init__(self, app: str, work: Path, **settings: str) -> None:
        self.app, self.home = str(HERE / app), work / "-".join(["home", *settings.values()])
        self.settings = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]

    def run(self, *words: str, settings: bool = True) -> str:
        chosen = self.settings if settings else []
        command = [sys.executable, "-m", "flyball", *words, "--home", str(self.home), *chosen]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def ingest(self, events: Mapping[str, pl.DataFrame]) -> None:
        self.home.parent.mkdir(exist_ok=True)
        for name, frame in events.items():
            path = self.home.parent / f"{name}.parquet"
            frame.write_parquet(path)
            self.run("ingest", self.app, str(path), "--type", name)

    def learn(self) -> None:
        """Learn, and print what it warns of."""
        for line in self.run("learn", self.app).splitlines():
            if line.startswith(("chosen", "note: warning")):
                print(f"  {line}")

    def windows(self, count: int, span: str) -> tuple[Windows, Measured]:
        """The last `count` windows, each of length `span`, learned for one after the other."""
        words = ("--windows", str(count), "--span", span)
        report_text = self.run("search", "prequential", self.app, *words, "--json")
        report = json.loads(report_text.splitlines()[-1])
        measured: Measured = {}
        for window in report["windows"]:
            if window["failed"]:
                raise SystemExit(f"failed: {window['failed']}")
            for model, values in window["metrics"].items():
                measured.setdefault(f"Flyball {model}", []).append(
                    {name: estimate["value"] for name, estimate in values.items()}
                )
        return report["windows"], measured


def show(title: str, windows: Windows, names: tuple[str, ...], measured: Measured) -> None:
    """Means over the windows, each with its standard deviation between windows."""
    first, last = (
        str(datetime.fromtimestamp(at / 1e6, UTC))[:16] for at in (windows[0]["start_us"], windows[-1]["end_us"])
    )
    requests = sum(window["requests"] for window in windows)
    print(f"\n{title}: {len(windows)} windows from {first} to {last}, {requests:,} requests; mean (standard deviation)")
    print("".ljust(46) + "".join(name.rjust(18) for name in names))
    for model, values in measured.items():
        cells = []
        for name in names:
            of_windows = np.array([each[name] for each in values if name in each])
            cells.append(f"{of_windows.mean():.4f} ({of_windows.std():.4f})" if len(of_windows) else "–")
        print(model.ljust(46) + "".join(cell.rjust(18) for cell in cells))


def rows_in(at_us: Doubles, window: Mapping[str, Any], delay_us: int) -> tuple[Any, Any]:
    """Positions of what may be learned from before a window, labels being `delay_us` late, and of those in it."""
    start_us, end_us = window["start_us"], window["end_us"]
    return np.flatnonzero(at_us + delay_us < start_us), np.flatnonzero((at_us >= start_us) & (at_us < end_us))


def micros(frame: pl.DataFrame) -> Any:
    return frame["at"].cast(pl.Int64).to_numpy()


# --- electricity ---------------------------------------------------------------------------------------------------


def elec(folder: Path, work: Path) -> None:
    raw = pl.read_csv(folder / "elec.csv").with_row_index("number")
    start = datetime(1996, 5, 7, tzinfo=UTC)
    at = pl.lit(start) + pl.duration(minutes=pl.col("number") * 30)
    keys = [pl.col("number").cast(pl.Int64), pl.lit("nsw").alias("market")]
    columns = [name for name in raw.columns if name not in ("number", "class")]
    periods = raw.select(*keys, *columns, at.alias("at"))
    direction = pl.when(pl.col("class") == 1).then(pl.lit("up")).otherwise(pl.lit("down"))
    moved = raw.select(*keys, direction.alias("direction"), (at + timedelta(minutes=28)).alias("at"))
    derived = "over_day,last_over_day,market.price_1h,market.price_1d"
    variants = {
        "the stream's columns, and what moved before": derived,
        "and prices of the day before": "",
        "prices of before only": "nswprice,vicprice,over_day",
    }
    measured: Measured = {}
    for words, ignored in variants.items():
        print(f"elec2, {words}:")
        loop = Loop("elec2.py", work, ignore=ignored)
        loop.ingest({"period": periods, "moved": moved})
        loop.learn()
        windows, found = loop.windows(125, "7d")
        measured |= {f"{name}: {words}"[:46]: values for name, values in found.items() if "linear" not in name}
    at_us, truth = micros(periods), raw["class"].to_numpy()
    predicted = river(raw.select(*columns, "class"), work) | {
        "same as the last half hour": np.concatenate([[0], truth[:-1]]),
        "same as yesterday": np.concatenate([np.zeros(48, np.int64), truth[:-48]]),
    }
    for name, values in predicted.items():
        measured[name] = [
            {"accuracy": float((values[rows] == truth[rows]).mean())}
            for _, rows in (rows_in(at_us, window, 0) for window in windows)
        ]
    show("elec2, up or down", windows, ("accuracy",), measured)
    whole = {name: f"{(values[1:] == truth[1:]).mean():.4f}" for name, values in predicted.items()}
    print(f"over the whole stream: {', '.join(f'{name} {value}' for name, value in whole.items())}")


def river(rows: pl.DataFrame, work: Path) -> dict[str, Any]:
    """{model: its prediction for each row, made before it learned from it}; nothing where River is not installed."""
    rows.write_csv(work / "rows.csv")
    python = os.environ.get("PEERS_PYTHON", sys.executable)
    command = [python, str(HERE / "river_stream.py"), str(work / "rows.csv"), str(work / "river.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"River is left out: {done.stderr.strip().splitlines()[-1]}")
        return {}
    with (work / "river.csv").open(newline="") as file:
        header, *answers = csv.reader(file)
    return {name: np.array([int(row[column]) for row in answers]) for column, name in enumerate(header)}


# --- food ----------------------------------------------------------------------------------------------------------


def food(folder: Path, work: Path) -> None:
    raw = pl.read_csv(folder / "deliverytime.txt").with_row_index("order")
    named = {
        "courier": pl.col("Delivery_person_ID").str.strip_chars(),
        "shop": pl.col("Delivery_person_ID").str.strip_chars().str.replace(r"DEL\d+$", ""),
        "age": pl.col("Delivery_person_Age"),
        "rating": pl.col("Delivery_person_Ratings"),
        "km": kilometers(),
        "kind": pl.col("Type_of_order").str.strip_chars(),
        "vehicle": pl.col("Type_of_vehicle").str.strip_chars(),
    }
    at = pl.lit(datetime(2022, 3, 1, tzinfo=UTC)) + pl.duration(minutes=pl.col("order"))
    minutes = pl.col("Time_taken(min)").cast(pl.Float64)
    there = at + pl.duration(minutes=pl.col("Time_taken(min)"))
    key = pl.col("order").cast(pl.Int64)
    orders = raw.select(key, at.alias("at"), **named)
    events = {
        "order": orders,
        "delivered": raw.select(
            key, minutes.alias("minutes"), there.alias("at"), **{name: named[name] for name in ("courier", "shop")}
        ),
        "rated": raw.select(
            key, (there + timedelta(minutes=1)).alias("at"), **{name: named[name] for name in ("courier", "rating")}
        ),
    }
    ratings_by_courier(orders, raw["Time_taken(min)"].to_numpy().astype(np.float64))
    measured: Measured = {}
    for rating in ("field", "event"):
        print(f"food, rating as {'a field of the order' if rating == 'field' else 'an event after the delivery'}:")
        loop = Loop("food_delivery.py", work, rating=rating)
        loop.ingest(events)
        loop.learn()
        windows, found = loop.windows(4, "5d")
        measured |= {f"{name}, rating as {rating}": values for name, values in found.items()}
    at_us, actual = micros(orders), raw["Time_taken(min)"].to_numpy().astype(np.float64)
    coded = orders.select(
        "age", "km", *[pl.col(name).cast(pl.Categorical).to_physical() for name in ("kind", "vehicle")]
    )
    for words, matrix in {
        "without": coded.to_numpy().astype(np.float64),
        "with": coded.with_columns(orders["rating"]).to_numpy().astype(np.float64),
    }.items():
        scores = []
        for train, test in (rows_in(at_us, window, 2 * HOUR_US) for window in windows):
            peer = ensemble.HistGradientBoostingRegressor(loss="absolute_error", random_state=0)
            scores.append(errors(actual[test], peer.fit(matrix[train], actual[train]).predict(matrix[test])))
        measured[f"scikit-learn boosting (MAE), {words} rating"] = scores
    show("food delivery, minutes", windows, ("mae", "rmse"), measured)
    intervals("food delivery", Loop("food_delivery.py", work, quantiles="yes"), events, "5d")


def kilometers() -> pl.Expr:
    """Along the great circle; null where a place is not in India, which is where the set has 0 for unknown."""
    from_latitude, to_latitude, from_longitude, to_longitude = (
        pl.col(f"{place}_{axis}").abs().radians()
        for axis in ("latitude", "longitude")
        for place in ("Restaurant", "Delivery_location")
    )
    half = ((to_latitude - from_latitude) / 2).sin() ** 2 + from_latitude.cos() * to_latitude.cos() * (
        (to_longitude - from_longitude) / 2
    ).sin() ** 2
    distance = 2 * 6_371.0 * half.sqrt().arcsin()
    return pl.when(pl.col("Restaurant_latitude").abs() > 1).then(distance)


def ratings_by_courier(orders: pl.DataFrame, minutes: Doubles) -> None:
    """Whose is the rating? That of a courier would hardly change between two orders, that of a delivery would."""
    frame = orders.select("courier", "rating", "age").with_columns(minutes=minutes)
    each = frame.group_by("courier").agg(
        pl.len(), pl.col("rating").n_unique().alias("ratings"), pl.col("age").n_unique().alias("ages")
    )
    before = frame.with_columns(last=pl.col("rating").shift(1).over("courier")).drop_nulls()
    print(
        f"food: a courier has {each['len'].mean():.1f} orders with {each['ratings'].mean():.1f} ratings and "
        f"{each['ages'].mean():.1f} ages; correlation of the rating with that of the order before "
        f"{before.select(pl.corr('rating', 'last')).item():.3f}, with the minutes of its own order "
        f"{before.select(pl.corr('rating', 'minutes')).item():.3f}, with those of the courier's next "
        f"{before.select(pl.corr('last', 'minutes')).item():.3f}"
    )


def intervals(name: str, loop: Loop, events: Mapping[str, pl.DataFrame], span: str) -> None:
    """The share of requests inside the interval of 80 %, beside how far chance alone takes it."""
    loop.ingest(events)
    windows, found = loop.windows(4, span)
    show(f"{name}, an interval of 80 %", windows, ("pinball", "coverage", "width"), found)
    covered(windows, found)


def covered(windows: Windows, found: Measured, level: float = 0.8) -> None:
    """By model and window how many binomial standard deviations the coverage is off its level."""
    for name, values in found.items():
        off = [
            (value["coverage"] - level) / (level * (1 - level) / window["requests"]) ** 0.5
            for window, value in zip(windows, values, strict=True)
        ]
        print(f"  {name}: coverage is off by {', '.join(f'{each:+.1f}' for each in off)} binomial standard deviations")


def errors(actual: Doubles, predicted: Doubles) -> dict[str, float]:
    gap = predicted - actual
    return {"mae": float(np.abs(gap).mean()), "rmse": float(np.sqrt((gap**2).mean()))}


# --- credit cards --------------------------------------------------------------------------------------------------


def cards(folder: Path, work: Path) -> None:
    raw = pl.read_csv(folder / "creditcard_sample.csv").sort("Time", maintain_order=True).with_row_index("payment")
    at = pl.lit(datetime(2013, 9, 1, tzinfo=UTC)) + pl.duration(seconds=pl.col("Time"))
    parts = [pl.col(f"V{number}").alias(f"v{number}") for number in range(1, 29)]
    key = pl.col("payment").cast(pl.Int64)
    payments = raw.select(key, pl.col("Amount").alias("amount"), *parts, at.alias("at"))
    known = (at + timedelta(minutes=59)).alias("at")
    loop = Loop("credit_cards.py", work)
    loop.ingest({"payment": payments, "fraud": raw.filter(pl.col("Class") == 1).select(key, known)})
    print("credit cards:")
    loop.learn()
    windows, measured = loop.windows(4, "7h")
    at_us, truth = micros(payments), raw["Class"].to_numpy()
    matrix = payments.drop("payment", "at").to_numpy()
    peers: dict[str, Callable[[], Any]] = {
        "scikit-learn logistic regression": lambda: pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=1_000, random_state=0)
        ),
        "scikit-learn random forest": lambda: ensemble.RandomForestClassifier(random_state=0, n_jobs=1),
        "scikit-learn boosting": lambda: ensemble.HistGradientBoostingClassifier(random_state=0),
    }
    for name, make in peers.items():
        scores = []
        for train, test in (rows_in(at_us, window, HOUR_US) for window in windows):
            likely = make().fit(matrix[train], truth[train]).predict_proba(matrix[test])[:, 1]
            scores.append(
                {"auc": metrics.roc_auc_score(truth[test], likely), "log_loss": metrics.log_loss(truth[test], likely)}
            )
        measured[name] = scores
    show("credit cards, a sample with all frauds", windows, ("auc", "log_loss"), measured)


# --- fraud ---------------------------------------------------------------------------------------------------------


def fraud(folder: Path, work: Path) -> None:
    _, events = readers.handbook(folder)
    loop = Loop("fraud_handbook.py", work)
    loop.ingest(events)
    print("fraud handbook:")
    loop.learn()
    windows, measured = loop.windows(4, "7d")
    show("fraud handbook, all cards", windows, ("auc", "average_precision", "brier"), measured)


# --- taxi ----------------------------------------------------------------------------------------------------------


def taxi(folder: Path, work: Path) -> None:
    _, events = readers.taxi(folder)
    loop = Loop("green_taxi.py", work)
    print("green taxi:")
    loop.ingest(events)
    loop.learn()
    windows, measured = loop.windows(4, "4d")
    show("green taxi, minutes", windows, ("mae", "rmse"), measured)
    intervals("green taxi", Loop("green_taxi.py", work, quantiles="yes"), events, "4d")


RUNS = {"elec": elec, "food": food, "taxi": taxi, "cards": cards, "fraud": fraud}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", choices=tuple(RUNS))
    parser.add_argument("--data", type=Path, help="the folder of the set")
    chosen = parser.parse_args()
    if chosen.table is None or chosen.data is None:
        print("left out: name a table and the folder that holds it, such as elec --data FOLDER")
        return
    with tempfile.TemporaryDirectory() as work:
        RUNS[chosen.table](chosen.data, Path(work))


if __name__ == "__main__":
    main()
