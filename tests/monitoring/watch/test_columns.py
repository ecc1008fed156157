"""Columns of a window beside those of its season: what is found, how severe it is, and what is not looked at."""

from math import inf

import numpy as np
import polars as pl

from flyball.events import IMPORTED
from flyball.monitoring import Observation, TableProfile
from flyball.monitoring.profiles.application_table import with_marks
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


IMPORTED_FROM = 4
"""Of the windows before, so many were imported: nothing is known of their delays."""


def sent(rng: np.random.Generator, live: bool = True, rows: int = 120) -> pl.DataFrame:
    at = np.sort(rng.integers(0, 3_600_000_000, rows))
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "price": rng.lognormal(3, 1, rows),
            "at": at,
            "known_at": at + rng.integers(0, 600_000_000, rows),
            "flags": [0 if live else IMPORTED] * rows,
        }
    )


def marked(now: pl.DataFrame) -> dict[tuple[str, str], Observation]:
    rng = np.random.default_rng(7)

    def profile(rows: pl.DataFrame) -> TableProfile:
        return TableProfile.of(with_marks(rows, ("id", "price"), ("id",)).drop("at", "known_at", "flags", "id"))

    days = [profile(sent(rng, live=day >= IMPORTED_FROM)) for day in range(14)]
    reference = Reference(days[:3], [(day % 7, part) for day, part in enumerate(days)])  # of this weekday: imported
    observations = observe_columns("events.buy", profile(now), reference, least=0.05, ignore=frozenset())
    return {(each.monitor, each.subject): each for each in observations}


def test_times_of_another_zone_are_our_own_fault_whatever_was_imported_before() -> None:
    usual = sent(np.random.default_rng(8))
    quiet = marked(usual)
    assert not quiet["times", "events.buy.at"].matters
    assert not quiet["sent_twice", "events.buy"].matters
    moved = pl.when(pl.int_range(120) % 2 == 0).then(10_800_000_000).otherwise(0)
    half = marked(usual.with_columns(at=pl.col("at") - moved))
    found = half["times", "events.buy.at"]
    assert (found.matters, found.origin, found.e_value > 100) == (True, "own", True)
    assert " of the rows became known 3." in found.message
    assert found.message.endswith(
        "hours later than usual, counted from their times: "
        "they come late, or their times are 3 hours too early, as in another time zone"
    )
    sooner = marked(usual.with_columns(known_at=pl.col("at")))["times", "events.buy.at"]
    assert not sooner.matters  # some minutes are no move
    assert ("times", "events.buy.at") not in marked(sent(np.random.default_rng(8), live=False))


def test_rows_under_new_ids_are_our_own_fault() -> None:
    usual = sent(np.random.default_rng(9))
    again = pl.concat([usual, usual.with_columns(id=pl.col("id") + 1_000)])
    found = marked(again)["sent_twice", "events.buy"]
    assert (found.matters, found.origin, found.severity) == (True, "own", "high")
    assert found.message.startswith("events.buy: 50.0% of the rows repeat another of the same minute, usually 0.0%")


def test_exchanged_columns_say_so_in_the_evidence_of_both() -> None:
    rng = np.random.default_rng(10)

    def profile(rows: int, exchanged: bool = False) -> TableProfile:
        km, amount = rng.lognormal(0.6, 0.6, rows), rng.lognormal(3, 0.5, rows)
        first, second = (amount, km) if exchanged else (km, amount)
        return TableProfile.of(pl.DataFrame({"km": first, "amount": second}))

    days = [profile(100) for _ in range(14)]
    reference = Reference(days[:7], list(enumerate(days)))
    observations = observe_columns(
        "events.order", profile(100, exchanged=True), reference, least=0.05, ignore=frozenset()
    )
    said = {each.subject: each.evidence.get("exchanged") for each in observations if each.monitor == "shift"}
    words = "columns km and amount are exchanged in all rows"
    assert said == {"events.order.km": words, "events.order.amount": words}
