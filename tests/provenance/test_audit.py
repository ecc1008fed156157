"""The skew audit: silent on a right system, loud on one wrong bit; replays of answers that used features."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from flyball.core import Refused
from flyball.outcomes import prediction_record
from flyball.provenance import audit, replay, why
from flyball.releases import promote
from flyball.testing.requests import loader_of

from .conftest import APP, DAY_US, DAYS, FEATURES, START_US, Theatre, with_features


def test_answers_are_stamped_and_the_audit_is_silent(theatre: Theatre) -> None:
    theatre.answer(*range(1, 41))
    logged = theatre.logged()
    reads = [one.reads[0] for one in logged]
    assert {read.feature_set for read in reads} == {reads[0].feature_set} != {""}
    assert all(read.offsets == theatre.runtime.feature_state.offsets() for read in reads)
    assert len({read.digest for read in reads}) == 40
    sampled = [read for read in reads if read.vectors]
    assert 0 < len(sampled) < 40
    found = audit(theatre.runtime, START_US)
    assert (found.predictions, found.audited, found.sampled, found.wrong) == (40, 40, len(sampled), 0), found.text()
    assert found.exact
    assert found.fresh
    assert {one.name for one in found.features} == set(theatre.runtime.app.task.feature_hashes)
    assert all(one.values > 0 and one.looked >= 40 and not one.stale for one in found.features)


def test_an_audit_of_nothing_is_no_pass(theatre: Theatre) -> None:
    found = audit(theatre.runtime, START_US)
    assert (found.audited, found.exact, found.passed) == (0, True, False)
    assert found.text().startswith("nothing was audited: no answer with features since ")
    theatre.answer(1)
    assert audit(theatre.runtime, START_US).passed


def test_late_and_unapplied_events_change_nothing_but_freshness(theatre: Theatre) -> None:
    now_us = theatre.clock.now_us()
    for user in range(1, 41):
        theatre.put("watch", user=user, film="f1", minute=9, at_us=now_us - 7_000_000)
    theatre.answer(*range(1, 41))  # the worker has not applied these events
    late = {"user": 1, "film": "f3", "minute": 9}  # nor was this one known
    theatre.runtime.log.append([theatre.runtime.schema.check("watch", late, now_us - 3 * DAY_US, now_us + 1)])
    theatre.follow()
    found = audit(theatre.runtime, START_US)
    assert found.exact, found.text()
    watched = next(one for one in found.features if one.name == "user.watched")
    assert (watched.looked, watched.stale, watched.late) == (40, 40, 40)
    assert watched.lag_us == {"p50": 7_000_000, "p90": 7_000_000, "p99": 7_000_000, "max": 7_000_000}
    assert not found.fresh
    assert audit(theatre.runtime, START_US, target_us=8_000_000).fresh
    assert next(one for one in found.features if one.name == "user.age").stale == 0


def test_a_wrong_online_state_is_found_and_named(theatre: Theatre) -> None:
    store = theatre.runtime.feature_state
    states = dict(store.scan(b"f/user."))
    user = next(str(one) for one in range(1, 61) if _is_sampled(str(one)))
    other = next(str(one) for one in range(1, 61) if not _is_sampled(str(one)))
    of = {key.rsplit(b"/", 1)[1].decode(): key for key in states}
    donor = next(str(one) for one in range(1, 61) if str(one) not in (user, other))
    wrong = {of[user]: states[of[donor]], of[other]: states[of[donor]]}
    store.write(wrong, store.offsets())
    theatre.answer(int(user), int(other), int(donor))
    found = audit(theatre.runtime, START_US)
    assert found.wrong == 2
    assert not found.exact
    named = next(one for one in found.differences if one.feature == "user.age")
    assert named.key == user
    assert named.logged != named.recomputed
    assert any(not one.feature and other in one.key for one in found.differences)
    assert "LOGIC SKEW in 2 answers" in found.text()
    assert next(one for one in found.features if one.name == "user.age").wrong == 1


def test_a_wrong_record_is_found(theatre: Theatre) -> None:
    (answer,) = theatre.answer(next(one for one in range(1, 61) if _is_sampled(str(one))))
    (read,) = answer.reads
    bits, tags = read.vectors["film"]
    changed = np.frombuffer(bits, np.int64).copy()
    changed[0] ^= 1
    forged = msgspec.structs.replace(read, vectors={**read.vectors, "film": (changed.tobytes(), tags)})
    bad = msgspec.structs.replace(answer, reads=(forged,))
    theatre.runtime.predictions.append([prediction_record(bad)])
    found = audit(theatre.runtime, START_US)
    assert (found.audited, found.wrong, len(found.differences)) == (2, 1, 1)
    assert found.differences[0].feature == "film.half", "the first by name"
    assert found.differences[0].key == answer.items[0]


def test_replays_are_identical_and_tell_reasons(theatre: Theatre) -> None:
    batch, alone = theatre.answer(1, 2, 3, 999), theatre.answer(4)
    for film in (1, 2, 3, 4):
        theatre.put("watch", user=film, film=f"f{film}", minute=50)
    theatre.put("viewer", user=1, age=70)
    theatre.follow()
    for one in (*batch, *alone):
        assert replay(theatre.runtime, one.id).identical, replay(theatre.runtime, one.id).text()
        message = why(theatre.runtime, one.id)
        assert message.prediction == one
        if one.reads:
            reasons = [each.name for item in message.items for each in item.because]
            columns = ("film.", "user.", "user_film.", "ImplicitALS.", "ItemKNN.")
            assert any(each.startswith(columns) for each in reasons)
            assert "because of" in message.text()


def test_a_batch_gives_the_bits_of_single_answers(theatre: Theatre) -> None:
    serving = theatre.serving()
    batch = theatre.answer(*range(1, 21), serving=serving)
    for one in batch:
        (alone,) = theatre.answer(int(one.key), serving=serving)
        assert (alone.items, alone.scores) == (one.items, one.scores)
        assert [read.digest for read in alone.reads] == [read.digest for read in one.reads]


def test_a_version_of_other_definitions_is_refused(theatre: Theatre, tmp_path: Path) -> None:
    version = theatre.champion("ranker")
    theatre.answer(1)
    changed = Theatre(tmp_path, FEATURES.replace('views=fb.count(Watch, "7d")', 'views=fb.count(Watch, "1d")'), "other")
    changed.clock.move_to_us(START_US + DAYS * DAY_US)
    runtime = changed.runtime
    with pytest.raises(Refused, match="feature film.views must be as .* learned it"):
        loader_of(runtime).load(version, warm_at_us=None)
    theatre.champion("popular")
    with pytest.raises(Refused, match=f"feature film.views must be as {version.id} learned it"):
        promote(
            runtime.registry,
            version.id,
            "test",
            "test",
            1,
            artifacts=runtime.artifacts,
            about=runtime.app.task.about,
        )
    now_us = changed.clock.now_us()
    changed.follow()  # the worker rebuilds what is declared otherwise
    (reading,) = runtime.features.read([{"film": [("f1",)]}], [now_us])
    assert reading.offsets == runtime.log.ends()
    found = audit(runtime, START_US)
    assert found.audited == 0
    assert found.skipped == {"definitions of features have changed since": 1}


def _is_sampled(user: str) -> bool:
    from zlib import crc32

    return crc32(user.encode()) % 16 == 0


SET = (
    FEATURES
    + """
reading = fb.FeatureSet(
    user, film, user_film,
    hour=fb.computed(lambda at: at // 3_600_000_000 % 24, "at", kind=int),
    crowd=fb.computed(lambda viewers, views: None if not views else viewers / views, "film.viewers", "film.views"),
    taste=fb.hashed("user", "film.half", size=64),
)
"""
)


class Reader(Theatre):
    """The theatre whose ranker reads a set of features, with values derived at the question."""

    def __init__(self, folder: Path, features: str = SET, name: str = "reader") -> None:
        super().__init__(folder, features, name)

    @staticmethod
    def declared(features: str) -> str:
        text = with_features(APP, features).replace(" features=(user_film,),", "")
        return text.replace('features=("user", "film", "user_film")', "features=reading")


def test_a_ranker_reads_a_set_of_features(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.fill()
    reader.learn()
    version = reader.champion("ranker")
    assert {"hour", "crowd", "taste", "film.half"} < version.params["hashes"].keys()
    batch = reader.answer(*range(1, 25))
    reader.put("watch", user=1, film="f1", minute=50)
    reader.follow()
    found = audit(reader.runtime, START_US)
    assert (found.exact, found.audited) == (True, 24), found.text()
    for one in batch[:4]:
        assert replay(reader.runtime, one.id).identical, replay(reader.runtime, one.id).text()
    reasons = [each.name for item in why(reader.runtime, batch[0].id, reasons=50).items for each in item.because]
    assert any(each.startswith(("hour = ", "crowd = ", "taste = ")) for each in reasons)
    reader.champion("popular")
    changed = Reader(tmp_path, SET.replace("% 24", "% 12"), "noon")
    with pytest.raises(
        Refused, match=rf"as {version.id} learned it, got another definition \(function .*24, now .*12\)"
    ):
        promote(
            changed.runtime.registry,
            version.id,
            "test",
            "test",
            START_US,
            artifacts=changed.runtime.artifacts,
            about=changed.runtime.app.task.about,
        )
