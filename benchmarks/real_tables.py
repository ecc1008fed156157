"""Flyball's models of tables on public data, by the protocols these were published with, peers in the same run.

Run: python benchmarks/real_tables.py fraud|bikes|taxi --data FOLDER
`FOLDER`: of the set named (see each module of benchmarks/tables for where it comes from). Events enter through
`flyball ingest`; features are the application's own, as known at each request. Peers: scikit-learn, on the columns that
the protocol names. The metrics are Flyball's, held to scikit-learn's in the same run.
"""

import argparse
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from sklearn import ensemble, linear_model, metrics, pipeline, preprocessing
from tables import readers
from tables.past import Rows, labeled, rows_of

from flyball.core import Doubles, Ints
from flyball.tasks.metrics import auc, average_precision

HERE = Path(__file__).parent / "tables"
DAY_US = 86_400_000_000
Scores = dict[str, tuple[float, ...]]


def us(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1)) / timedelta(microseconds=1))


def show(title: str, names: tuple[str, ...], windows: list[Scores]) -> None:
    """Means over the windows, each with its standard deviation between windows."""
    print(f"\n{title}; mean (standard deviation over {len(windows)} windows)")
    print("".ljust(34) + "".join(name.rjust(16) for name in names))
    for model in windows[0]:
        values = np.array([window[model] for window in windows])
        cells = zip(values.mean(axis=0), values.std(axis=0), strict=True)
        print(model.ljust(34) + "".join(f"{mean:.3f} ({spread:.3f})".rjust(16) for mean, spread in cells))


# --- fraud ---------------------------------------------------------------------------------------------------------


def fraud(folder: Path, work: Path, start: datetime | None, count: int) -> None:
    source, events = readers.handbook(folder)
    last = source["TX_DATETIME"].max()
    assert isinstance(last, datetime)
    as_of_us = us(last) + 8 * DAY_US
    rows = rows_of(HERE / "fraud_handbook.py", events, work, as_of_us)
    truth = rows.frame.select("transaction").join(
        source.select(transaction="TRANSACTION_ID", fraud="TX_FRAUD"),
        on="transaction",
        how="left",
        maintain_order="left",
    )
    is_fraud = truth["fraud"].to_numpy().astype(np.float64)
    final = labeled(rows, as_of_us)
    assert np.array_equal(final.label, is_fraud), "the label of every payment must be that of the set"
    published = handbook_columns(source, rows)
    begin = start or last.replace(hour=0, minute=0, second=0) - timedelta(days=20 + 7 * (count - 1))
    starts = [us(begin + timedelta(days=7 * number)) for number in range(count)]
    windows = [fraud_window(rows, is_fraud, published, start_us) for start_us in starts]
    days = f"train from {begin:%d %B} for 7 days, 7 days until labels are known, 7 days test, known cards left out"
    show(f"fraud handbook, {days}", ("AUC", "AP", "card P@100"), windows)


def fraud_window(rows: Rows, is_fraud: Doubles, published: Doubles, start_us: int) -> Scores:
    """(AUC, average precision, card precision at 100 a day) of each model, in one window."""
    at_us, customers = rows.at_us, rows.frame["customer"].to_numpy()
    known_us = start_us + 14 * DAY_US
    then = labeled(rows, known_us)
    train = np.flatnonzero((at_us >= start_us) & (at_us < start_us + 7 * DAY_US))
    assert np.array_equal(then.label[train], is_fraud[train]), "a label must be known a week after its payment"
    test = np.flatnonzero((at_us >= known_us) & (at_us < known_us + 7 * DAY_US))
    test = test[~known_cards(at_us, customers, is_fraud, train, test, start_us)]
    predicted = predictions(then, train, test)
    peers = {
        "sklearn logistic": pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.LogisticRegression(max_iter=1_000, random_state=0)
        ),
        "sklearn random forest": ensemble.RandomForestClassifier(random_state=0, n_jobs=-1),
        "sklearn boosting": ensemble.HistGradientBoostingClassifier(random_state=0),
    }
    for name, peer in peers.items():
        peer.fit(published[train], is_fraud[train])
        predicted[f"{name}, handbook's columns"] = peer.predict_proba(published[test])[:, 1]
    days, truth, together = (at_us[test] - known_us) // DAY_US, is_fraud[test], np.zeros(len(test), np.int64)
    scores = {}
    for name, probability in predicted.items():
        ranked, precise = (
            float(metric(probability, truth, together, 1)(np.ones((1, 1)))[0]) for metric in (auc, average_precision)
        )
        assert abs(ranked - metrics.roc_auc_score(truth, probability)) < 1e-9
        assert abs(precise - metrics.average_precision_score(truth, probability)) < 1e-9
        scores[name] = (ranked, precise, card_precision(days, customers[test], probability, truth))
    return scores


def known_cards(at_us: Ints, customers: Ints, is_fraud: Doubles, train: Ints, test: Ints, start_us: int) -> np.ndarray:
    """Which rows of `test` are of customers whose fraud is known by their day."""
    day, known = (at_us - start_us) // DAY_US, set(customers[train][is_fraud[train] == 1].tolist())
    left_out = np.zeros(len(test), bool)
    for number in range(14, 21):
        newly = (day == number - 8) & (is_fraud == 1)
        known |= set(customers[newly].tolist())
        today = day[test] == number
        left_out |= today & np.isin(customers[test], list(known))
    return left_out


def card_precision(days: Ints, customers: Ints, probability: Doubles, truth: Doubles, most: int = 100) -> float:
    """Of the 100 cards a day with the largest probability, how many had a fraud that day; a card that was found is
    left out from the next day on. Mean over the days."""
    found: set[int] = set()
    precision = []
    for day in np.unique(days):
        today = pl.DataFrame({"customer": customers, "probability": probability, "fraud": truth}).filter(
            pl.Series(days == day), ~pl.col("customer").is_in(list(found))
        )
        cards = today.group_by("customer", maintain_order=True).max().sort("probability", descending=True).head(most)
        caught = cards.filter(pl.col("fraud") == 1)["customer"].to_list()
        found |= set(caught)
        precision.append(len(caught) / most)
    return float(np.mean(precision))


def handbook_columns(source: pl.DataFrame, rows: Rows) -> Doubles:
    """The columns of the handbook's baseline, made as it says: amount, weekend, night; of the customer number and mean
    amount of payments in 1, 7 and 30 days; of the terminal number and risk in these, a week before."""
    at = pl.col("TX_DATETIME").cast(pl.Datetime("us"))
    frame = source.sort("TX_DATETIME").with_columns(at=at, one=pl.lit(1.0))
    made = [
        pl.col("TX_AMOUNT"),
        (pl.col("at").dt.weekday() >= 6).cast(pl.Float64).alias("weekend"),
        (pl.col("at").dt.hour() <= 6).cast(pl.Float64).alias("night"),
    ]
    for days in (1, 7, 30):
        window = f"{days}d"
        count = pl.col("one").rolling_sum_by("at", window).over("CUSTOMER_ID")
        amount = pl.col("TX_AMOUNT").rolling_sum_by("at", window).over("CUSTOMER_ID")
        made += [count.alias(f"n_{days}"), (amount / count).alias(f"amount_{days}")]
        both = [
            value.rolling_sum_by("at", f"{days + 7}d").over("TERMINAL_ID")
            - value.rolling_sum_by("at", "7d").over("TERMINAL_ID")
            for value in (pl.col("one"), pl.col("TX_FRAUD").cast(pl.Float64))
        ]
        made += [both[0].alias(f"terminal_{days}"), (both[1] / both[0]).fill_nan(0.0).alias(f"risk_{days}")]
    made = [column.meta.undo_aliases().alias(f"c{number}") for number, column in enumerate(made)]
    columns = frame.select(pl.col("TRANSACTION_ID").alias("transaction"), *made)
    ordered = rows.frame.select("transaction").join(columns, on="transaction", how="left", maintain_order="left")
    return np.ascontiguousarray(ordered.drop("transaction").to_numpy().astype(np.float64))


# --- bikes ---------------------------------------------------------------------------------------------------------


def bikes(folder: Path, work: Path) -> None:
    hours = (
        pl.read_csv(folder / "hour.csv")
        .with_row_index("number")
        .with_columns(at=pl.col("dteday").str.to_datetime("%m/%d/%Y") + pl.duration(hours=pl.col("hr")))
    )
    text = {
        "season": "season",
        "year": "yr",
        "holiday": "holiday",
        "working_day": "workingday",
        "weather": "weathersit",
    }
    number = {"month": "mnth", "hour_of_day": "hr", "day_of_week": "weekday"}
    real = {"temperature": "temp", "feels_like": "atemp", "humidity": "hum", "wind": "windspeed"}
    at = pl.col("at").dt.replace_time_zone("UTC")
    forecasts = hours.select(
        pl.col("number").cast(pl.Int64),
        *[pl.col(column).cast(pl.String).alias(name) for name, column in text.items()],
        *[pl.col(column).alias(name) for name, column in (number | real).items()],
        at.alias("at"),
    )
    share = pl.col("cnt") / pl.col("cnt").max()
    rented = hours.select(pl.col("number").cast(pl.Int64), share.alias("share"), at.dt.offset_by("59m").alias("at"))
    last = hours["at"].max()
    assert isinstance(last, datetime)
    as_of_us = us(last) + DAY_US
    rows = rows_of(HERE / "bike_sharing.py", {"forecast": forecasts, "rented": rented}, work, as_of_us)
    rows = labeled(rows, as_of_us)
    count, windows = rows.frame.height, []
    matrix = hours.sort("number").select(*text.values(), *number.values(), *real.values()).to_numpy().astype(np.float64)
    target = (hours["cnt"] / hours["cnt"].max()).to_numpy()
    for fold in range(5):
        first = count - 1_000 * (5 - fold)
        train, test = np.arange(max(0, first - 48 - 10_000), first - 48), np.arange(first, first + 1_000)
        predicted = predictions(rows, train, test)
        peer = ensemble.HistGradientBoostingRegressor(random_state=0, categorical_features=[4])
        predicted["sklearn boosting"] = peer.fit(matrix[train], target[train]).predict(matrix[test])
        windows.append({name: errors(target[test], value) for name, value in predicted.items()})
    show("bike sharing, share of the largest hour, five windows of 1,000 hours", ("MAE", "RMSE"), windows)


def predictions(rows: Rows, train: Ints, test: Ints) -> dict[str, Doubles]:
    """{model: what each candidate of the application predicts for the rows `test`}."""
    models = rows.app.candidates.items()
    return {f"flyball {name}": rows.fit(model, train, test)[:, 0] for name, model in models}


def errors(truth: Doubles, value: Doubles) -> tuple[float, float]:
    return float(np.abs(truth - value).mean()), float(np.sqrt(((truth - value) ** 2).mean()))


# --- taxi ----------------------------------------------------------------------------------------------------------


def taxi(folder: Path, work: Path) -> None:
    trips, events = readers.taxi(folder)
    as_of_us = us(datetime(2022, 2, 3))
    rows = labeled(rows_of(HERE / "green_taxi.py", events, work, as_of_us), as_of_us)
    target = trips["minutes"].to_numpy()[rows.frame["trip"].to_numpy()]
    assert np.allclose(rows.label, target, atol=1e-6), "the label of every trip must be its minutes"
    pickups = events["pickup"]
    coded = pickups.select("distance", *[pl.col(name).cast(pl.Int64) for name in ("origin", "destination")])
    local = pickups["at"]
    matrix = coded.with_columns(hour=local.dt.hour(), weekday=local.dt.weekday()).to_numpy().astype(np.float64)
    matrix = matrix[rows.frame["trip"].to_numpy()]
    windows = []
    for week in range(2):
        first_us = us(datetime(2022, 1, 18)) + 7 * DAY_US * week
        train = np.flatnonzero(rows.at_us < first_us - 3_600_000_000)
        test = np.flatnonzero((rows.at_us >= first_us) & (rows.at_us < first_us + 7 * DAY_US))
        predicted = predictions(rows, train, test)
        peer = ensemble.HistGradientBoostingRegressor(random_state=0)
        predicted["sklearn boosting"] = peer.fit(matrix[train], target[train]).predict(matrix[test])
        windows.append({name: errors(target[test], value) for name, value in predicted.items()})
    show("green taxi, minutes of a trip, two weeks in a row", ("MAE", "RMSE"), windows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", choices=("fraud", "bikes", "taxi"))
    parser.add_argument("--data", type=Path, help="the folder of the set")
    parser.add_argument("--start", type=datetime.fromisoformat, help="fraud: the first day of training")
    parser.add_argument("--windows", type=int, default=4, help="fraud: so many, a week apart")
    chosen = parser.parse_args()
    if chosen.table is None or chosen.data is None:
        print("left out: name a table and the folder that holds it, such as bikes --data FOLDER")
        return
    with tempfile.TemporaryDirectory() as work:
        runs: dict[str, Callable[[], None]] = {
            "fraud": lambda: fraud(chosen.data, Path(work), chosen.start, chosen.windows),
            "bikes": lambda: bikes(chosen.data, Path(work)),
            "taxi": lambda: taxi(chosen.data, Path(work)),
        }
        runs[chosen.table]()


if __name__ == "__main__":
    main()
