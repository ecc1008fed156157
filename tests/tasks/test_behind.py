"""Examples see what was known and applied: a planted delay hides what serving could not have seen yet."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tasks.behind import DAY, RANKER, SCHEMA, SECOND, TASK, Row, rated
from tests.tasks.conftest import Rate, Watch, make_frames

from flyball.core import BadInput
from flyball.events import Event
from flyball.tasks import OfflineFeatures, RankingDataset, ServingLag, build_interactions, evaluation_cases
from flyball.testing.feature_oracle import Logged, known_by, value_of

KINDS: dict[str, type[Event]] = {"watch": Watch, "rate": Rate}


def past_of(rows: list[Row], behind: ServingLag | None = None) -> RankingDataset:
    frames = make_frames(rows)
    now = build_interactions(frames, TASK, SCHEMA, 100 * DAY)
    return RankingDataset(TASK, SCHEMA, frames, RANKER, now, behind)


def logged(rows: list[Row]) -> list[Logged]:
    found = []
    for place, (name, who, what, number, at, known_at) in enumerate(rows):
        field = "minute" if name == "watch" else "stars"
        event = KINDS[name](**{"user": who, "film": what, field: number, "at": at})  # type: ignore[call-arg]
        found.append(Logged(event, known_at, 0, place))
    return found


@st.composite
def logs(draw: st.DrawFn) -> list[Row]:
    edges = st.sampled_from([10 * DAY + step for step in (-9 * SECOND, -8 * SECOND, -7 * SECOND, -1, 0, 1)])
    row = st.tuples(
        st.sampled_from(["watch", "rate"]),
        st.integers(1, 2),
        st.sampled_from(["up", "heat"]),
        st.integers(1, 5),
        edges,
        st.sampled_from([0, 1, SECOND]),
    )
    return [(*rest, at, at + lag) for *rest, at, lag in draw(st.lists(row, min_size=1, max_size=12))]  # type: ignore[misc]


@given(rows=logs(), delay_us=st.sampled_from([0, 1, 7 * SECOND, 8 * SECOND, 9 * SECOND, DAY]))
@settings(max_examples=40)
def test_features_of_examples_are_the_oracles_with_the_delay(rows: list[Row], delay_us: int) -> None:
    past = past_of(rows, ServingLag(features_us=delay_us))
    users, items = ["1", "1", "2", "2"], ["up", "heat", "up", "heat"]
    found = past.features(users, items, 10 * DAY)
    definitions = {one.name: one for group in TASK.feature_groups for one in group.definitions}
    log, sees = logged(rows), known_by(10 * DAY, delay_us)
    for place, (who, what) in enumerate(zip(users, items, strict=True)):
        for column, name in enumerate(RANKER.feature_names):
            want = value_of(definitions[name], log, {"user": who, "film": what}, 10 * DAY, sees)
            np.testing.assert_array_equal(found[place, column], np.nan if want is None else want)


def test_a_planted_delay_changes_which_events_an_example_sees() -> None:
    question = 10 * DAY
    rows: list[Row] = [
        ("watch", 1, "up", 3, question - 8 * SECOND, question - 8 * SECOND),
        ("watch", 1, "up", 4, question - 6 * SECOND, question - 6 * SECOND),
        ("watch", 1, "up", 5, question - 9 * SECOND, question - 7 * SECOND),  # known two seconds late
    ]
    place = RANKER.feature_names.index("both.seen")
    for delay_s, seen in ((0, 3), (6, 3), (7, 2), (8, 1), (9, 0)):
        past = past_of(rows, ServingLag(features_us=delay_s * SECOND))
        assert past.features(["1"], ["up"], question)[0, place] == seen


def test_histories_are_behind_and_truth_is_not() -> None:
    split = 10 * DAY
    rows: list[Row] = [
        rated(1, "a", split - 60 * SECOND),
        rated(1, "b", split - 3 * SECOND),
        rated(1, "c", split + 1),
        rated(2, "a", split - 3 * SECOND),
        rated(2, "b", split + 1),
    ]
    frames = make_frames(rows)
    known = evaluation_cases(frames, TASK, SCHEMA, split, split + DAY)
    assert [history.items for history in known.histories] == [["a", "b"], ["a"]]
    late = evaluation_cases(frames, TASK, SCHEMA, split, split + DAY, apply_delay_us=5 * SECOND)
    assert [history.items for history in late.histories] == [["a"], []]
    assert late.truth == known.truth == [["c"], ["b"]], "what was touched before is no truth, seen by serving or not"
    assert [len(history.seen) for history in late.histories] == [1, 0]
    edge = evaluation_cases(frames, TASK, SCHEMA, split, split + DAY, apply_delay_us=3 * SECOND - 1)
    assert edge.histories[0].items == ["a", "b"]
    with pytest.raises(BadInput, match="apply_delay_us"):
        evaluation_cases(frames, TASK, SCHEMA, split, split + DAY, apply_delay_us=-1)


def test_folds_ask_with_what_was_applied_and_fit_on_what_was_known() -> None:
    rows = [rated(user, f"f{(user + nth) % 7}", nth * DAY + user) for user in range(1, 9) for nth in range(6)]
    rows += [rated(user, f"f{(user + nth) % 7}", nth * DAY - SECOND + user) for user in range(1, 9) for nth in (4, 5)]
    plain, same, late = (
        list(past_of(rows, behind).cuts(2, 100, 0))
        for behind in (None, ServingLag(), ServingLag(state_us=3_600 * SECOND))
    )
    assert len(plain) == 2
    fewer = 0
    for one, zero, other in zip(plain, same, late, strict=True):
        assert one.users == zero.users == other.users
        for field in ("indptr", "items", "weights", "ratings", "at_us", "group"):
            np.testing.assert_array_equal(getattr(one.histories, field), getattr(zero.histories, field))
        np.testing.assert_array_equal(one.data.user_index, other.data.user_index)
        for mine, theirs in zip(one.truth, other.truth, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        latest = one.at_us - 1 - 3_600 * SECOND
        rows_of = zip(other.histories.indptr[:-1], other.histories.indptr[1:], one.histories.indptr, strict=False)
        for (start, stop, first), last in zip(rows_of, one.histories.indptr[1:], strict=True):
            kept = one.histories.at_us[first:last] <= latest
            np.testing.assert_array_equal(other.histories.items[start:stop], one.histories.items[first:last][kept])
            np.testing.assert_array_equal(other.histories.at_us[start:stop], one.histories.at_us[first:last][kept])
            fewer += int((~kept).sum())
        assert [seen.tolist() for seen in other.seen] != [seen.tolist() for seen in one.seen]
    assert fewer > 0


def test_logged_predictions_see_their_own_offsets_whatever_the_delay() -> None:
    rows: list[Row] = [("watch", 1, "up", 3, 5 * DAY, 5 * DAY), ("watch", 1, "up", 4, 6 * DAY, 6 * DAY)]
    frames = make_frames(rows)
    asked = {"user": [("1",)]}
    for delay_us in (0, 90 * DAY):
        features = OfflineFeatures(TASK.feature_groups, frames, (1,), delay_us)
        assert features.read([asked], [10 * DAY])[0].groups["user"].bits[0, 0] == 1
