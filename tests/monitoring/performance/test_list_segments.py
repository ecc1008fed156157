"""What is expected of lists from who comes: against the planted rates of groups, and quiet where nothing changed."""

from typing import Any

import numpy as np
import pytest
from tests.monitoring.performance.bank import DAY_US, START_US, rows

from flyball.monitoring.findings.diagnosis import expected_loss, latest_evidence
from flyball.monitoring.performance.list_segments import expected_list_loss, group_losses, observe_list_estimates
from flyball.monitoring.performance.logged import Logged

TAKEN = {"de": 0.8, "fr": 0.2}
"""{group: the rate at which the first item is taken}; nothing else is."""


def lists(share_de: float, seed: int, count: int = 400, final: bool = True, taken: dict[str, float] = TAKEN) -> Logged:
    rng = np.random.default_rng(seed)
    group = np.where(rng.random(count) < share_de, "de", "fr")
    actual = (rng.random(count) < np.array([taken[name] for name in group])).astype(float)
    fields: dict[str, Any] = {"slices": {"country": group.astype(object)}, "mature": np.full(count, final)}
    return rows(np.full(count, 3.0), actual, "list", **fields)


def seen(now: Logged, before: list[Logged]):  # type: ignore[no-untyped-def]
    return list(observe_list_estimates(before, now, ("country",), 0.1))


def test_the_loss_of_other_users_is_that_of_their_groups() -> None:
    known = group_losses(lists(0.7, 1, count=20_000), ("country",))
    assert known.means["de"] == pytest.approx(0.2, abs=0.02)
    assert known.means["fr"] == pytest.approx(0.8, abs=0.02)
    for share in (0.0, 0.3, 1.0):
        now = lists(share, 2, count=20_000, final=False)
        estimate = expected_list_loss(now, ("country",), known)
        assert estimate is not None
        truth = np.mean(np.where(now.slices["country"] == "de", 0.2, 0.8))
        assert abs(estimate[0] - truth) < 4 * estimate[1] < 0.05


def test_groups_that_are_not_known_are_left_out_and_many_of_them_say_nothing() -> None:
    known = group_losses(lists(1.0, 1), ("country",))
    assert set(known.means) == {"de"}
    few, many = lists(0.95, 3, final=False), lists(0.5, 3, final=False)
    assert expected_list_loss(few, ("country",), known) is not None
    assert expected_list_loss(many, ("country",), known) is None


def test_a_shift_of_users_is_seen_before_labels_with_an_interval_that_holds_the_truth() -> None:
    before = [lists(0.7, seed) for seed in range(10)]
    (look,) = seen(lists(0.2, 99, final=False), before)
    assert (look.monitor, look.matters) == ("expected_performance", True)
    assert look.e_value > 100
    loss = expected_loss(
        latest_evidence([type(look)(**{**as_dict(look), "evidence": {"a_day": 400.0, **look.evidence}})])
    )
    assert loss is not None
    truth = (0.2 * 0.2 + 0.8 * 0.8) - (0.7 * 0.2 + 0.3 * 0.8)
    assert loss.low < truth < loss.high
    assert loss.change == pytest.approx(truth, abs=0.06)


def as_dict(look: Any) -> dict[str, Any]:
    return {name: getattr(look, name) for name in look.__struct_fields__}


def test_where_the_same_users_come_nothing_is_expected_to_change() -> None:
    before = [lists(0.7, seed) for seed in range(10)]
    looks = [seen(lists(0.7, 100 + seed, final=False), before)[0] for seed in range(20)]
    assert sum(look.matters for look in looks) <= 1
    assert np.mean([look.e_value for look in looks]) < 2


def test_nothing_is_expected_without_groups_or_with_few_windows() -> None:
    before = [lists(0.7, seed) for seed in range(10)]
    now = lists(0.2, 99, final=False)
    assert list(observe_list_estimates(before, now, (), 0.1)) == []
    assert seen(now, before[:4]) == []
    assert seen(now.between(START_US - DAY_US, START_US), before) == []
