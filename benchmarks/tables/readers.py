"""Public sets as events, for more than one benchmark."""

from datetime import datetime
from pathlib import Path

import polars as pl


def handbook(folder: Path) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """The simulated payments of the Fraud Detection Handbook as they are, and as {event type: events}: a fraud is known
    a week after its payment."""
    source = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]).sort("TRANSACTION_ID")
    at = pl.col("TX_DATETIME").cast(pl.Datetime("us"))
    keys = {"transaction": "TRANSACTION_ID", "customer": "CUSTOMER_ID", "terminal": "TERMINAL_ID"}
    named = [pl.col(column).cast(pl.Int64).alias(name) for name, column in keys.items()]
    payments = source.select(*named, pl.col("TX_AMOUNT").alias("amount"), at.dt.replace_time_zone("UTC").alias("at"))
    known_at = at.dt.offset_by("6d23h59m59s").dt.replace_time_zone("UTC").alias("at")
    frauds = source.filter(pl.col("TX_FRAUD") == 1).select(*named, known_at)
    return source, {"payment": payments, "fraud": frauds}


def taxi(folder: Path) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Trips of 1 to 60 minutes that began in January 2022, with their `minutes`, and as {event type: events}."""
    trips = pl.read_parquet(folder / "green_tripdata_2022-01.parquet").sort("lpep_pickup_datetime")
    minutes = (pl.col("lpep_dropoff_datetime") - pl.col("lpep_pickup_datetime")).dt.total_seconds() / 60
    inside = pl.col("lpep_pickup_datetime").is_between(datetime(2022, 1, 1), datetime(2022, 2, 1), closed="left")
    trips = (
        trips.with_columns(minutes=minutes).filter(inside, pl.col("minutes").is_between(1, 60)).with_row_index("trip")
    )
    origin, destination = (pl.col(name).cast(pl.String) for name in ("PULocationID", "DOLocationID"))
    pickups = trips.select(
        pl.col("trip").cast(pl.Int64),
        origin.alias("origin"),
        destination.alias("destination"),
        pl.concat_str(origin, pl.lit("-"), destination).alias("way"),
        pl.col("trip_distance").clip(0, 1_000).alias("distance"),
        pl.col("lpep_pickup_datetime").dt.replace_time_zone("UTC").alias("at"),
    )
    dropoffs = trips.select(
        pl.col("trip").cast(pl.Int64),
        origin.alias("origin"),
        pl.col("minutes"),
        pl.col("lpep_dropoff_datetime").dt.replace_time_zone("UTC").alias("at"),
    )
    return trips, {"pickup": pickups, "dropoff": dropoffs}
