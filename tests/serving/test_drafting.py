"""Lists drafted from two versions: stamped, of exact propensity, drawn by the id alone; without a version no draft."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from tests.serving.versions import FALLBACK, Lists, Notes, asks, failing, listing, reading

from flyball.outcomes import Exposure, parts_of, prediction_of, prediction_record
from flyball.releases import INTERLEAVED, Release, ReleaseArm, ReleaseState
from flyball.serving import Engine, Serving
from flyball.serving.answering.drafting import draft_of
from flyball.statistics import position_probabilities
from flyball.tasks import ListLimit, Request, Response

RANKINGS = [["a", "b", "c"], ["b", "d", "a"]]


def drafts(**fields: Any) -> ReleaseState:
    arms = (ReleaseArm("control"), ReleaseArm("candidate", "v2"))
    release = Release(id="rel2", kind="interleave", state="interleave", arms=arms, salt="rel2", **fields)
    return ReleaseState(champion="v1", releases=(release,), serial=3)


def engine(notes: Notes, state: ReleaseState | None = None, **pipelines: Lists) -> Engine:
    return Engine(reading, notes, Serving(state or drafts(), dict(pipelines), {}, FALLBACK, "v1"))


def test_a_draft_says_what_it_was_made_of() -> None:
    notes = Notes()
    (got,) = engine(notes, v1=Lists(["a", "b", "c"]), v2=Lists(["c", "d", "a"])).answer(asks())
    assert (got.version, got.arm, got.level, got.propensity) == ("v1+v2", INTERLEAVED, "chosen", 1.0)
    assert got.exposures == (Exposure("rel2", INTERLEAVED, 1.0),)
    assert [(team.arm, team.version, team.items) for team in got.teams] == [
        ("control", "v1", ["a", "b"]),
        ("candidate", "v2", ["c", "d"]),
    ]
    assert sorted(got.items) == ["a", "c"]
    assert got.propensities == {0: 0.5, 1: 0.5}
    for item, team in zip(got.items, got.drafted, strict=True):
        assert item in got.teams[team].items
    assert (got.assigned, got.failed, notes) == ("", "", [])
    assert prediction_of(prediction_record(got)) == got


def test_the_parts_of_a_draft_are_its_versions_own() -> None:
    (got,) = engine(Notes(), v1=Lists(["a", "b", "c"]), v2=Lists(["c", "d", "a"])).answer(asks())
    parts = parts_of(got)
    assert [part.version for part, _ in parts] == ["v1", "v2"]
    assert sorted(position for _, places in parts for position in places) == [0, 1]
    for part, places in parts:
        assert part.items == [got.items[position] for position in places]
        assert (part.teams, part.offsets) == ((), (3, 4))
    plain = msgspec.structs.replace(got, teams=(), drafted=[])
    assert parts_of(plain) == [(plain, [0, 1])]


def test_items_stand_where_they_do_as_often_as_their_propensity_says() -> None:
    expected = position_probabilities(RANKINGS, 3)
    responses = [listing(*ranking) for ranking in RANKINGS]
    seen: list[Counter[str]] = [Counter() for _ in range(3)]
    for ask in asks(3_000):
        drafted, _ = draft_of(ask, responses)
        for position, item in enumerate(drafted.items):
            assert item.propensity == expected[position][item.item]
            seen[position][item.item] += 1
    for position, counts in enumerate(seen):
        for item, count in counts.items():
            assert count / 3_000 == pytest.approx(expected[position][item], abs=0.04)


def test_the_same_id_draws_the_same_and_a_draw_within_a_list_counts() -> None:
    (ask,) = asks()
    drawn = Response(tuple(msgspec.structs.replace(item, propensity=0.1) for item in listing("x", "y").items))
    one, two = draft_of(ask, [listing("a", "b"), drawn]), draft_of(ask, [listing("a", "b"), drawn])
    assert one == two
    assert {item.item: item.propensity for item in one[0].items}["x"] == pytest.approx(0.05)
    assert draft_of(ask, [Response(), Response()]) == (Response(), ())


class Limited(Lists):
    """A version of lists with at most `at_most` items of a value, the item's first letter; items of `c` are exempt."""

    at_most = 1

    def limit_of(self, request: Request, response: Response) -> ListLimit | None:
        values = tuple(() if item.item[0] == "c" else (item.item[0],) for item in response.items)
        return ListLimit("letter", self.at_most, values)


def test_a_rule_of_all_versions_holds_in_the_drafted_list() -> None:
    """Each list obeys it by itself; a draft without the rule would show a1 beside a2 for some ids."""
    one, two = Limited(["a1", "b1", "c1", "d1"]), Limited(["a2", "b1", "c2", "c3"])
    drawn = [msgspec.structs.replace(ask, event=msgspec.structs.replace(ask.event, k=4)) for ask in asks(60)]
    answers = engine(Notes(), v1=one, v2=two).answer(drawn)
    for got in answers:
        letters = [item[0] for item in got.items if item[0] != "c"]
        assert len(got.items) == 4
        assert len(letters) == len(set(letters))
        assert [(team.at_most, team.values[0]) for team in got.teams] == [(1, ("a",))] * 2
        assert prediction_of(prediction_record(got)) == got
    assert {got.items[0] for got in answers} == {"a1", "a2"}
    assert {got.propensities[0] for got in answers} == {0.5}
    plain = engine(Notes(), v1=Lists(one.items), v2=Lists(two.items)).answer(drawn)
    assert any({"a1", "a2"} <= set(got.items) for got in plain)
    assert {(team.at_most, *team.values) for got in plain for team in got.teams} == {(0,)}


def test_rules_that_differ_are_what_is_compared() -> None:
    wide = Limited(["a2", "a3"])
    wide.at_most = 2
    (got,) = engine(Notes(), v1=Limited(["a1", "b1"]), v2=wide).answer(asks())
    assert {item[0] for item in got.items} == {"a"}
    assert [team.at_most for team in got.teams] == [0, 0]
    (half,) = engine(Notes(), v1=Limited(["a1", "b1"]), v2=Lists(["a2"])).answer(asks())
    assert [team.at_most for team in half.teams] == [0, 0]


@pytest.mark.parametrize(
    ("pipelines", "failed"),
    [
        ({"v1": Lists(["a", "b"]), "v2": Lists([], failing)}, "score"),
        ({"v1": Lists(["a", "b"])}, "load"),
        ({"v1": Lists(["a", "b"]), "v2": Lists([], lambda requests: [Response() for _ in requests])}, "wrong"),
    ],
)
def test_without_one_of_its_versions_the_champion_answers_and_it_counts(pipelines: Any, failed: str) -> None:
    (got,) = engine(Notes(), **pipelines).answer(asks())
    assert (got.version, got.level, got.items, got.teams) == ("v1", "champion", ["a", "b"], ())
    assert (got.assigned, got.failed, got.arm) == ("v1+v2", failed, INTERLEAVED)
    assert got.exposures == (Exposure("rel2", INTERLEAVED, 1.0),)


def test_a_late_answer_counts_for_the_draft() -> None:
    (ask,) = asks()
    got = engine(Notes(), v1=Lists(["a"]), v2=Lists(["b"])).from_fallback(ask, "late")
    assert (got.assigned, got.failed, got.exposures) == ("v1+v2", "late", (Exposure("rel2", INTERLEAVED, 1.0),))


def test_who_takes_no_part_and_who_asks_for_an_arm_gets_one_version() -> None:
    versions = {"v1": Lists(["a", "b"]), "v2": Lists(["c", "d"])}
    made = engine(Notes(), drafts(targets={"user": ("1",)}), **versions)
    one, other = made.answer(asks(2))
    assert (one.version, other.version) == ("v1+v2", "v1")
    forced = msgspec.structs.replace(asks()[0], arm="candidate")
    (got,) = made.answer([forced])
    assert (got.version, got.items, got.exposures) == ("v2", ["c", "d"], ())
    half = engine(Notes(), drafts(end=5_000), **versions).answer(asks(400))
    drafted = [answer for answer in half if answer.teams]
    assert 130 < len(drafted) < 270
    assert {answer.propensity for answer in half} == {0.5}
