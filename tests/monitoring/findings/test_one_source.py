"""A change of one source is named, one of all or of several is not, and few rows say nothing."""

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from flyball.monitoring import Finding, TableProfile
from flyball.monitoring.findings.one_source import (
    SourceRows,
    changed_source,
    rows_words,
    source_change,
    source_of_mix,
    with_mix,
    with_source,
)


def finding(monitor: str = "shift", subject: str = "events.buy.price") -> Finding:
    return Finding(monitor, subject, 9, 0, "low", f"{subject} changed")


def rows(seed: int, now: float = 20.0, count: int = 200, missing: float = 0.0) -> SourceRows:
    rng = np.random.default_rng(seed)

    def profile(middle: float, part: int, share: float) -> TableProfile:
        values = [None if rng.random() < share else float(rng.normal(middle, 5)) for _ in range(part)]
        return TableProfile.of(pl.DataFrame({"price": pl.Series(values, dtype=pl.Float64)}))

    return SourceRows(count, (count,) * 7, profile(now, count, missing), profile(20.0, 7 * count, 0.0))


@pytest.mark.parametrize("least", [0.05, 0.2])
def test_the_only_source_whose_values_changed_is_named(least: float) -> None:
    sources = {"web": rows(1), "till": rows(2, now=30.0), "app": rows(3)}
    assert changed_source(finding(), sources, least) == "till"
    assert changed_source(finding("missing"), sources, least) == ""
    assert changed_source(finding("missing"), {**sources, "app": rows(4, missing=0.5)}, least) == "app"


def test_what_all_or_two_of_three_send_otherwise_has_no_source() -> None:
    changed = {"web": rows(1, now=30.0), "till": rows(2, now=30.0)}
    assert changed_source(finding(), changed, 0.05) == ""
    assert changed_source(finding(), {**changed, "app": rows(3)}, 0.05) == ""
    assert changed_source(finding(), {"web": rows(1, now=30.0)}, 0.05) == "", "nothing to tell it from"


def test_others_must_be_enough_and_clearly_less_changed() -> None:
    till = rows(2, now=24.0)
    assert changed_source(finding(), {"till": till, "web": rows(1)}, 0.05) == "till"
    assert changed_source(finding(), {"till": till, "web": rows(1, count=10)}, 0.05) == ""
    assert changed_source(finding(), {"till": till, "web": rows(1, now=23.0, count=30)}, 0.05) == ""


def counts(now: int, *before: int) -> SourceRows:
    return SourceRows(now, before or (100, 110, 90, 105, 95, 100, 100))


def test_a_source_that_sends_nothing_or_far_more_is_named() -> None:
    volume = finding("volume", "events.buy")
    assert changed_source(volume, {"web": counts(98), "till": counts(0)}, 0.05) == "till"
    assert changed_source(volume, {"web": counts(98), "till": counts(400)}, 0.05) == "till"
    assert changed_source(volume, {"web": counts(98), "new": counts(300, *(0,) * 7)}, 0.05) == "new"
    assert changed_source(volume, {"web": counts(5), "till": counts(0)}, 0.05) == ""
    assert changed_source(volume, {"web": counts(98), "till": counts(80)}, 0.05) == "", "within what is usual"


def test_numbers_that_became_texts_in_one_source_have_it() -> None:
    texts = TableProfile.of(pl.DataFrame({"price": [f"{number} EUR" for number in range(50)]}))
    usual = rows(1)
    sources = {"web": usual, "till": SourceRows(50, usual.before, texts, usual.usual)}
    assert changed_source(finding("kind"), sources, 0.05) == "till"


def test_the_finding_becomes_ours_with_the_source_in_words_and_evidence() -> None:
    named = with_source(finding(), "till-*.csv", 2)
    assert named.origin == "own"
    assert named.message.endswith(
        "changed; likely our own: only what till-*.csv sends changed, 2 other sources are as before"
    )
    assert (named.evidence["source"], named.evidence["other_sources"]) == ("till-*.csv", 2)
    numbers = with_source(finding(), "till-*.csv", 2, "median 20 → 30; 68.2% of its rows differ")
    assert "only what till-*.csv sends changed (median 20 → 30; 68.2% of its rows differ), 2 other" in numbers.message
    assert numbers.evidence["source_change"] == "median 20 → 30; 68.2% of its rows differ"
    again = with_source(named, "till-*.csv", 1)
    assert again.message.count("likely our own") == 1


def test_a_source_is_shown_with_its_own_numbers() -> None:
    """Prices of normal deviates around 20 and 40, four deviations apart: nearly all rows differ."""
    words = source_change(finding(), rows(2, now=40.0, count=2_000), 0.05)
    medians, distance = words.removeprefix("median ").split("; ")
    before, now = (float(value) for value in medians.split(" → "))
    assert (abs(before - 20) < 0.5, abs(now - 40) < 0.5) == (True, True)
    assert 93 <= float(distance.removesuffix("% of its rows differ")) <= 97.5  # 2 Phi(2) - 1 = 95.4 %
    assert source_change(finding("missing"), rows(3, missing=0.5, count=1_000), 0.05).startswith("0.0% → ")
    assert source_change(finding("volume", "events.buy"), counts(7), 0.05) == "7 rows, usually 100"
    assert source_change(finding("volume", "events.buy"), counts(0, 0, 1), 0.05) == "", "too few rows to say"


def mixed(now: dict[str, int], before: dict[str, int], moved: str = "") -> dict[str, SourceRows]:
    """Sources that each send one value of `price` of their own, but for `moved`, which sends two now."""

    def profile(name: str, count: int, other: int = 0) -> TableProfile:
        values = [name] * (count - other) + ["other"] * other
        return TableProfile.of(pl.DataFrame({"price": pl.Series(values, dtype=pl.String)}))

    return {
        name: SourceRows(
            now[name],
            (before[name],) * 7,
            profile(name, now[name], now[name] // 2 * (name == moved)),
            profile(name, 7 * before[name]),
        )
        for name in now
    }


def test_a_source_that_stops_or_sends_more_explains_the_shares_of_values() -> None:
    usual = {"adx": 300, "bidco": 200, "cento": 120}
    seen = Finding("shift", "events.buy.price", 9, 0, "low", "cento 19.8% → 0.0%", evidence={"distance": 0.19})
    assert source_of_mix(seen, mixed({**usual, "cento": 0}, usual), 0.05, ()) == "cento"
    assert source_of_mix(seen, mixed({**usual, "bidco": 600}, usual), 0.05, ()) == "bidco"
    assert source_of_mix(seen, mixed(usual, usual), 0.05, ()) == "", "all send as many as usual"
    assert source_of_mix(seen, mixed({**usual, "cento": 0}, usual, moved="adx"), 0.05, ()) == "", "adx changed, too"
    assert source_of_mix(seen, mixed({**usual, "cento": 0, "bidco": 0}, usual), 0.05, ("cento", "bidco")) == "bidco"
    fewer = replace(seen, monitor="missing-daily")
    assert source_of_mix(fewer, mixed({**usual, "cento": 0}, usual), 0.05, ()) == "cento"
    named = with_mix(seen, "cento", 2, rows_words(mixed({**usual, "cento": 0}, usual)["cento"]))
    assert named.message.endswith("own: cento sends nothing, what 2 other sources send is as before")
    assert (named.origin, named.evidence["source"]) == ("own", "cento")
