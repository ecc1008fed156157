"""Comparisons: planted shifts are found by name and size, quiet tables stay quiet, seasons are no shift."""

import re

import numpy as np
import polars as pl
import pytest
from scipy import stats

from flyball.core import BadInput
from flyball.monitoring import ColumnProfile, Shift, TableProfile, column_tests, compare_profiles

QUIET_TRIALS = 150


def table(rng: np.random.Generator, rows: int, **changed: pl.Series) -> pl.DataFrame:
    columns: dict[str, object] = {f"number{index}": rng.lognormal(0, 2, rows) for index in range(5)}
    columns |= {f"text{index}": rng.choice(list("abcdef"), rows) for index in range(5)}
    columns["gap"] = pl.Series(rng.random(rows)).set(pl.Series(rng.random(rows) < 0.1), None)
    return pl.DataFrame(columns).with_columns(**changed)


def shifted(reference: pl.DataFrame, current: pl.DataFrame) -> dict[tuple[str, str], Shift]:
    comparison = compare_profiles([TableProfile.of(reference)], TableProfile.of(current))
    return {(shift.column, shift.aspect): shift for shift in comparison.shifts if shift.shifted}


def test_planted_shifts_are_found_with_their_size() -> None:
    rng = np.random.default_rng(1)
    reference, current = table(rng, 8_000), table(rng, 4_000)
    found = shifted(
        reference,
        current.with_columns(
            number0=pl.col("number0") * 4.0,
            text1=pl.when(pl.int_range(4_000) % 4 == 0).then(pl.lit("new")).otherwise(pl.col("text1")),
            number2=pl.when(pl.int_range(4_000) % 5 == 0).then(None).otherwise(pl.col("number2")),
        ),
    )
    assert set(found) == {("number0", "values"), ("text1", "values"), ("number2", "missing")}
    # D of two normals of one width, `log 4 / 2` deviations apart; 1 of 4 texts is new; 1 of 5 numbers is missing
    expected = 2 * stats.norm.cdf(np.log(4) / 4) - 1
    assert found["number0", "values"].distance == pytest.approx(expected, abs=0.06)
    assert found["text1", "values"].distance == pytest.approx(0.25, abs=0.03)
    assert found["text1", "values"].change.startswith("new 0.0% → 25.0%")
    assert found["number2", "missing"].distance == pytest.approx(0.2, abs=1e-9)
    assert found["number2", "missing"].change == "0.0% → 20.0%"


def test_new_values_are_named_before_those_that_they_replace() -> None:
    """All of the rows of one country have codes of their own now: the country lost most, and the codes are new."""
    rng = np.random.default_rng(9)
    before = pl.DataFrame({"country": rng.choice(["de", "fr", "it"], 6_000, p=[0.5, 0.3, 0.2])})
    codes = rng.choice(["de-1", "de-2", "de-3"], 3_000, p=[0.5, 0.3, 0.2])
    now = before.head(3_000)
    split = pl.when(pl.col("country") == "de").then(pl.Series(codes)).otherwise(pl.col("country"))
    change = shifted(before, now.with_columns(country=split))["country", "values"].change
    assert re.fullmatch(r"de-1 0\.0% → 2[345]\.\d%, with 2 more new values (49|50)\.\d%", change)
    fell = pl.when((pl.col("country") == "de") & (pl.int_range(3_000) % 2 == 0)).then(pl.lit("fr"))
    change = shifted(before, now.with_columns(country=fell.otherwise(pl.col("country"))))["country", "values"].change
    assert change.startswith(("de 5", "de 4", "fr 3", "fr 2")), "no value is new"
    one_in_fifty = pl.when(pl.int_range(3_000) % 50 == 0).then(pl.lit("new")).otherwise(pl.lit("it"))
    change = shifted(before, now.with_columns(country=one_in_fifty))["country", "values"].change
    assert re.fullmatch(r"it (19|20)\.\d% → 98\.0%", change), "few new values are not what changed"


def test_quiet_tables_differ_no_more_often_than_alpha() -> None:
    rng, alarms = np.random.default_rng(2), 0
    for _ in range(QUIET_TRIALS):
        profiles = (TableProfile.of(table(rng, rows)) for rows in (1_000, 500))
        alarms += compare_profiles([next(profiles)], next(profiles), least=0.0).differs
    assert alarms <= stats.binom.ppf(0.999, QUIET_TRIALS, 0.05)


def test_weekends_are_no_shift_where_the_reference_has_weekends() -> None:
    rng = np.random.default_rng(3)

    def day(number: int, level: float = 0.0) -> TableProfile:
        weekend = number % 7 >= 5
        words = rng.choice(list("ab"), 800, p=[0.7, 0.3] if weekend else [0.5, 0.5])
        return TableProfile.of(pl.DataFrame({"x": rng.normal(0.8 * weekend + level, 1, 800), "word": words}))

    for ahead in range(7):
        days = [day(number) for number in range(28 + ahead)]
        assert not compare_profiles(days, day(28 + ahead)).differs
        assert compare_profiles(days, day(28 + ahead, level=5.0)).differs
    assert compare_profiles([TableProfile.of(pl.DataFrame({"x": rng.normal(size=800)}))], day(5)).differs


def test_a_difference_too_small_to_matter_is_none() -> None:
    rng = np.random.default_rng(4)
    numbers = [rng.normal(shift, 1, 200_000) for shift in (0.0, 0.1)]
    before, now = (TableProfile.of(pl.DataFrame({"x": values})) for values in numbers)
    comparison = compare_profiles([before], now, least=0.05)
    assert not comparison.differs
    assert compare_profiles([before], now, least=0.0).shifts[0].shifted


def test_columns_that_come_go_or_change_their_kind_are_named() -> None:
    before = TableProfile.of(pl.DataFrame({"a": [1, 2], "b": [1, 2], "c": [1, 2]}))
    now = TableProfile.of(pl.DataFrame({"a": ["x", "y"], "b": [1, 2], "d": [1, 2]}))
    comparison = compare_profiles([before], now)
    assert (comparison.added, comparison.removed) == (("d",), ("c",))
    assert comparison.kinds == {"a": ("number", "text")}
    assert {shift.column for shift in comparison.shifts} == {"b"}
    assert comparison.differs


def test_columns_without_values_are_compared_by_what_is_missing() -> None:
    before = TableProfile.of(pl.DataFrame({"a": [None] * 50}, schema={"a": pl.Float64}))
    now = TableProfile.of(pl.DataFrame({"a": [1.0] * 50}))
    comparison = compare_profiles([before], now)
    assert [(shift.aspect, shift.distance, shift.shifted) for shift in comparison.shifts] == [("missing", 1.0, True)]


def test_infinite_values_are_an_aspect_of_their_own() -> None:
    before = TableProfile.of(pl.DataFrame({"a": [1.0] * 200}))
    now = TableProfile.of(pl.DataFrame({"a": [1.0, float("inf")] * 100}))
    assert compare_profiles([before], now).shifts[0].aspect == "infinite"


def test_a_table_without_rows_is_refused() -> None:
    some = TableProfile.of(pl.DataFrame({"a": [1]}))
    with pytest.raises(BadInput, match="reference must be one row or more"):
        compare_profiles([TableProfile()], some)
    with pytest.raises(BadInput, match="current rows must be one row or more"):
        compare_profiles([some], TableProfile.of(pl.DataFrame({"a": []})))
    with pytest.raises(BadInput, match="from 0 to below 1"):
        compare_profiles([some], some, least=1.0)


def test_a_change_of_the_form_of_rare_texts_is_seen_in_their_length() -> None:
    rng = np.random.default_rng(4)
    ids = pl.Series([f"{number:016x}" for number in rng.integers(0, 2**62, 6_000)])
    found = shifted(pl.DataFrame({"id": ids[:4_000]}), pl.DataFrame({"id": ids[4_000:].str.slice(4)}))
    assert ("id", "length") in found


def test_seasons_are_no_variation_between_windows() -> None:
    """Four weeks of days with a weekend: held against its weekday, a day that is elsewhere by a fifth is found."""
    rng = np.random.default_rng(5)

    def day(number: int, share: float = 0.0) -> ColumnProfile:
        weekend = number % 7 >= 5
        return ColumnProfile.of(pl.Series(rng.random(400) < (0.7 if weekend else 0.2) + share))

    days = [day(number) for number in range(28)]
    spread = [(number % 7, profile) for number, profile in enumerate(days)]
    for weekday in range(7):
        (missing, values) = column_tests("card", days[weekday::7], day(weekday), spread)
        assert missing.p == 1.0
        assert values.p > 0.001
        assert values.effect < 2.5
    planted = column_tests("card", days[3::7], day(3, 0.2), spread)[1]
    assert planted.p < 1e-4
    without_seasons = column_tests("card", days, day(3, 0.2))[1]
    assert without_seasons.p > 1e-3


def test_rain_that_fell_on_two_fridays_by_chance_is_no_season() -> None:
    """Rows of a window all have its weather; two windows of each weekday cannot show that it belongs to one."""

    def weather(mm: float) -> ColumnProfile:
        return TableProfile.of(pl.DataFrame({"rain": [mm] * 30})).column("rain")

    days = [(day % 7, weather(4.0 if day % 7 == 4 else 0.0)) for day in range(14)]
    wet = [profile for weekday, profile in days if weekday == 4]
    (test,) = [test for test in column_tests("rain", wet, weather(0.0), days) if test.aspect == "values"]
    assert test.effect > 10
    assert test.p > 0.01


def test_a_window_whose_rows_share_its_weather_is_one_of_so_many_windows() -> None:
    """The highest of 28 windows and one: a probability of 1 in 29, however many rows it has."""
    rng = np.random.default_rng(6)

    def hour(rain: float) -> ColumnProfile:
        return TableProfile.of(pl.DataFrame({"rain": rain + rng.normal(0, 1, 200)})).column("rain")

    days = [hour(rng.normal(0, 0.5)) for _ in range(28)]
    (wettest,) = [test for test in column_tests("rain", days, hour(9.0)) if test.aspect == "values"]
    assert 20 < wettest.effect < 66  # three rows to ten of their own
    assert wettest.p == pytest.approx(1 / 29)
    own = [ColumnProfile.of(pl.Series(rng.normal(0, 1, 200))) for _ in range(28)]
    (shift,) = [
        test
        for test in column_tests("km", own, ColumnProfile.of(pl.Series(rng.normal(1, 1, 200))))
        if test.aspect == "values"
    ]
    assert shift.p < 1e-4  # rows of their own
