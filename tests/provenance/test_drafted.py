"""A drafted list is replayed bit for bit, explained item by item from the version that placed it."""

from functools import partial
from typing import Any

import msgspec

from flyball.outcomes import prediction_record, predictions_frame
from flyball.policy import interleave
from flyball.provenance import answer_by, audit, replay, why
from flyball.registry import add_arrangement, add_versions
from flyball.releases import Actor, Release, ReleaseArm, current, start_release
from flyball.serving import Serving
from flyball.testing.requests import loader_of, online_of

from .conftest import START_US, Cinema, Theatre


def drafting(cinema: Cinema, control: str, candidate: str) -> Serving:
    """What serves while the lists of two versions are interleaved."""
    runtime, now_us = cinema.runtime, cinema.clock.now_us()
    cinema.champion(control)
    version = next(one for one in runtime.registry.versions() if one.candidate == candidate)
    start_release(runtime.registry, interleave(), [version.id], Actor("ann", now_us, "to see", runtime.artifacts))
    release, online = current(runtime.registry), online_of(runtime)
    versions = [runtime.registry.version(name) for name in (release.champion or "", version.id)]
    pipelines = {one.id: loader_of(runtime).load(one).pipeline for one in versions}
    return Serving(release, pipelines, catalog_offsets=runtime.state.offsets(), fallback=online.fallback(None))


def test_it_is_replayed_whatever_happens_afterwards(learned: Cinema) -> None:
    serving = drafting(learned, "popular", "item_knn")
    answers = learned.answer(1, 2, 3, 4, serving=serving)
    assert all(answer.teams and len(answer.items) == 8 for answer in answers)
    for user in (1, 2, 3):
        learned.put("watch", user=user, film="f4", minute=50)
    learned.follow()
    for answer in answers:
        found = replay(learned.runtime, answer.id)
        assert found.identical, found.text()


def test_a_draft_by_a_rule_is_replayed_with_it(learned: Cinema) -> None:
    """At most four of a half among eight: each list obeys it, and so does the draft, then and in the replay."""
    runtime, serving = learned.runtime, drafting(learned, "popular", "item_knn")
    by = {"max_per": ["half", 4]}
    revision = add_arrangement(runtime.registry, runtime.app.name, by, "ann", "to see", START_US).revision
    control, candidate = serving.pipelines
    loaded = {
        (name, revision): loader_of(runtime).load(runtime.registry.version(name), by, revision).pipeline
        for name in (control, candidate)
    }
    arms = (ReleaseArm("control", control, revision), ReleaseArm("candidate", candidate, revision))
    release = msgspec.structs.replace(serving.release.releases[-1], arms=arms)
    state = msgspec.structs.replace(serving.release, releases=(release,))
    ruled = msgspec.structs.replace(serving, release=state, arranged=loaded)
    answers = learned.answer(*range(1, 13), serving=ruled)
    assert all([team.at_most for team in answer.teams] == [4, 4] for answer in answers)
    for answer in answers:
        halves = [int(item[1:]) % 2 for item in answer.items]
        assert (len(halves), sum(halves)) == (8, 4)
        assert replay(runtime, answer.id).identical, replay(runtime, answer.id).text()
    plain = learned.answer(*range(1, 13), serving=serving)
    assert any(sum(int(item[1:]) % 2 for item in answer.items) != 4 for answer in plain)


def test_what_differs_is_reported(learned: Cinema) -> None:
    (answer,) = learned.answer(1, serving=drafting(learned, "popular", "item_knn"))
    other = answer.id[:-1] + ("0" if answer.id[-1] != "0" else "1")
    team = msgspec.structs.replace(answer.teams[1], items=answer.teams[1].items[::-1])
    forged = msgspec.structs.replace(answer, id=other, teams=(answer.teams[0], team))
    learned.runtime.predictions.append([prediction_record(forged)])
    found = replay(learned.runtime, forged.id)
    assert not found.identical
    assert f"list of {team.version} (candidate): then" in found.text()


def test_each_item_is_explained_by_the_version_that_placed_it(learned: Cinema) -> None:
    (answer,) = learned.answer(1, serving=drafting(learned, "popular", "item_knn"))
    explanation = why(learned.runtime, answer.id)
    assert [version.candidate for version in explanation.teams] == ["popular", "item_knn"]
    assert explanation.version is None
    names = [f"{team.version} ({team.arm})" for team in answer.teams]
    assert [item.team for item in explanation.items] == [names[team] for team in answer.drafted]
    explained = [bool(item.because) for item in explanation.items]
    personal = [team == 1 and source == "model" for team, source in zip(answer.drafted, answer.sources, strict=True)]
    assert explained == personal
    assert "drafted from" in explanation.text()
    assert not explanation.notes or all("reasons" in note for note in explanation.notes)


def test_a_version_alone_answers_as_its_list_in_the_draft(learned: Cinema) -> None:
    (answer,) = learned.answer(1, serving=drafting(learned, "popular", "item_knn"))
    for team in answer.teams:
        alone: Any = partial(answer_by, learned.runtime, answer)
        assert alone(team.version).items == team.items


def test_a_frame_names_the_version_of_each_item(learned: Cinema) -> None:
    (answer,) = learned.answer(1, serving=drafting(learned, "popular", "item_knn"))
    (plain,) = learned.answer(2)
    rows = {row["id"]: row["drafted"] for row in predictions_frame(learned.runtime.predictions).iter_rows(named=True)}
    assert rows[answer.id] == [answer.teams[team].version for team in answer.drafted]
    assert rows[plain.id] == []


def test_the_features_that_each_version_read_are_audited(theatre: Theatre) -> None:
    """Two versions of one recipe: each reads the features of its whole list, of which the draft shows some."""
    runtime, serving = theatre.runtime, theatre.serving()
    ranker = runtime.registry.version(serving.release.champion or "")
    (twin,) = add_versions(runtime.registry, [msgspec.structs.replace(ranker, id="", state="candidate")])
    arms = (ReleaseArm("control"), ReleaseArm("candidate", twin.id))
    release = Release(id="rel9", kind="interleave", state="interleave", arms=arms, salt="rel9")
    both = msgspec.structs.replace(
        serving,
        release=msgspec.structs.replace(serving.release, releases=(release,)),
        pipelines=dict.fromkeys((ranker.id, twin.id), serving.pipelines[ranker.id]),
    )
    answers = theatre.answer(*range(1, 11), serving=both)
    assert {(len(answer.reads), *(team.reads for team in answer.teams)) for answer in answers} == {(2, 1, 1)}
    found = audit(runtime, START_US)
    assert (found.predictions, found.audited, found.wrong, found.skipped) == (10, 20, 0, {}), found.text()
    assert replay(runtime, answers[0].id).identical
    (read, other) = answers[1].reads
    forged = msgspec.structs.replace(answers[1], reads=(read, msgspec.structs.replace(other, digest=other.digest ^ 1)))
    runtime.predictions.append([prediction_record(forged)])
    assert audit(runtime, START_US).wrong == 1
