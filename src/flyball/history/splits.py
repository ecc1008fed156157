"""Ways to hold back a part of a frame. Every split returns (train, test), both in the frame's order."""

from hashlib import blake2b
from typing import TYPE_CHECKING

from flyball.core import BadInput

if TYPE_CHECKING:
    import polars as pl

Split = tuple["pl.DataFrame", "pl.DataFrame"]


def split_by_time(frame: "pl.DataFrame", at_us: int, at: str = "at") -> Split:
    """Test is what happened at `at_us` or later. `at`: the column of the instant."""
    import polars as pl

    _check(frame, at)
    return frame.filter(pl.col(at) < at_us), frame.filter(pl.col(at) >= at_us)


def split_by_user(frame: "pl.DataFrame", share: float, seed: int, user: str = "user") -> Split:
    """Test is everything of about `share` of the users, chosen by a hash of seed and user, whatever else is there."""
    import polars as pl

    _check(frame, user)
    if not 0.0 <= share <= 1.0:
        raise BadInput("share of users", "in [0, 1]", share)
    users = frame[user].unique().drop_nulls().to_list()
    tested = pl.Series([one for one in users if _draw(seed, str(one)) < share], dtype=frame.schema[user])
    chosen = pl.col(user).is_in(tested.implode()).fill_null(False)
    return frame.filter(~chosen), frame.filter(chosen)


def split_leave_last_out(
    frame: "pl.DataFrame", user: str = "user", item: str = "item", at: str = "at", known_at: str = "known_at"
) -> Split:
    """Test is each user's last row; a tie in `at` is decided by `known_at` (if the frame has it), then by `item`.

    Rows equal in all of these are told apart by their place in the frame: the later one is last.
    """
    import polars as pl

    _check(frame, user, item, at)
    order = [at, known_at, item] if known_at in frame.columns else [at, item]
    numbered = frame.with_row_index("__row")
    last = (
        numbered.drop_nulls(user)
        .sort(*order, "__row")
        .group_by(user)
        .agg(pl.col("__row").last())["__row"]
    )  # fmt: skip
    held = pl.col("__row").is_in(last.implode())
    return numbered.filter(~held).drop("__row"), numbered.filter(held).drop("__row")


def _draw(seed: int, user: str) -> float:
    """A number in [0, 1) that depends on seed and user only."""
    return int.from_bytes(blake2b(f"{seed}:{user}".encode(), digest_size=7).digest()) / (1 << 56)


def _check(frame: "pl.DataFrame", *columns: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise BadInput("frame to split", f"with columns {', '.join(columns)}", frame.columns)
