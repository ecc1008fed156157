"""Replays of answers: identical whatever happened since, honest where they cannot be."""

import shutil

import msgspec
import pytest

from flyball.core import NotFound
from flyball.outcomes import Prediction, prediction_record
from flyball.provenance import Replay, differences_of, replay, why
from flyball.registry import REMOVED, AuditEntry, add_entry
from flyball.tasks import FeatureRead

from .conftest import START_US, Cinema


@pytest.mark.parametrize("candidate", ["item_knn", "ease", "ials", "popular"])
def test_identical_after_more_events_and_another_champion(learned: Cinema, candidate: str) -> None:
    learned.champion(candidate)
    batch = learned.answer(1, 2, 3, 999, 17)
    alone = learned.answer(4)
    for user in (1, 2, 3, 4):
        for film in (1, 2, 3, 4):
            learned.put("watch", user=user, film=f"f{film}", minute=50)
    learned.put("card", film="new", half="0")
    learned.put("viewer", user=1, age=70)
    learned.follow()
    learned.champion("popular" if candidate != "popular" else "ease")
    for answer in (*batch, *alone):
        found = replay(learned.runtime, answer.id)
        assert found.identical, found.text()
        assert "identical, bit for bit" in found.text()


def test_filters_and_exclusions_are_replayed(learned: Cinema) -> None:
    learned.champion("item_knn")
    (answer,) = learned.answer(ask=learned.request(1, k=5, include={"half": ["0"]}, without=["f0", "f2"]))
    assert all(int(item[1:]) % 2 == 0 for item in answer.items)
    assert replay(learned.runtime, answer.id).identical


def test_lists_of_the_randomized_slice(learned: Cinema) -> None:
    """Whether a request is in the slice, and what is drawn for it, follow from its id."""
    app = learned.runtime.app
    declared, app.task = app.task, msgspec.structs.replace(app.task, randomized_share=0.5)
    try:
        learned.champion("item_knn")
        answers = learned.answer(*range(1, 21))
        drawn = [answer for answer in answers if set(answer.sources) == {"randomized"}]
        assert 3 < len(drawn) < 17
        assert all(set(answer.propensities) == set(range(len(answer.items))) for answer in drawn)
        for answer in answers:
            found = replay(learned.runtime, answer.id)
            assert found.identical, found.text()
    finally:
        app.task = declared


def test_a_user_of_whom_nothing_is_known(learned: Cinema) -> None:
    learned.champion("item_knn")
    (answer,) = learned.answer(123_456)
    assert set(answer.sources) <= {"popular", "cold_start", "group"}
    assert replay(learned.runtime, answer.id).identical


def test_answers_from_lists_in_memory(learned: Cinema) -> None:
    learned.champion("item_knn")
    serving = learned.serving()
    (precomputed,) = learned.answer(1, serving=msgspec.structs.replace(serving, pipelines={}))
    assert precomputed.level == "precomputed"
    found = replay(learned.runtime, precomputed.id)
    assert found.identical, found.text()


def test_an_answer_from_an_older_catalog(learned: Cinema) -> None:
    learned.champion("item_knn")
    serving = learned.serving()
    for number in range(20):
        learned.put("card", film=f"new{number}", half="0")
    learned.follow()
    (older,), (newer,) = learned.answer(1, serving=serving), learned.answer(1)
    assert any(source == "cold_start" for source in newer.sources)
    assert not any(source == "cold_start" for source in older.sources)
    for answer in (older, newer):
        assert replay(learned.runtime, answer.id).identical
    memory = msgspec.structs.replace(serving, pipelines={}, catalog_offsets=older.catalog)
    (bare,) = learned.answer(1, serving=memory)
    assert (bare.level, replay(learned.runtime, bare.id).identical) == ("precomputed", True)


def test_popular_lists_of_before_the_first_version(cinema: Cinema) -> None:
    (answer,) = cinema.answer(1)
    assert (answer.level, answer.version) == ("popular", "")
    for user in range(100, 120):
        cinema.put("rate", user=user, film="f29", stars=5)
    cinema.follow()
    found = replay(cinema.runtime, answer.id)
    assert found.identical, found.text()


def test_a_list_in_memory_older_than_the_state(cinema: Cinema) -> None:
    older = cinema.serving()
    for user in range(100, 200):
        cinema.put("rate", user=user, film="f29", stars=5)
    cinema.follow()
    (answer,) = cinema.answer(1, serving=older)
    assert replay(cinema.runtime, answer.id).identical
    unstamped = msgspec.structs.replace(older.fallback, offsets=())  # type: ignore[arg-type]
    (answer,) = cinema.answer(1, serving=msgspec.structs.replace(older, fallback=unstamped))
    found = replay(cinema.runtime, answer.id)
    assert not found.identical
    assert found.differences
    assert "not stamped" in found.text()


def test_an_answer_without_offsets_cannot_be_replayed(cinema: Cinema) -> None:
    (answer,) = cinema.answer(1)
    other = answer.id[:-1] + ("0" if answer.id[-1] != "0" else "1")
    bare = msgspec.structs.replace(answer, id=other, offsets=(), catalog=())
    cinema.runtime.predictions.append([prediction_record(bare)])
    found = replay(cinema.runtime, bare.id)
    assert (found.identical, found.replayable) == (False, False)
    assert "cannot be replayed" in found.text()


def test_a_tampered_artifact_is_reported(learned: Cinema) -> None:
    version = learned.champion("item_knn")
    (answer,) = learned.answer(1)
    folder = learned.runtime.artifacts / version.artifact
    array = next(path for path in sorted(folder.iterdir()) if path.suffix == ".npy" and path.stat().st_size > 200)
    data = bytearray(array.read_bytes())
    data[-1] ^= 1
    array.chmod(0o644)
    array.write_bytes(data)
    found = replay(learned.runtime, answer.id)
    assert (found.identical, found.replayable) == (False, False)
    assert "sha256" in found.text()


def test_an_answer_that_is_another_one_now_is_said_with_reasons_and_what_to_run() -> None:
    again = Replay("x", "v1", "champion", False, True, ["rank 1: then a, now b"], [])
    assert "flyball features audit" in again.text().splitlines()[-1]
    assert "another kind of processor" in again.text()


def test_an_answer_that_nobody_gave(cinema: Cinema) -> None:
    with pytest.raises(NotFound, match="no prediction"):
        replay(cinema.runtime, cinema.answer(1)[0].id[:-3] + "000")


def test_a_changed_record_is_found_out(learned: Cinema) -> None:
    learned.champion("ease")
    (answer,) = learned.answer(1)
    score = answer.scores[0] * (1 + 2**-50)
    forged = msgspec.structs.replace(
        answer, id=answer.id[:-1] + ("0" if answer.id[-1] != "0" else "1"), scores=[score, *answer.scores[1:]]
    )
    learned.runtime.predictions.append([prediction_record(forged)])
    found = replay(learned.runtime, forged.id)
    assert not found.identical
    assert found.differences[0].startswith("rank 1: ")


def test_differences_see_every_bit() -> None:
    one = Prediction(
        id="0" * 26,
        at_us=0,
        key="1",
        request_type="",
        request={},
        items=["a"],
        scores=[0.0],
        sources=["model"],
        version="v1",
        arm="",
        propensity=1.0,
        level="champion",
        offsets=(0,),
    )
    assert differences_of(one, one) == []
    assert len(differences_of(one, msgspec.structs.replace(one, scores=[-0.0]))) == 1
    assert len(differences_of(one, msgspec.structs.replace(one, sources=["group"]))) == 1
    assert len(differences_of(one, msgspec.structs.replace(one, items=[], scores=[], sources=[]))) == 1
    assert len(differences_of(one, msgspec.structs.replace(one, propensities={0: 0.5}))) == 1
    assert len(differences_of(one, msgspec.structs.replace(one, parts=[(0.25,)]))) == 1
    assert len(differences_of(one, msgspec.structs.replace(one, values=[0.0]))) == 1
    assert len(differences_of(one, msgspec.structs.replace(one, decision="hold"))) == 1
    read = FeatureRead("set", 0, (1,), 7)
    assert len(differences_of(one, msgspec.structs.replace(one, reads=(read,)))) == 1


def test_an_answer_whose_version_has_been_removed_says_when_and_why(learned: Cinema) -> None:
    version = learned.champion("item_knn")
    (answer,) = learned.answer(1)
    shutil.rmtree(learned.runtime.artifacts / version.artifact)
    found = replay(learned.runtime, answer.id)
    assert (found.identical, found.replayable) == (False, False)
    assert f"the artifact of {version.id} must still be in" in found.text()
    reason = "it has been out of service for longer than 90d"
    entry = AuditEntry(at_us=START_US, by="learn", action=REMOVED, subject=version.id, reason=reason)
    add_entry(learned.runtime.registry, entry)
    message = f"it was removed at 2023-11-14T22:13:20Z, since {reason} (keep_answers)"
    assert message in replay(learned.runtime, answer.id).text()
    assert message in why(learned.runtime, answer.id).text()
