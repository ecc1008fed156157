"""Rows of each source are counted by window, and kept while a source sends anything."""

import polars as pl

from flyball.monitoring.watch.source_rows import (
    MOST_KEPT,
    count_sources,
    lacks_sources,
    source_key,
    sources_of,
    with_sources,
)

WEB, TILL = 1 << 32, 2 << 32


def test_rows_are_counted_by_source_and_window() -> None:
    events = pl.DataFrame({"known_at": [1, 9, 10, 12], "flags": [WEB, TILL | 1, WEB, WEB | 256]})
    counted = count_sources("events.buy", events, 10)
    assert sources_of(counted, "events.buy") == {WEB: {0: 1, 10: 2}, TILL: {0: 1}}
    assert sources_of(counted, "events.view") == {}


def test_a_silent_source_has_zeros_until_it_is_forgotten() -> None:
    web, till = source_key(WEB, "events.buy"), source_key(TILL, "events.buy")
    volumes = {"events.buy": {0: 5}, web: {0: 3}, till: {0: 0}}
    assert with_sources(volumes, {}, 10) == {"events.buy": {0: 5}, web: {0: 3, 10: 0}}
    after = with_sources(volumes, {till: {10: 4}}, 10)
    assert sources_of(after, "events.buy") == {WEB: {0: 3, 10: 0}, TILL: {0: 0, 10: 4}}


def test_of_too_many_sources_the_oldest_go() -> None:
    files = {source_key(number << 32, "events.buy"): {number: 1} for number in range(1, MOST_KEPT + 3)}
    kept = sources_of(with_sources(files, {}, 10**6), "events.buy")
    assert len(kept) == MOST_KEPT
    assert 1 << 32 not in kept


def test_volumes_of_an_earlier_version_lack_sources() -> None:
    assert lacks_sources({"events.buy": {0: 5}, "predictions": {0: 1}})
    assert not lacks_sources({"events.buy": {}, "predictions": {0: 1}})
    assert not lacks_sources({"events.buy": {0: 5}, source_key(WEB, "events.buy"): {0: 5}})
