"""The featurize stage: which keys are read, what becomes of the values, what is refused."""

from collections.abc import Sequence

import numpy as np
import pytest
from tests.tasks.conftest import FILM, LIKED, USER, Card, Joined, Rate, Viewer, Watch, ask, make_frames

import flyball as fb
from flyball.core import BadDeclaration, Refused
from flyball.features import Reading, Vectors, bits_of
from flyball.models import Artifact, InteractionsPast, LambdaMART, Popular, Stages
from flyball.tasks import (
    Columns,
    GroupKeys,
    OfflineFeatures,
    RecommendPipeline,
    bind_features,
    fallback_arrays,
    sampled,
)
from flyball.testing.model_checks import sample_interactions

DAY = 86_400_000_000
user = fb.Entity("user", Viewer, watched=fb.count(Watch, "7d"), gender=fb.attribute(Viewer, lambda v: v.gender))
film = fb.Entity("film", Card, views=fb.count(Watch, "7d"), score=fb.mean(Rate, lambda r: r.stars, "30d"))
both = fb.Features("both", keys=(film, user), seen=fb.count(Watch, "lifetime"))
TASK = fb.Recommend(user, film, positive=LIKED, k=5, cold_start_slots=0, features=(both,))


class Fake:
    """Reads 7 for users, the item's number for films, nothing for pairs; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[GroupKeys, int]] = []

    def read(self, asked: Sequence[GroupKeys], at_us: Sequence[int]) -> list[Reading]:
        self.asked += zip(asked, at_us, strict=True)
        return [
            Reading(at, (3, 4), {name: self._of(name, keys) for name, keys in one.items()})
            for one, at in zip(asked, at_us, strict=True)
        ]

    def _of(self, name: str, keys: Sequence[tuple[str, ...]]) -> Vectors:
        group = next(group for group in TASK.feature_groups if group.name == name)
        value = {"user": lambda key: 7, "film": lambda key: float(key[0][1:]), "both": lambda key: None}[name]
        coded = [[bits_of(value(key))] * len(group.definitions) for key in keys]
        return Vectors(
            tuple(one.name for one in group.definitions),
            keys,
            np.array([[bits for _, bits in row] for row in coded], np.int64),
            np.array([[tag for tag, _ in row] for row in coded], np.uint8),
            {},
        )


def make_pipeline(reader: Fake | None) -> RecommendPipeline:
    data = sample_interactions()
    model = bind_features(TASK, Stages((Popular(),), features=("user.watched", "film", "both"), most=10))
    plain = Stages((Popular(),), rank=LambdaMART(n_estimators=3, min_data_in_leaf=5), most=10)
    arrays = {**fallback_arrays(data), **plain.fit_past(InteractionsPast(data), 0), "trees_txt": np.empty(0, np.uint8)}
    return RecommendPipeline(
        TASK, Artifact({}, arrays, data.items, {item: n for n, item in enumerate(data.items)}), model, None, reader
    )


def history(name: str, items: list[str]) -> "fb.features.UserHistory":  # type: ignore[name-defined]
    from flyball.tasks import UserHistory

    n = len(items)
    return UserHistory(name, items, np.ones(n, np.float32), np.ones(n, np.float32), np.zeros(n, np.int64), items)


def test_keys_times_and_the_reading_of_what_is_shown() -> None:
    reader = Fake()
    assert (sampled("7"), sampled("28")) == (False, True)
    responses = make_pipeline(reader).answer(
        [ask(TASK, "7", 5, at_us=11), ask(TASK, "28", 5, at_us=22)],
        [history("7", ["i0", "i3"]), history("28", ["i1"])],
    )
    assert [at for _, at in reader.asked] == [11, 22]
    asked = reader.asked[0][0]
    assert asked["user"] == [("7",)]
    items = [key[0] for key in asked["film"]]
    assert len(items) == 10
    assert not {"i0", "i3"} & set(items)
    assert asked["both"] == [(item, "7") for item in items]
    for response, at in zip(responses, (11, 22), strict=True):
        (read,) = response.reads
        assert (read.at_us, read.offsets) == (at, (3, 4))
    plain, kept = (response.reads[0] for response in responses)
    assert plain.vectors == {}
    assert list(kept.vectors) == ["both", "film", "user"]
    numbers = np.frombuffer(kept.vectors["film"][0], np.float64).reshape(5, 2)
    assert numbers.tolist() == [[float(item.item[1:])] * 2 for item in responses[1].items], "of what is shown, in order"
    assert np.frombuffer(kept.vectors["user"][0], np.int64).tolist() == [7], "one row, and only the feature it reads"


def test_a_read_covers_what_is_read_and_nothing_that_is_only_declared() -> None:
    """More features, declared elsewhere or in another order, change neither the digest nor the hash."""
    names = ("both.seen", "film.views", "user.watched")
    longer = fb.Entity("film", Card, fresh=fb.count(Rate, "1d"), views=fb.count(Watch, "7d"))
    wider = fb.Entity("user", Viewer, rated=fb.count(Rate, "7d"), watched=fb.count(Watch, "7d"))
    more = fb.Features("more", keys=(wider, longer), rated=fb.count(Rate, "1d"))
    other = fb.Recommend(wider, longer, positive=LIKED, features=(more, both))
    frames = make_frames(
        [("watch", 1, "up", 3, DAY, DAY), ("rate", 1, "up", 4, DAY, DAY), ("watch", 2, "heat", 3, 5, 5)]
    )
    reads = []
    for task in (TASK, other):
        columns = Columns(task, names)
        offline = OfflineFeatures(task.feature_groups, frames)
        (reading,) = offline.read([columns.keys_for("1", ["up", "heat"])], [2 * DAY])
        reads.append(columns.feature_read(reading, [1, 0], "28"))
    assert reads[0] == reads[1]
    assert reads[0].vectors["film"]
    redefined = fb.Entity("film", Card, views=fb.count(Watch, "30d"))
    assert Columns(fb.Recommend(wider, redefined, positive=LIKED, features=(both,)), names).hash != reads[0].feature_set


def test_columns_are_in_order_of_name_with_missing_as_nan() -> None:
    columns = Columns(TASK, ("both.seen", "film.views", "user.watched"))
    (reading,) = Fake().read([columns.keys_for("1", ["i5", "i6"])], [0])
    found = columns.matrix(reading, ["1", "1"], ["i5", "i6"])
    np.testing.assert_array_equal(found, [[np.nan, 5.0, 7.0], [np.nan, 6.0, 7.0]])


def test_offline_reads_see_what_was_known() -> None:
    frames = make_frames(
        [
            ("watch", 1, "up", 3, DAY, DAY),
            ("watch", 2, "up", 3, 2 * DAY, 9 * DAY),  # known late
            ("rate", 1, "up", 4, DAY, DAY),
            ("viewer", 1, "f", DAY, DAY),
        ]
    )
    columns = Columns(TASK, ("both.seen", "film.score", "film.views", "user.gender", "user.watched"))
    offline = OfflineFeatures(TASK.feature_groups, frames)
    known, later = (offline.matrix(columns, ["1", "2"], ["up", "up"], at) for at in (3 * DAY, 9 * DAY))
    gender = float(bits_of("f")[1] & 1023)
    np.testing.assert_array_equal(known, [[1, 4, 1, gender, 1], [0, 4, 1, np.nan, 0]])
    np.testing.assert_array_equal(later[:, [0, 4]], [[1, 0], [1, 1]])


SET = fb.FeatureSet(
    user,
    film,
    both,
    hour=fb.computed(lambda at: at // 3_600_000_000 % 24, "at", kind=int),
    again=fb.computed(lambda seen: seen is not None and seen > 0, "both.seen", kind=bool),
    share=fb.computed(lambda views, hour: None if not views else hour / views, "film.views", "hour"),
    whose=fb.computed(lambda gender: gender, "user.gender", kind=str),
    taste=fb.hashed("user.gender", "film", size=64),
)


def test_derived_values_are_columns_beside_the_stored_ones() -> None:
    task = TASK.with_features(SET)
    ranker = bind_features(task, Stages((Popular(),), features=SET))
    assert ranker.features == SET.names
    assert ranker.feature_names == tuple(sorted(SET.names))
    frames = make_frames(
        [
            ("watch", 1, "up", 3, DAY, DAY),
            ("watch", 2, "up", 3, DAY + 1, DAY + 1),
            ("viewer", 1, "f", DAY, DAY),
        ]
    )
    offline = OfflineFeatures(task.feature_groups, frames)
    at = 2 * DAY + 7 * 3_600_000_000
    chosen = Columns(task, ("again", "hour", "share", "taste", "whose"))
    found = offline.matrix(chosen, ["1", "1", "3"], ["up", "heat", "up"], at)
    gender = float(bits_of("f")[1] & 1023)
    cross = [
        SET.derive(dict.fromkeys(SET.names) | {"at": at, "user": "1", "film": item, "user.gender": "f"})["taste"]
        for item in ("up", "heat")
    ]
    np.testing.assert_array_equal(
        found,
        [
            [1, 7, 3.5, cross[0], gender],
            [0, 7, np.nan, cross[1], gender],
            [0, 7, 3.5, np.nan, np.nan],
        ],
    )
    assert {group.name for group in chosen.groups} == {"user", "film", "both"}, "read for what is derived from them"
    alone = Columns(task, ("hour",))
    assert alone.keys_for("1", ["up"]) == {}
    np.testing.assert_array_equal(offline.matrix(alone, ["1"], ["up"], at), [[7.0]])


def test_one_row_of_a_user_derives_what_many_do() -> None:
    task = TASK.with_features(
        fb.FeatureSet(user, film, busy=fb.computed(lambda n, v: n + v, "user.watched", "film.views"))
    )
    columns = Columns(task, ("busy",))
    (reading,) = Fake().read([columns.keys_for("1", ["i5", "i6", "i9"])], [0])
    assert len(reading.groups["user"].keys) == 1
    np.testing.assert_array_equal(columns.matrix(reading, ["1"] * 3, ["i5", "i6", "i9"]), [[12.0], [13.0], [16.0]])


def test_an_application_takes_the_features_of_its_rankers_sets() -> None:
    def app(features: object, task: fb.Recommend = TASK) -> fb.App:
        ranker = fb.Stages((fb.Popular(),), features=features)  # type: ignore[arg-type]
        return fb.App("films", events=[Watch, Rate, Joined], task=task, candidates={"ranker": ranker})

    bare = fb.Recommend(user, film, positive=LIKED, k=5, cold_start_slots=0)
    whole = app(SET, bare)
    assert [group.name for group in whole.task.feature_groups] == ["user", "film", "both"]
    assert whole.task.feature_groups == TASK.feature_groups
    ranker = whole.candidates["ranker"]
    assert isinstance(ranker, Stages)
    assert ranker.hashes == {name: SET.hashes[name] for name in SET.names}
    named = app(("hour", "film", "user.watched"), fb.Recommend(user, film, positive=LIKED, k=5, features=SET))
    assert isinstance(named.candidates["ranker"], Stages)
    assert named.candidates["ranker"].feature_names == ("film.score", "film.views", "hour", "user.watched")
    assert app(SET.names, whole.task).candidates["ranker"] == ranker, "a set or its names, once they are declared"
    with pytest.raises(BadDeclaration, match=r"among .*hour, again"):
        app(("hours",), whole.task)
    with pytest.raises(BadDeclaration, match="among"):
        app(("hour",), bare)
    for wrong in (["film"], "film", (film,), 3):
        with pytest.raises(BadDeclaration, match=r"an fb\.FeatureSet, or a tuple of names"):
            app(wrong)
    other = fb.Features("both", keys=(film, user), seen=fb.count(Watch, "7d"))
    with pytest.raises(BadDeclaration, match="features of both must be the same"):
        app(fb.FeatureSet(other))
    with pytest.raises(BadDeclaration, match="derived feature hour must be the same"):
        app(fb.FeatureSet(film, hour=fb.computed(lambda at: at, "at", kind=int)), whole.task)
    with pytest.raises(BadDeclaration, match="name of a derived feature"):
        fb.FeatureSet(film, film=fb.computed(lambda at: at, "at"))


def test_a_derived_value_changes_its_hash_with_what_it_is_made_from() -> None:
    longer = fb.Features("both", keys=(film, user), seen=fb.count(Watch, "30d"))
    seen = fb.computed(lambda seen: seen, "both.seen")
    one, other = fb.FeatureSet(both, a=seen, b=fb.computed(lambda a: a, "a")), fb.FeatureSet(longer, a=seen)
    assert one.hashes["a"] != other.hashes["a"]
    assert one.derived["a"].hash == other.derived["a"].hash
    assert one.needed(["b"]) == ["both.seen", "a", "b"]


def test_what_is_refused() -> None:
    with pytest.raises(Refused, match="store to read them from"):
        make_pipeline(None)
    with pytest.raises(BadDeclaration, match=r"among .*film\.views"):
        bind_features(TASK, Stages(features=("film.vews",)))
    with pytest.raises(BadDeclaration, match="of different names"):
        fb.Recommend(USER, FILM, positive=LIKED, features=(both, both))
    other = fb.Features("minutes", keys=("minute",), n=fb.count(Watch, "7d"))
    task = fb.Recommend(user, film, positive=LIKED, features=(other,))
    with pytest.raises(BadDeclaration, match="user and film"):
        bind_features(task, Stages(features=("minutes",)))
