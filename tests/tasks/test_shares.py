"""A ranker that learns from some of the users sees theirs alone, with the features that everybody's events made."""

import numpy as np
import pytest
from tests.tasks.behind import DAY, RANKER, SCHEMA, TASK, Row, rated
from tests.tasks.conftest import make_frames

from flyball.models import Interactions, TrainingCut
from flyball.tasks import RankingDataset, build_interactions

ROWS: list[Row] = [
    rated(user, f"f{(user * 3 + nth * nth) % 11}", (nth % 9) * DAY + user) for user in range(1, 21) for nth in range(12)
]
ROWS += [("watch", user, f"f{user % 4}", 5, 4 * DAY + user, 4 * DAY + user) for user in range(1, 21)]
KEPT = [str(user) for user in range(2, 21, 3)]


def cuts_of(users: list[str] | None, rows: list[Row] = ROWS) -> tuple[RankingDataset, list[TrainingCut]]:
    frames = make_frames(rows)
    past = RankingDataset(
        TASK, SCHEMA, frames, RANKER, build_interactions(frames, TASK, SCHEMA, 100 * DAY), users=users
    )
    return past, list(past.cuts(2, 100, 0))


def rows_of(data: Interactions, users: set[str]) -> set[tuple[str, str, int]]:
    return {
        (data.users[user], data.items[item], at)
        for user, item, at in zip(data.user_index.tolist(), data.item_index.tolist(), data.at_us.tolist(), strict=True)
        if data.users[user] in users
    }


def test_folds_hold_the_examples_of_those_users_and_no_others() -> None:
    (_, everybody), (_, some) = cuts_of(None), cuts_of(KEPT)
    assert len(some) == len(everybody) == 2
    for part, whole in zip(some, everybody, strict=True):
        assert part.users == [user for user in whole.users if user in KEPT]
        assert 0 < len(part.users) < len(whole.users)
        assert rows_of(part.data, set(whole.data.users)) == rows_of(whole.data, set(KEPT))
        assert (part.at_us, part.data.items) == (whole.at_us, whole.data.items)
        for row, user in enumerate(part.users):
            other = whole.users.index(user)
            mine, theirs = (
                slice(*part.histories.indptr[row : row + 2]),
                slice(*whole.histories.indptr[other : other + 2]),
            )
            np.testing.assert_array_equal(part.histories.items[mine], whole.histories.items[theirs])
            np.testing.assert_array_equal(part.truth[row], whole.truth[other])
            np.testing.assert_array_equal(part.seen[row], whole.seen[other])


@pytest.mark.parametrize("at_us", [5 * DAY, 8 * DAY])
def test_features_keep_their_values_at_each_time(at_us: int) -> None:
    users, items = [str(user) for user in range(1, 21)], [f"f{user % 11}" for user in range(20)]
    (all_past, _), (some_past, _) = cuts_of(None), cuts_of(KEPT)
    whole, part = all_past.features(users, items, at_us), some_past.features(users, items, at_us)
    assert whole.tobytes() == part.tobytes()
    later = [*ROWS, *[rated(user, "f1", at_us + 1) for user in range(1, 21)]]
    assert cuts_of(KEPT, later)[0].features(users, items, at_us).tobytes() == part.tobytes()


def test_what_others_do_changes_nothing_that_is_learned_from() -> None:
    moved: list[Row] = [
        row if str(row[1]) in KEPT else (*row[:2], f"f{(int(row[2][1:]) + 1) % 11}", *row[3:])  # type: ignore[misc]
        for row in ROWS
    ]
    for one, other in zip(cuts_of(KEPT)[1], cuts_of(KEPT, moved)[1], strict=True):
        assert rows_of(one.data, set(KEPT)) == rows_of(other.data, set(other.data.users))
        assert one.users == other.users
        for mine, theirs in zip(one.truth, other.truth, strict=True):
            np.testing.assert_array_equal(mine, theirs)
