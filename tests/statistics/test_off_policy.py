"""Off-policy values against published ones, brute force over small worlds, and the truth of simulated ones."""

import numpy as np
import pytest
from tests.statistics.vectors import vectors

from flyball.core import BadInput, Refused
from flyball.statistics import ESTIMATORS, LIST_FORMS, importance_weights, list_value, overlap, policy_value


def test_the_published_values() -> None:
    known = vectors("ope")
    case = known["single_example"]
    assert policy_value([case["p_pred"]], [case["p_log"]], [case["r"]], "ips").value == pytest.approx(case["IPS"])
    assert policy_value([case["p_pred"]], [case["p_log"]], [case["r"]], "snips").value == pytest.approx(case["SNIPS"])
    for case in known["constants"]:
        ones = np.ones(case["n"])
        for estimator in ("ips", "snips"):
            assert policy_value(ones, ones, case["r"] * ones, estimator).value == pytest.approx(case["all_estimators"])
    rule = known["alternating"]
    even = np.arange(rule["n"]) % 2 == 0
    pair = (np.where(even, 0.2, 0.8), np.full(rule["n"], 0.5), even.astype(float))
    assert policy_value(*pair, "ips").value == pytest.approx(rule["IPS_by_hand"])
    assert policy_value(*pair, "snips").value == pytest.approx(rule["SNIPS_by_hand"])
    slot = known["pi_single_slot_equals_ips"]
    columns = [np.array(slot[name])[:, None] for name in ("p_pred", "p_log", "r")]
    for form in LIST_FORMS:
        assert list_value(*columns, form).value == pytest.approx(slot["IPS_by_hand"])
    first, several = known["ccb_first_slot"]
    assert policy_value(first["p_pred"], first["p_log"], first["r"], "ips").value == pytest.approx(first["IPS"])
    value = policy_value(several["p_pred"][:1], several["p_log"][:1], several["r"][:1], "ips").value
    assert value == pytest.approx(several["first_slot"])


def test_intervals_nest_in_alpha_and_in_the_sample() -> None:
    even = np.arange(10_000) % 2 == 0
    rows = (np.where(even, 0.2, 0.8), np.full(10_000, 0.5), even.astype(float))
    for more in ({}, {"interval": "hoeffding"}, {"interval": "bernstein"}):
        limits = {"reward_range": (0.0, 1.0), "largest_weight": 2.0} if more else {}
        estimator = "ips" if more else "snips"
        wide = policy_value(*(row[:100] for row in rows), estimator, **more, **limits)  # type: ignore[arg-type]
        narrow = policy_value(*rows, estimator, **more, **limits)  # type: ignore[arg-type]
        assert wide.low < narrow.low < 0.2 < narrow.high < wide.high
        looser = policy_value(*rows, estimator, **more, **limits, alpha=0.5)  # type: ignore[arg-type]
        assert narrow.low < looser.low < looser.high < narrow.high


def world(rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    """Contexts, four actions, known policies, a reward model that is off: what estimators see, and the truth."""
    context = rng.normal(size=(count, 3))
    taste = np.array([[1.0, 0, -1, 0.5], [0, 1, 0.3, -0.5], [0.2, 0.2, 0.8, -0.8]])
    logits = context @ taste
    means = 1 / (1 + np.exp(-(logits - 0.5)))
    log = np.exp(0.5 * logits[:, ::-1])
    log /= log.sum(axis=1, keepdims=True)
    new = np.exp(1.2 * logits)
    new /= new.sum(axis=1, keepdims=True)
    action = (log.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)
    rows = np.arange(count)
    reward = (rng.random(count) < means[rows, action]).astype(float)
    model = np.clip(means + 0.15 * np.sin(5 * logits), 0, 1)
    truth = np.full(count, (new * means).sum(axis=1).mean())
    return new[rows, action], log[rows, action], reward, model[rows, action], (new * model).sum(axis=1), truth


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_intervals_cover_the_truth_of_a_world(estimator: str) -> None:
    rng = np.random.default_rng(13)
    covered, widths = 0, []
    for _ in range(300):
        policy, logged, reward, shown, expected, truth = world(rng, 1_500)
        if not overlap(importance_weights(policy, logged)).trusted:
            continue  # one in a thousand; counts as not covered
        found = policy_value(policy, logged, reward, estimator, shown, expected, threshold=30.0)
        covered += found.low <= truth[0] <= found.high
        widths.append(found.high - found.low)
    assert covered >= 274  # .95 of 300 less three standard errors
    assert np.mean(widths) < 0.2


def test_the_model_narrows_and_the_bounds_hold_more() -> None:
    rng = np.random.default_rng(14)
    policy, logged, reward, shown, expected, truth = world(rng, 5_000)
    width = {
        estimator: (v := policy_value(policy, logged, reward, estimator, shown, expected)).high - v.low
        for estimator in ESTIMATORS
    }
    assert width["dr"] < width["snips"] < width["ips"]
    largest = 40.0
    bound = policy_value(
        policy, logged, reward, "ips", interval="bernstein", reward_range=(0, 1), largest_weight=largest
    )
    assert bound.low < truth[0] < bound.high


def test_wrong_propensities_are_refused() -> None:
    """The log says each answer was certain, as a log without exploration does: no value is shown."""
    rng = np.random.default_rng(15)
    policy, logged, reward, *_ = world(rng, 3_000)
    assert overlap(importance_weights(policy, logged)).trusted
    with pytest.raises(Refused, match="the mean weight is .* and must be 1.*correct the logging"):
        policy_value(policy, np.ones(3_000), reward)
    with pytest.raises(Refused, match="mean weight"):
        list_value(policy[:, None], np.ones((3_000, 1)), reward[:, None])


def test_refusals_of_true_propensities_are_rare() -> None:
    rng = np.random.default_rng(16)
    refused = sum(not overlap(importance_weights(*world(rng, 1_000)[:2])).trusted for _ in range(400))
    assert refused <= 3  # .1 % of 400 and three standard errors


def test_mass_without_support_lowers_the_mean_weight() -> None:
    """The policy shows a third action, never logged, for .3 of the units."""
    rng = np.random.default_rng(17)
    action = rng.random(4_000) < 0.5
    policy = np.where(action, 0.5, 0.2)
    support = overlap(policy / 0.5, unsupported=0.3)
    assert support.trusted
    assert not overlap(policy / 0.5).trusted
    value = policy_value(policy, np.full(4_000, 0.5), action.astype(float), "ips", unsupported=0.3)
    assert "30 % of the policy was never shown" in value.sentence


def test_the_effective_sample_and_the_largest_weight() -> None:
    support = overlap([4.0, 0.0, 0.0, 0.0] * 10)
    assert (support.effective, support.largest, support.mean_weight) == (10.0, 4.0, 1.0)
    few = policy_value([0.9, 0.1] * 10, [0.5, 0.5] * 10, [1.0, 0.0] * 10)
    assert (few.low, few.high) == (-np.inf, np.inf)  # worth 12 units


def test_rows_of_one_user_widen_the_interval() -> None:
    rng = np.random.default_rng(18)
    user = np.repeat(np.arange(300), 10)
    reward = np.repeat(rng.random(300), 10)
    ones = np.ones(3_000)
    alone, together = (policy_value(ones, ones, reward, "ips", units=units) for units in (None, user))
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.02)


def list_world(rng: np.random.Generator, count: int, interact: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two positions, each item 0 or 1 drawn with .5; the policy takes 1 with .8 and .6. Returns what estimators see."""
    items = rng.integers(0, 2, size=(count, 2))
    policy = np.where(items == 1, [0.8, 0.6], [0.2, 0.4])
    rate = 0.2 + 0.3 * items.astype(float)
    if interact:
        rate[:, 1] *= 1 - items[:, 0]  # whoever finds the first does not look at the second
    return policy, np.full((count, 2), 0.5), (rng.random((count, 2)) < rate).astype(float)


@pytest.mark.parametrize("form", LIST_FORMS)
def test_lists_are_unbiased_where_their_assumption_holds(form: str) -> None:
    rng = np.random.default_rng(21)
    found = list_value(*list_world(rng, 60_000, interact=False), form)
    truth = (0.2 + 0.3 * 0.8) + (0.2 + 0.3 * 0.6)
    assert found.low < truth < found.high
    interacting = list_value(*list_world(rng, 60_000, interact=True), form)
    truth = 0.44 + 0.2 * 0.38
    assert (interacting.low < truth < interacting.high) == (form in ("whole", "cascade"))


def test_fewer_assumptions_are_wider() -> None:
    rng = np.random.default_rng(20)
    world_rows = list_world(rng, 20_000, interact=False)
    width = {form: (v := list_value(*world_rows, form)).high - v.low for form in LIST_FORMS}
    assert width["per_item"] < width["cascade"] < width["whole"]


def test_bad_arguments_are_refused() -> None:
    ones = np.ones(4)
    for call, message in [
        (lambda: policy_value(ones, 0 * ones, ones), "propensities must be above 0"),
        (lambda: policy_value(ones, ones, ones[:2]), "rewards must be of the shape"),
        (lambda: policy_value(ones, ones, ones, "magic"), "ips, snips, dr, switch_dr"),
        (lambda: policy_value(ones, ones, ones, "dr"), "given for dr"),
        (lambda: policy_value(ones, ones, ones, interval="bernstein"), "with reward_range"),
        (lambda: policy_value(ones, ones, ones, interval="magic"), "normal, bernstein, hoeffding"),
        (
            lambda: policy_value(
                ones, ones, 9 * ones, "ips", interval="hoeffding", reward_range=(0, 1), largest_weight=1
            ),
            "limits of what is in the log",
        ),
        (lambda: list_value(ones, ones, ones), "lists, positions"),
        (lambda: list_value(ones[:, None], ones[:, None], ones[:, None], "magic"), "whole, per_item"),
        (lambda: overlap([]), "one or more"),
        (lambda: overlap(ones, unsupported=2.0), "within"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()


def test_switch_dr_trusts_the_model_alone_above_the_threshold() -> None:
    """Weights 1.8 and .2; a reward of 1 where the model says .5: .5 + (0 + .2) / 2 x .5."""
    half = np.full(80, 0.5)
    policy = np.tile([0.9, 0.1], 40)
    found = policy_value(
        policy, half, np.ones(80), "switch_dr", predicted_shown=half, predicted_policy=half, threshold=1.0
    )
    assert found.value == pytest.approx(0.55)
