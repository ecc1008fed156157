"""Profiles of features: of the values that were recorded with answers, those of each version's features."""

from zlib import crc32

import numpy as np

from flyball.monitoring.profiles.feature_profiles import feature_groups, feature_profiles

from .conftest import START_US, USERS, Theatre


def test_profiles_hold_the_features_of_the_recorded_answers(theatre: Theatre) -> None:
    answers = theatre.answer(*range(1, USERS + 1))
    recorded = [user for user in range(1, USERS + 1) if crc32(str(user).encode()) % 16 == 0]
    profiles = feature_profiles(theatre.runtime, theatre.clock.now_us(), theatre.clock.now_us() + 1)
    assert set(profiles) == {"features.user", "features.film", "features.user_film"}
    assert feature_groups(theatre.runtime) == ("user", "film", "user_film")
    user = profiles["features.user"]
    assert user.rows == len(recorded) > 1
    assert user.keys.estimate() == len(recorded)
    assert user.columns["age"].numbers.mean == np.mean([20 + user % 40 for user in recorded])
    watched = theatre.runtime.history.events("watch", START_US, until_us=theatre.clock.now_us())
    last_week = watched.filter(watched["at"].dt.epoch("us") >= theatre.clock.now_us() - 7 * 86_400_000_000)
    counts = [len(last_week.filter(last_week["user"] == user)) for user in recorded]
    assert user.columns["watched"].numbers.mean == np.mean(counts)
    assert set(user.columns) == {"age", "watched"}, "30 days are longer than the log, and a mean of them grows with it"
    assert profiles["features.user_film"].columns == {}, "a lifetime grows for ever"
    ranked = sum(answer.sources.count("model") for answer in answers if int(answer.key) in recorded)
    assert profiles["features.film"].rows == ranked
    assert profiles["features.film"].columns["half"].kind == "text"
    assert set(profiles["features.film"].columns["half"].frequent.counts.values()) <= set(range(ranked + 1))


def test_a_window_without_answers_has_empty_profiles(theatre: Theatre) -> None:
    theatre.answer(1)
    profiles = feature_profiles(theatre.runtime, START_US, theatre.clock.now_us())
    assert [profile.rows for profile in profiles.values()] == [0, 0, 0]


def test_a_version_that_reads_what_is_not_declared_now_is_left_out(theatre: Theatre, tmp_path: object) -> None:
    theatre.answer(*range(1, USERS + 1))
    declared = theatre.runtime.registry.version(theatre.champion("ranker").id).features
    assert "user.age" in declared
    theatre.runtime.registry.version = lambda id: (_ for _ in ()).throw(KeyError(id))  # type: ignore[method-assign]
    assert feature_profiles(theatre.runtime, START_US, theatre.clock.now_us() + 1)["features.user"].rows == 0
