"""Seconds and memory of nine windowed features at a million times over ten million events, beside its peers.

Run: python benchmarks/features_offline.py [--events 10_000_000] [--rows 1_000_000] [--keys 100_000] [--repeat 3]
count, mean and max over exactly 1, 7 and 30 days; each method in a process of its own, timed from frames in memory to a
frame in memory, compilation apart: the median of the repeats, and the first, which takes fresh memory. Every method
must give the same answers. Peers that are not installed are left out; PEERS_PYTHON may name another interpreter that
has them (duckdb, feast, polars).
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

DAY = 86_400_000_000
SPANS = {"1d": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
ONLY_COUNTS_AND_MEANS = {"duckdb asof", "polars join_asof"}
COLUMNS = [f"{what}_{span}" for what in ("count", "mean", "max") for span in SPANS]


def make(folder: Path, events: int, rows: int, keys: int) -> None:
    """Events of 90 days, most of them by few keys; rows at any times of the last 60 days."""
    import numpy as np

    rng = np.random.default_rng(7)
    start = 19_000 * DAY
    at = np.sort(rng.integers(start, start + 90 * DAY, events))
    user = (keys * rng.random(events) ** 2).astype(np.int64)
    stars = rng.integers(1, 11, events) / 2
    frame = pl.DataFrame({"user": user, "stars": stars, "at": at, "known_at": at})
    order = pl.arange(0, events, eager=True)
    frame.with_columns(partition=pl.lit(0, pl.Int32), offset=order).write_parquet(folder / "events.parquet")
    asked = pl.DataFrame(
        {
            "user": (keys * rng.random(rows) ** 2).astype(np.int64),
            "at": rng.integers(start + 30 * DAY, start + 90 * DAY, rows),
        }
    )
    asked.write_parquet(folder / "rows.parquet")


def flyball(events: pl.DataFrame, rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    from typing import Annotated

    import flyball as fb
    from flyball.features import point_in_time

    class Rate(fb.Event):
        user: Annotated[int, fb.Ref("user")]
        stars: Annotated[float, fb.real(0, 10, scale=0.5)]

    features: dict[str, Any] = {}
    for span in SPANS:
        window = fb.exact(span, max_events=100_000)
        features[f"count_{span}"] = fb.count(Rate, window)
        features[f"mean_{span}"] = fb.mean(Rate, lambda r: r.stars, window)
        features[f"max_{span}"] = fb.max(Rate, lambda r: r.stars, window)
    user = fb.Entity("user", **features)
    point_in_time([user], {"rate": events[:1000]}, rows[:100])  # compiles
    return lambda: point_in_time([user], {"rate": events}, rows).rename(lambda name: name.removeprefix("user."))


def polars_asof(events: pl.DataFrame, rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    def run() -> pl.DataFrame:
        sums = events.lazy().select(
            "user", "at", n=pl.int_range(1, pl.len() + 1).over("user"), s=pl.col("stars").cum_sum().over("user")
        )
        asked = rows.lazy().with_row_index("row").sort("at")
        for name, span in {"now": 0, **SPANS}.items():
            moved = asked.with_columns(edge=pl.col("at") - span).sort("edge").set_sorted("edge")
            asked = moved.join_asof(
                sums.rename({"n": f"n_{name}", "s": f"s_{name}"}).rename({"at": "edge"}).set_sorted("edge"),
                on="edge",
                by="user",
                allow_exact_matches=False,
                check_sortedness=False,
            ).drop("edge")
        asked = asked.fill_null(0)
        for span in SPANS:
            n = pl.col("n_now") - pl.col(f"n_{span}")
            mean = pl.when(n > 0).then((pl.col("s_now") - pl.col(f"s_{span}")) / n)
            asked = asked.with_columns(n.alias(f"count_{span}"), mean.alias(f"mean_{span}"))
        return asked.sort("row").select([f"{what}_{span}" for what in ("count", "mean") for span in SPANS]).collect()

    return run


def polars_rolling(events: pl.DataFrame, rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    def run() -> pl.DataFrame:
        asked = rows.lazy().with_row_index("row")
        both = pl.concat([events.lazy().select("user", "at", "stars"), asked], how="diagonal").sort("user", "at")
        both = both.with_columns(
            time=pl.from_epoch("at", time_unit="us"), one=pl.col("stars").is_not_null().cast(pl.Int64)
        )
        columns = []
        for span in SPANS:

            def over(value: str, how: str, span: str = span) -> pl.Expr:
                rolled: pl.Expr = getattr(pl.col(value), f"rolling_{how}_by")("time", window_size=span, closed="left")
                return rolled.over("user")

            columns += [
                over("one", "sum").fill_null(0).alias(f"count_{span}"),
                over("stars", "mean").alias(f"mean_{span}"),
                over("stars", "max").alias(f"max_{span}"),
            ]
        return both.with_columns(columns).filter(pl.col("row").is_not_null()).sort("row").select(COLUMNS).collect()

    return run


def _duck(events: pl.DataFrame, rows: pl.DataFrame) -> Any:
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads = 2")
    connection.register("events_frame", events.select("user", "stars", t="at").to_arrow())
    connection.register("rows_frame", rows.rename({"at": "t"}).with_row_index("id").to_arrow())  # at is a word of SQL
    connection.execute("create table e as select * from events_frame")
    connection.execute("create table r as select * from rows_frame")
    return connection


def duckdb_range(events: pl.DataFrame, rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    connection = _duck(events, rows)
    columns = ", ".join(
        f"{how}(stars) filter (e.t >= r.t - {us}) as {name}_{span}"
        for span, us in SPANS.items()
        for name, how in (("count", "count"), ("mean", "avg"), ("max", "max"))
    )
    query = (
        f'select r.id, {columns} from r left join e on e."user" = r."user" and e.t < r.t'
        f" and e.t >= r.t - {30 * DAY} group by r.id order by r.id"
    )
    return lambda: pl.from_arrow(connection.execute(query).to_arrow_table()).select(COLUMNS)  # type: ignore[union-attr]


def duckdb_asof(events: pl.DataFrame, rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    connection = _duck(events, rows)
    joins, columns = "", []
    for name in ("now", *SPANS):
        joins += f' asof left join c as c_{name} on r."user" = c_{name}."user" and r.e_{name}_edge > c_{name}.t'
    for span in SPANS:
        n = f"(coalesce(c_now.n, 0) - coalesce(c_{span}.n, 0))"
        columns.append(f"{n} as count_{span}")
        columns.append(f"(coalesce(c_now.s, 0) - coalesce(c_{span}.s, 0)) / nullif({n}, 0) as mean_{span}")
    cumulated = (
        'select "user", t, row_number() over w as n, sum(stars) over w as s from e'
        ' window w as (partition by "user" order by t rows unbounded preceding)'
    )
    edges = ", ".join(f"t - {us} as {name}_edge" for name, us in {"now": 0, **SPANS}.items())
    edges = edges.replace("as ", "as e_")
    query = f"with c as materialized ({cumulated}), q as (select *, {edges} from r) select {', '.join(columns)}"
    query += f" from q as r {joins} order by r.id"
    order = [f"{what}_{span}" for what in ("count", "mean") for span in SPANS]
    return lambda: pl.from_arrow(connection.execute(query).to_arrow_table()).select(order)  # type: ignore[union-attr]


def feast_last(events: pl.DataFrame, rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    """One join of a ready column at each row's time, without windows, over a tenth of events and rows.

    Over all of them the file store takes more than 24 GB and the DuckDB store more than two minutes.
    """
    import logging
    from datetime import timedelta

    import feast

    logging.disable(logging.WARNING)
    events, rows = events.gather_every(10), rows.gather_every(10)
    folder = Path(tempfile.mkdtemp())
    stamp = pl.from_epoch("at", time_unit="us").dt.replace_time_zone("UTC")
    events.select("user", "stars", stamp.alias("event_timestamp")).write_parquet(folder / "events.parquet")
    user = feast.Entity(name="user", join_keys=["user"], value_type=feast.ValueType.INT64)
    source = feast.FileSource(path=str(folder / "events.parquet"), timestamp_field="event_timestamp")
    view = feast.FeatureView(
        name="rates",
        entities=[user],
        ttl=timedelta(days=90),
        source=source,
        schema=[feast.Field(name="stars", dtype=feast.types.Float64)],
    )
    store = feast.FeatureStore(
        config=feast.RepoConfig(
            project="bench",
            registry=str(folder / "registry.db"),
            provider="local",
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    store.apply([user, view])
    asked = rows.select("user", stamp.alias("event_timestamp")).to_pandas()

    def run() -> pl.DataFrame:
        job = store.get_historical_features(entity_df=asked, features=["rates:stars"])
        return pl.DataFrame({"rows": [len(job.to_df())]})

    return run


METHODS: dict[str, tuple[str, Callable[[pl.DataFrame, pl.DataFrame], Callable[[], pl.DataFrame]]]] = {
    "flyball": ("flyball", flyball),
    "polars join_asof": ("polars", polars_asof),
    "polars rolling": ("polars", polars_rolling),
    "duckdb asof": ("duckdb", duckdb_asof),
    "duckdb range": ("duckdb", duckdb_range),
    "feast join of a tenth": ("feast", feast_last),
}


def one(folder: Path, method: str, repeat: int) -> None:
    """Run one method here; print its results and leave its answer in the folder."""
    needs, prepare = METHODS[method]
    if importlib.util.find_spec(needs) is None:
        print(json.dumps({"skipped": f"{needs} is not installed"}))
        return
    events, rows = pl.read_parquet(folder / "events.parquet"), pl.read_parquet(folder / "rows.parquet")
    run = prepare(events, rows)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeat):
        began = time.perf_counter()
        answer = run()
        seconds.append(time.perf_counter() - began)
    answer.write_parquet(folder / f"{method}.parquet")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = {"seconds": statistics.median(seconds), "first": seconds[0]}
    print(json.dumps({**took, "peak_gb": peak / 2**20, "base_gb": base / 2**20}))


def same(mine: pl.DataFrame, theirs: pl.DataFrame) -> None:
    """Counts and maxima equal, means to what adding doubles in another order costs."""
    for name in theirs.columns:
        ours, other = mine[name], theirs[name].cast(mine[name].dtype)
        assert ours.null_count() == other.null_count(), name
        if name.startswith("mean"):
            assert (ours - other).abs().max() < 1e-6, name  # type: ignore[operator]
        else:
            assert ours.equals(other, check_names=False), name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=180)
    parser.add_argument("--only", default="")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.method:
        one(asked.folder, asked.method, asked.repeat)
        return
    peers = os.environ.get("PEERS_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, asked.events, asked.rows, asked.keys)
        print(f"{asked.events:,} events, {asked.rows:,} rows, {asked.keys:,} keys")
        mine = None
        for method in METHODS:
            if asked.only and asked.only not in method and method != "flyball":
                continue
            python = sys.executable if method == "flyball" else peers
            command = [python, __file__, "--method", method, "--folder", str(folder), "--repeat", str(asked.repeat)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=asked.timeout)
            except subprocess.TimeoutExpired:
                print(f"{method:18} not finished after {asked.timeout:.0f} s")
                continue
            if done.returncode:
                print(f"{method:18} failed: {(done.stderr.strip()[-150:] or done.returncode)}")
                continue
            result = json.loads(done.stdout.strip().splitlines()[-1])
            if "skipped" in result:
                print(f"{method:18} left out: {result['skipped']}")
                continue
            answer = pl.read_parquet(folder / f"{method}.parquet")
            if mine is None:
                mine, base = answer, result["seconds"]
            elif not method.startswith("feast"):
                same(mine, answer)
            ratio = result["seconds"] / base
            less = " (no maxima)" if method in ONLY_COUNTS_AND_MEANS else ""
            less = (
                " (one column as of, no windows, a tenth of the rows and events)"
                if method.startswith("feast")
                else less
            )
            print(
                f"{method:18} {result['seconds']:7.2f} s {ratio:6.1f}x  first {result['first']:6.2f} s"
                f"  peak {result['peak_gb']:5.2f} GB (data loaded {result['base_gb']:.2f}){less}"
            )


if __name__ == "__main__":
    main()
