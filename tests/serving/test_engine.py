"""The engine's steps: routes, the fallback levels, what an answer says of itself."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from tests.serving.versions import ASKED, FALLBACK, NOW_US, Lists, Notes, asks, failing, listing, reading

from flyball import ItemKNN
from flyball.core import BadInput, StoreUnavailable
from flyball.outcomes import find_prediction, request_of_prediction
from flyball.releases import ReleaseState
from flyball.runtime import Runtime
from flyball.serving import Engine, ScoringProgress, Serving, answer_once
from flyball.tasks import (
    FallbackLists,
    Request,
    Response,
    empty_history,
    read_histories,
    request_of,
)
from flyball.testing import faulty
from flyball.testing.faulty import Faulty
from flyball.testing.requests import loader_of, make_request

RELEASE = ReleaseState(champion="v2", previous="v1", serial=2)


def engine(notes: Notes, read: Any = reading, **pipelines: Lists) -> Engine:
    return Engine(read, notes, Serving(RELEASE, dict(pipelines), {}, FALLBACK, "v2"))


def test_the_champion_answers_and_the_answer_says_so() -> None:
    notes = Notes()
    (ask,) = asks()
    (got,) = engine(notes, v1=Lists(["a", "b"]), v2=Lists(["c", "d"])).answer([ask])
    assert (got.items, got.scores, got.sources) == (["c", "d"], [1.0, 1.0], ["model", "model"])
    assert (got.level, got.version, got.arm, got.propensity) == ("champion", "v2", "champion", 1.0)
    assert (got.id, got.key, got.at_us, got.request_type) == (ask.id, "1", NOW_US, "recommendrequest")
    assert got.request == {"user": 1, "k": 2, "include": {}, "exclude": {}, "without": []}
    assert request_of_prediction(got, ASKED) == ask
    assert got.offsets == (3, 4)
    assert notes == []


def test_a_champion_that_raises_gives_way_to_the_previous_one() -> None:
    notes = Notes()
    (got,) = engine(notes, v1=Lists(["a", "b"]), v2=Lists([], failing)).answer(asks())
    assert (got.level, got.version, got.items) == ("previous", "v1", ["a", "b"])
    assert notes == [("score", "v2", "broken")]


@pytest.mark.parametrize(
    ("instead", "kind"),
    [
        (lambda queries: [listing("c", score=float("nan")) for _ in queries], "wrong"),
        (lambda queries: [listing("c", score=float("inf")) for _ in queries], "wrong"),
        (lambda queries: [Response() for _ in queries], "wrong"),
        (lambda queries: [Response(values=(float("nan"),)) for _ in queries], "wrong"),
        (lambda queries: [], "wrong"),
        (failing, "score"),
    ],
)
def test_without_a_good_version_the_list_in_memory_answers(instead: Any, kind: str) -> None:
    notes = Notes()
    (got,) = engine(notes, v2=Lists([], instead)).answer(asks())
    assert (got.level, got.version, got.items) == ("precomputed", "v2", ["p", "q"])
    assert [note[:2] for note in notes] == [(kind, "v2")]


def test_one_bad_ask_of_a_batch_does_not_harm_the_others() -> None:
    def poisoned(queries: Sequence[Request]) -> list[Response]:
        if any(query.key == "2" for query in queries):
            raise RuntimeError("user 2")
        return [listing("c") for _ in queries]

    got = engine(Notes(), v2=Lists([], poisoned)).answer(asks(3))
    assert [one.level for one in got] == ["champion", "precomputed", "champion"]


def test_a_store_that_is_gone_leaves_the_lists_in_memory() -> None:
    def gone(requests: Sequence[Request]) -> Any:
        raise StoreUnavailable("the disk is gone")

    notes = Notes()
    got = engine(notes, gone, v2=Lists(["c"])).answer(asks(2))
    assert [(one.level, one.items, one.offsets) for one in got] == [("precomputed", ["p", "q"], ())] * 2
    assert notes == [("state", "store", "the disk is gone")]


def test_with_nothing_at_all_the_list_is_empty_and_says_so() -> None:
    empty = Engine(reading, Notes())
    (got,) = empty.answer(asks())
    assert (got.level, got.version, got.items, got.arm) == ("empty", "", [], "none")
    assert empty.from_fallback(asks()[0]).level == "empty"


def test_progress_names_the_version_only_while_it_scores() -> None:
    progress, during = ScoringProgress(), list[str]()

    def look(queries: Sequence[Request]) -> list[Response]:
        during.append(progress.version)
        return [listing("c") for _ in queries]

    engine(Notes(), v2=Lists([], look)).answer(asks(), progress)
    assert (during, progress.version) == (["v2"], "")


def test_the_time_the_state_lags_is_on_the_answer() -> None:
    one = engine(Notes(), v2=Lists(["c"]))
    one.stale_us = 2_500_000
    assert one.answer(asks())[0].stale_us == one.from_fallback(asks()[0]).stale_us == 2_500_000


def real(home: Runtime, model: Any = None, note: Any = None) -> Engine:
    version = faulty.release(home, model or ItemKNN(), NOW_US)
    loader = loader_of(home)
    online, pipeline = loader.online(), loader.load(version).pipeline
    release = ReleaseState(champion=version.id, serial=1)
    serving = Serving(release, {version.id: pipeline}, {}, online.fallback(pipeline), version.id)
    return Engine(online.contexts, note or Notes(), serving)


def test_answers_have_the_same_bits_alone_and_in_a_batch(home: Runtime) -> None:
    one, rng = real(home), random.Random(3)
    asked = [make_request(home, user, NOW_US, rng, k=5) for user in range(1, 33)]
    together, alone = one.answer(asked), [one.answer([ask])[0] for ask in asked]
    assert together == alone
    assert one.answer(list(reversed(asked))) == list(reversed(alone))


def test_no_list_shows_what_the_user_has_seen_or_asked_to_leave_out(home: Runtime) -> None:
    one = real(home)
    for number in range(1, 31):
        (history,), _ = read_histories(home.state, home.app.task.signals(home.schema), [str(number)])
        ask = request_of(ASKED, f"{number:026d}", NOW_US, {"user": number, "k": 5, "without": ["film-20"]})
        scored, remembered = one.answer([ask])[0], one.from_fallback(ask)
        for got in (scored, remembered):
            assert "film-20" not in got.items
            assert len(set(got.items)) == len(got.items) == 5
        assert not set(history.seen) & set(scored.items)


def test_lists_in_memory_know_the_group_and_obey_filters(home: Runtime) -> None:
    one = real(home, Faulty())
    fallback = one.serving.fallback
    assert isinstance(fallback, FallbackLists)
    assert set(fallback.groups) == {"", "F", "M"}
    filters = {"include": {"genres": ["odd"]}, "exclude": {"year": ["1981", "1983"]}}
    level, got = fallback.answer(
        request_of(ASKED, "0" * 26, NOW_US, {"user": 1, "k": 5, **filters}), empty_history("F")
    )
    items = [item.item for item in got.items]
    assert level == "precomputed"
    assert len(items) == 5
    assert all(int(item.removeprefix("film-")) % 2 == 1 for item in items)
    assert not {"film-1", "film-3"} & set(items)


def test_an_unknown_user_gets_a_full_list(home: Runtime) -> None:
    (got,) = real(home).answer([request_of(ASKED, "0" * 26, NOW_US, {"user": 999_999, "k": 5})])
    assert (got.level, len(got.items)) == ("champion", 5)


def test_one_answer_without_a_running_service_is_recorded_like_any_other(home: Runtime) -> None:
    faulty.release(home, ItemKNN(), NOW_US)
    got = answer_once(home, "7", 3)
    assert (got.level, got.version, got.worker, len(got.items)) == ("champion", "v1", "once", 3)
    assert find_prediction(home.predictions, got.id) == got
    with pytest.raises(BadInput, match="user id must be"):
        answer_once(home, "nobody")
