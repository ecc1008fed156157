"""How alike rows of one key are: the planted effect is estimated, for every kind of column."""

import numpy as np
import polars as pl
import pytest
from tests.monitoring.profiles.clustered import sessions

from flyball.monitoring.profiles.alike import rows_alike


@pytest.mark.parametrize("within", [0.0, 0.3, 1.0])
def test_the_effect_is_that_of_the_variance_within_keys(within: float) -> None:
    rng, rows = np.random.default_rng(1), 8
    keys = np.repeat(np.arange(400), rows)
    expected = 1 + (rows - 1) * within
    effects = [rows_alike(sessions(rng, 400, rows, within)["value"], keys) for _ in range(20)]
    assert np.mean(effects) == pytest.approx(expected, rel=0.12)


def test_every_kind_of_column_has_an_effect() -> None:
    rng = np.random.default_rng(2)
    keys = np.repeat(np.arange(50), 10)
    user = np.repeat(rng.integers(0, 4, 50), 10)
    columns = {
        "text": pl.Series([f"t{number}" for number in user]),
        "boolean": pl.Series(user > 1),
        "time": pl.Series(user * 1_000_000).cast(pl.Datetime("us")),
        "list": pl.Series([["x"] * int(number) for number in user]),
        "mapping": pl.Series([{"a": int(number)} for number in user]),
    }
    for column in columns.values():
        assert rows_alike(column, keys) == pytest.approx(10, rel=0.3)
    assert rows_alike(pl.Series(["same"] * 500), keys) == 10
    assert rows_alike(pl.Series([], dtype=pl.Float64), np.array([], np.int64)) == 1.0
