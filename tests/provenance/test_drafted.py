"""A drafted list is replayed bit for bit, explained item by item from the version that placed it."""

from functools import partial
from typing import Any

import msgspec

from flyball.outcomes import prediction_record
from flyball.policy import interleave
from flyball.provenance import answer_by, replay, why
from flyball.releases import Actor, current, start_release
from flyball.serving import Serving
from flyball.testing.requests import loader_of, online_of

from .conftest import Cinema


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
