"""Training leaves out held accounts and a fixed part of those with a share, and says which in the snapshot."""

from typing import Annotated

import polars as pl
import pytest

import flyball as fb
from flyball.events import Schema
from flyball.history import LeftOut
from flyball.learning.left_out import reading_without


class Rate(fb.Event):
    user: Annotated[int, fb.Ref("user")]
    film: Annotated[str, fb.Ref("film")]


class Viewer(fb.Profile):
    user: Annotated[int, fb.Ref("user")]


class Card(fb.Profile):
    film: Annotated[str, fb.Ref("film")]


SCHEMA = Schema((Rate, Viewer, Card))
FRAMES = {
    "rate": pl.DataFrame([(user, f"f{film}", nth) for nth in range(2) for user in range(1, 6) for film in range(200)],
                         schema=["user", "film", "nth"], orient="row"),
    "viewer": pl.DataFrame({"user": [1, 2, 3, 4, 5]}),
    "card": pl.DataFrame({"film": ["f1", "f2"]}),
}  # fmt: skip


def rows_of(name: str, **shares: float) -> pl.DataFrame:
    left_out = LeftOut("user", {account.removeprefix("u"): share for account, share in shares.items()})
    return reading_without(FRAMES.__getitem__, SCHEMA, left_out)(name)


def test_a_held_account_is_gone_and_nothing_else() -> None:
    assert rows_of("rate", u2=0.0).equals(FRAMES["rate"].filter(pl.col("user") != 2))
    assert rows_of("viewer", u2=0.0)["user"].to_list() == [1, 3, 4, 5]
    assert rows_of("card", u2=0.0).equals(FRAMES["card"])
    assert rows_of("rate").equals(FRAMES["rate"])
    assert rows_of("rate", u99=0.0).equals(FRAMES["rate"])


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_keeps_that_part_of_the_targets_with_all_their_events(share: float) -> None:
    kept = rows_of("rate", u2=share).filter(user=2)
    films = set(kept["film"])
    assert abs(len(films) / 200 - share) < 0.12
    assert kept.height == 2 * len(films)
    assert rows_of("rate", u2=share, u4=0.0).filter(user=2).equals(kept)
    assert films != set(rows_of("rate", u3=share).filter(user=3)["film"])
    assert rows_of("rate", u2=share).filter(pl.col("user") != 2).equals(FRAMES["rate"].filter(pl.col("user") != 2))
