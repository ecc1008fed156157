"""Columns of a window beside those of its season: what is found, how severe it is, and what is not looked at."""

from math import inf

import numpy as np
import polars as pl

from flyball.monitoring import Observation, TableProfile
from flyball.monitoring.watch.columns import Reference, observe_columns


def window(rng: np.random.Generator, rows: int = 200) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "price": rng.lognormal(3, 1, rows),
            "country": rng.choice(["de", "fr"], rows, p=[0.6, 0.4]),
            "level": ["chosen"] * rows,
            "note": pl.Series(["a"] * rows).set(pl.Series(rng.random(rows) < 0.1), None),
        }
    )


def seen(now: pl.DataFrame, table: str = "events.Buy", ignore: frozenset[str] = frozenset()) -> list[Observation]:
    rng = np.random.default_rng(1)
    days = [TableProfile.of(window(rng)) for _ in range(14)]
    reference = Reference(days[5::7], [(day % 7, profile) for day, profile in enumerate(days)])
    return observe_columns(table, TableProfile.of(now), reference, least=0.05, ignore=ignore)


def test_a_usual_window_gives_no_evidence() -> None:
    observations = seen(window(np.random.default_rng(2)))
    assert {observation.subject for observation in observations} == {
        "events.Buy.price",
        "events.Buy.country",
        "events.Buy.level",
        "events.Buy.note",
    }
    assert max(observation.e_value for observation in observations) < 20


def test_what_changed_has_large_evidence_and_says_what() -> None:
    now = window(np.random.default_rng(3)).with_columns(
        price=pl.col("price") * 100, note=pl.when(pl.int_range(200) % 3 == 0).then(None).otherwise(pl.col("note"))
    )
    large = {(each.monitor, each.subject): each for each in seen(now) if each.e_value > 1e3 and each.matters}
    assert set(large) == {("shift", "events.Buy.price"), ("missing", "events.Buy.note")}
    assert "median" in large["shift", "events.Buy.price"].message
    missing = large["missing", "events.Buy.note"]
    assert (missing.severity, missing.origin) == ("high", "own")


def test_a_change_of_kind_is_a_fact() -> None:
    now = window(np.random.default_rng(4)).with_columns(price=pl.col("price").cast(pl.String))
    (fact,) = [each for each in seen(now) if each.e_value == inf]
    assert (fact.monitor, fact.subject) == ("kind", "events.Buy.price")
    assert fact.message == "events.Buy.price holds values of kind text, it held number"


def test_one_answer_in_fifty_from_a_fallback_matters() -> None:
    now = window(np.random.default_rng(5)).with_columns(
        level=pl.when(pl.int_range(200) % 40 == 0).then(pl.lit("popular")).otherwise(pl.col("level"))
    )
    (level,) = [each for each in seen(now, "predictions") if each.subject == "predictions.level" and each.matters]
    assert (level.monitor, level.severity) == ("shift", "high")
    (elsewhere,) = [each for each in seen(now) if each.subject == "events.Buy.level" and each.monitor == "shift"]
    assert not elsewhere.matters


def test_ignored_columns_and_small_windows_are_not_looked_at() -> None:
    now = window(np.random.default_rng(6))
    assert "events.Buy.price" not in {each.subject for each in seen(now, ignore=frozenset(["events.Buy.price"]))}
    assert not seen(now.head(19))
    assert not observe_columns("events.Buy", TableProfile.of(now), Reference([], []), least=0.05, ignore=frozenset())
