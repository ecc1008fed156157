"""The times at which users send requests: logged ones, or without a log, the times at which they would have.

Serving answers when a user comes, with the history at that time, and not at the start of a test window. As in web
analytics, a visit begins with the first event after half an hour without events. Within a visit there are further
requests after 1, 2, 5, 10, 20... events, so that a long first visit counts as well.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars

VISIT_GAP_US = 1_800_000_000
AFTER_EVENTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def visit_times(touches: "polars.DataFrame", start_us: int, end_us: int) -> "polars.DataFrame":
    """(`user`, `at_us`) in [start, end), distinct: before the first event of each visit, and after some later ones.

    `touches`: `user` and `at` of all events before `end_us`, also of those before the window, so that a visit that
    began before it is not new. A request at the time of an event precedes the event.
    """
    import polars as pl

    visits = (
        touches.select("user", "at")
        .sort("user", "at")
        .with_columns((pl.col("at").diff() > VISIT_GAP_US).fill_null(True).alias("gap"))
        .with_columns((pl.col("gap") | (pl.col("user") != pl.col("user").shift()).fill_null(True)).alias("first"))
        .with_columns(pl.col("first").cum_sum().alias("visit"))
        .with_columns(pl.int_range(pl.len()).over("visit").alias("nth"))
    )
    return (
        visits.filter(pl.col("nth").is_in(AFTER_EVENTS) & pl.col("at").is_between(start_us, end_us - 1))
        .select("user", pl.col("at").alias("at_us"))
        .unique()
        .sort("user", "at_us")
    )


def logged_times(times: Mapping[str, Sequence[int]], start_us: int, end_us: int) -> "polars.DataFrame":
    """(`user`, `at_us`) in [start, end) of requests that were answered, distinct."""
    import polars as pl

    rows = [(user, at_us) for user, time in times.items() for at_us in time if start_us <= at_us < end_us]
    frame = pl.DataFrame(rows, schema={"user": pl.String, "at_us": pl.Int64}, orient="row")
    return frame.unique().sort("user", "at_us")


def sampled(requests: "polars.DataFrame", most: int, per_user: int, seed: int) -> "polars.DataFrame":
    """At most `most` of the requests (`user`, `at_us`) and `per_user` of each user, ordered by time.

    A second request of a user is chosen only after one request of every user.
    """
    import polars as pl

    ordered = requests.sort("user", "at_us")
    drawn = np.random.default_rng(seed).random(ordered.height)
    return (
        ordered.with_columns(pl.Series("drawn", drawn))
        .with_columns(pl.col("drawn").rank("ordinal").over("user").alias("turn"))
        .filter(pl.col("turn") <= per_user)
        .sort("turn", "drawn")
        .head(most)
        .select("user", "at_us")
        .sort("at_us", "user")
    )
