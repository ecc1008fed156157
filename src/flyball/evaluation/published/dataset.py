"""Published data sets as training data: each common layout of a folder is recognized by its files."""

import gzip
import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from flyball.core import NOTHING, BadInput
from flyball.evaluation.published.described import described
from flyball.models import Interactions

_ALIASES = {
    "user": ("user", "userid", "user_id", "uid", "user id", "reviewerid", "session_id"),
    "item": (
        "item",
        "itemid",
        "item_id",
        "iid",
        "movieid",
        "movie_id",
        "artistid",
        "asin",
        "product_id",
        "parent_asin",
    ),
    "rating": ("rating", "stars", "score", "overall", "ratings"),
    "count": ("weight", "count", "plays", "play_count", "playcount"),
    "time": ("timestamp", "time", "ts", "unixreviewtime", "datetime", "date"),
}
_NAMED = re.compile(r"\A(u\.data|ratings\.(csv|dat)|user_artists\.dat|.*\.inter)(\.gz)?\Z")
_TABLE = re.compile(r".*\.(csv|tsv|txt|dat|data)(\.gz)?\Z")
_CLEAR_OF_TABLES = re.compile(r"(?i)\A(readme|license|sha256sums).*")

TimeKnown = Literal["timestamps", "order", "none"]


class RatedSet(msgspec.Struct, frozen=True):
    """A data set. `data`: a row for each (user, item) pair, in the order of the file, all of weight 1.

    Users and items are numbered in the natural order of their ids. `rated`: whether it has ratings on a scale.
    `clock`: "timestamps", "order" (each user's rows are in time order, without timestamps) or "none".
    """

    name: str
    file: str
    data: Interactions
    rated: bool
    clock: TimeKnown


def read_rated_set(location: Path) -> RatedSet:
    """Read a folder, or one file, in one of the known layouts. Of each (user, item) pair the latest row is kept.

    Layouts: MovieLens `u.data`, `ratings.csv`, `ratings.dat`; `user_artists.dat` (Last.fm, plays); RecBole `*.inter`;
    any csv or tsv file whose header names a user and an item, and possibly a rating and a timestamp; a table without
    header with the columns user, item[, rating[, timestamp]], where two columns mean each user's items in order of
    time. Files may be compressed with gzip. `u.item`, `movies.dat` or `movies.csv` beside MovieLens ratings provide the
    films' genres and years. Raises `BadInput` unless exactly one file matches.
    """
    file = _table_of(location)
    frame, rated, clock = _columns(_read_table(file), file)
    users, user_index = _numbered(frame["user"])
    items, item_index = _numbered(frame["item"])
    at_us = frame["at_us"].to_numpy()
    last = _latest(user_index, item_index, at_us)
    ratings = frame["rating"].to_numpy().astype(np.float32)[last]
    rated = rated and _on_a_scale(ratings)
    data = Interactions(
        users=users,
        items=items,
        user_index=user_index[last],
        item_index=item_index[last],
        weights=np.ones(len(last), dtype=np.float32),
        ratings=ratings if rated else np.full(len(last), np.nan, dtype=np.float32),
        at_us=at_us[last].astype(np.int64),
        user_group=np.full(len(users), -1, dtype=np.int32),
        groups=[],
        as_of_us=int(at_us.max()) + 1,
        attributes=described(file.parent, items),
    )
    return RatedSet(location.name, file.name, data, rated, clock)


def _table_of(location: Path) -> Path:
    if location.is_file():
        return location
    if not location.is_dir():
        raise BadInput("data folder", "an existing folder or file", str(location))
    files = sorted(path for path in location.iterdir() if path.is_file() and not _CLEAR_OF_TABLES.match(path.name))
    named = [path for path in files if _NAMED.match(path.name)]
    if len(named) == 1:
        return named[0]
    tables = named or [path for path in files if _TABLE.match(path.name) and _is_interactions(path)]
    rated = [path for path in tables if "rating" in _roles(_head(path))]
    if len(rated or tables) != 1:
        must = "a folder with one table of users and items (u.data, ratings.csv, ratings.dat, *.inter, headed csv)"
        raise BadInput("data folder", must, ", ".join(path.name for path in tables) or "none in " + str(location))
    return (rated or tables)[0]


def _open_text(file: Path) -> str:
    raw = file.read_bytes()
    return (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("utf-8", errors="replace")


def _head(file: Path) -> list[str]:
    opened: Any = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", errors="replace") as lines:
        first = str(lines.readline()).strip()
    return [cell.strip().strip('"') for cell in first.split(_separator(first))]


def _separator(line: str) -> str:
    return next((mark for mark in ("::", "\t", ",", ";", " ") if mark in line), ",")


def _roles(header: list[str]) -> dict[str, int]:
    """{role: column}, by the names in the header; {} if the header consists of numbers."""
    names = [cell.split(":")[0].strip().lower() for cell in header]
    columns = {}
    for role, aliases in _ALIASES.items():
        position = next((names.index(alias) for alias in aliases if alias in names), None)
        if position is not None:
            columns[role] = position
    return columns


def _is_interactions(file: Path) -> bool:
    header = _head(file)
    roles = _roles(header)
    bare = 2 <= len(header) <= 4 and all(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in header)
    return {"user", "item"} <= roles.keys() or bare


def _read_table(file: Path) -> pl.DataFrame:
    header = _head(file)
    roles, text = _roles(header), _open_text(file)
    separator = _separator(text.split("\n", 1)[0])
    if separator == "::":
        text, separator = text.replace("::", "\t"), "\t"
    headed = {"user", "item"} <= roles.keys()
    frame = pl.read_csv(
        text.replace("\r\n", "\n").encode(),
        separator=separator,
        has_header=headed,
        infer_schema=False,
        truncate_ragged_lines=True,
    )
    if not headed:
        if not 2 <= frame.width <= 4:
            raise BadInput(f"columns of {file.name}", "user, item, rating, timestamp", ", ".join(header))
        roles = dict(zip(("user", "item", "rating", "time"), range(frame.width), strict=False))
    return frame.select(**{role: pl.nth(position).str.strip_chars() for role, position in roles.items()})


def _columns(table: pl.DataFrame, file: Path) -> tuple[pl.DataFrame, bool, TimeKnown]:
    table = table.filter(pl.col("user").is_not_null() & pl.col("item").is_not_null())
    if not len(table):
        raise BadInput(file.name, "a table with rows", NOTHING)
    rated, clock = "rating" in table.columns, "none"
    at: pl.Expr | pl.Series = pl.int_range(pl.len(), dtype=pl.Int64)
    if "time" in table.columns:
        at, clock = _timestamps(table["time"], file), "timestamps"
    elif table.columns == ["user", "item"]:
        clock = "order"
    rating = pl.col("rating").cast(pl.Float32) if rated else pl.lit(np.nan, dtype=pl.Float32)
    try:
        return table.select("user", "item", rating=rating, at_us=at), rated, clock  # type: ignore[return-value]
    except pl.exceptions.InvalidOperationError as error:
        raise BadInput(f"ratings of {file.name}", "numbers", str(error).splitlines()[0]) from None


def _timestamps(column: pl.Series, file: Path) -> pl.Series:
    """Microseconds, from seconds, milliseconds or microseconds (distinguished by their size) or from dates."""
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count():
        parsed = column.str.to_datetime(time_unit="us", strict=False, time_zone="UTC")
        if parsed.null_count():
            raise BadInput(f"times of {file.name}", "numbers or dates", repr(column.filter(parsed.is_null())[0]))
        return parsed.cast(pl.Int64)
    size = float(numbers.abs().max() or 0)  # type: ignore[arg-type]
    scale = 1 if size > 1e14 else 1_000 if size > 1e11 else 1_000_000
    return (numbers * scale).cast(pl.Int64)


def _on_a_scale(ratings: NDArray[np.float32]) -> bool:
    """Whether these are ratings, not counts of plays: more than one value, and either fractions or at most 100."""
    counts = bool(ratings.max() > 100 and np.array_equal(ratings, np.round(ratings)))
    return bool(ratings.min() < ratings.max()) and not counts


def _numbered(column: pl.Series) -> tuple[list[str], NDArray[np.int32]]:
    """(distinct ids in natural order, numeric ids by value; the index of each row's id)."""
    distinct = column.unique()
    numeric = distinct.cast(pl.Int64, strict=False)
    key = numeric if not numeric.null_count() else distinct
    ids = distinct.gather(key.arg_sort()).to_list()
    number_of = {text: number for number, text in enumerate(ids)}
    return ids, np.fromiter((number_of[text] for text in column.to_list()), dtype=np.int32, count=len(column))


def _latest(users: NDArray[np.int32], items: NDArray[np.int32], at_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows to keep, in file order: the latest of each pair; with equal times, the last in the file."""
    order = np.lexsort((np.arange(len(users)), at_us, items, users))
    last = np.ones(len(order), dtype=bool)
    last[:-1] = (users[order][1:] != users[order][:-1]) | (items[order][1:] != items[order][:-1])
    return np.sort(order[last])
