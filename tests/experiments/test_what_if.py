"""Worlds whose truth is known: estimates cover it, and what cannot be known is refused."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.experiments.market import METRICS, START_US, answer, market

from flyball.core import BadInput, Refused
from flyball.experiments import PredictionRows
from flyball.experiments.experiment import release_of
from flyball.experiments.prediction_rows import LabelValues
from flyball.experiments.what_if import (
    LoggedChoice,
    arm_choices,
    cross_fitted,
    decision_choices,
    decision_shares,
    list_choices,
    own_answers,
    sampled,
    what_if,
)
from flyball.operations import catch_up
from flyball.outcomes import Prediction, prediction_of

ADVICE = "declare fb.decide(control=0.05)"


def world(seed: int, count: int = 2_000) -> tuple[list[LoggedChoice], float]:
    """Two answers a unit, three actions; the logging policy and ours depend on what is known: (choices, truth)."""
    rng = np.random.default_rng(seed)
    x = np.repeat(rng.random(count // 2), 2)
    base = np.stack([0.5 + 0 * x, 0.15 + 0.3 * (1 - x), 0.2 + 0.3 * x], axis=1)
    logging = base / base.sum(axis=1, keepdims=True)
    ours = np.stack([0.1 + 0 * x, 0.8 * (x > 0.5) + 0.1, 0.8 * (x <= 0.5)], axis=1)
    mean = np.stack([0.2 + 0 * x, 0.1 + 0.6 * x, 0.5 - 0.4 * x], axis=1)
    drawn = (rng.random(count)[:, None] > logging.cumsum(axis=1)).sum(axis=1)
    taste = np.repeat(rng.normal(0, 0.1, count // 2), 2)
    rewards = rng.random(count) < np.clip(mean[np.arange(count), drawn] + taste, 0, 1)
    choices = [
        LoggedChoice(
            f"u{row // 2}",
            "abc"[drawn[row]],
            float(logging[row, drawn[row]]),
            {name: float(share) for name, share in zip("abc", ours[row], strict=True)},
            0.0,
            float(rewards[row]),
            float(x[row]),
        )
        for row in range(count)
    ]
    return choices, float((ours * mean).sum(axis=1).mean())


def test_intervals_cover_the_truth_of_the_world() -> None:
    covered = dict.fromkeys(("ips", "snips", "dr", "switch_dr"), 0)
    errors = {name: [] for name in covered}
    for seed in range(100):
        choices, truth = world(seed)
        got = what_if("v2", "taken", "draws", choices, ADVICE)
        for name, value in got.values.items():
            covered[name] += value.low <= truth <= value.high
            errors[name].append(value.value - truth)
    assert all(88 <= count <= 100 for count in covered.values()), covered  # 95 of 100; fewer than 88 once in 2,000
    assert all(abs(np.mean(errors[name])) < 0.005 for name in covered)
    assert np.std(errors["dr"]) < np.std(errors["ips"]), "a model of rewards makes the estimate narrower"


def test_wrong_propensities_give_no_number() -> None:
    choices, _ = world(1)
    wrong = [msgspec.structs.replace(choice, logged=choice.logged**0.5) for choice in choices]
    with pytest.raises(Refused, match="the logged propensities are not those that the answers were drawn with"):
        what_if("v2", "taken", "draws", wrong, ADVICE)


def test_a_log_without_exploration_says_what_to_declare() -> None:
    choices, _ = world(1)
    certain = [msgspec.structs.replace(choice, logged=1.0) for choice in choices]
    with pytest.raises(
        Refused, match=r"2,000 answers that could not have been otherwise: declare fb.decide\(control=0.05\)"
    ):
        what_if("v2", "taken", "draws", certain, ADVICE)
    with pytest.raises(Refused, match="got none: declare"):
        what_if("v2", "taken", "draws", [], ADVICE)
    same = [msgspec.structs.replace(choice, reward=0.0) for choice in choices]
    with pytest.raises(Refused, match="taken must differ among answers to be estimated, got 0 of all 2,000"):
        what_if("v2", "taken", "draws", same, ADVICE)
    never = [msgspec.structs.replace(choice, unsupported=0.3) for choice in choices]
    with pytest.raises(Refused, match="30 % of what v2 would answer could not have been logged, at most 5 % may be"):
        what_if("v2", "taken", "draws", never, ADVICE)


def test_the_reward_model_never_saw_the_unit_it_is_asked_about() -> None:
    """All rewards of one half are 1, of the other 0: a model of the other half knows only the other's."""
    choices, _ = world(2, 400)
    from zlib import crc32

    split = [msgspec.structs.replace(choice, reward=float(crc32(choice.unit.encode()) & 1)) for choice in choices]
    shown, _ = cross_fitted(split)
    assert set(zip(shown.tolist(), [choice.reward for choice in split], strict=True)) == {(0.0, 1.0), (1.0, 0.0)}


def test_an_arm_of_a_release_is_worth_what_was_planted_and_what_its_own_answers_earned(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=3_000, share=0.2)
    catch_up(runtime)
    about, now_us = runtime.app.task.about, runtime.clock.now_us()
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, about, METRICS["taken"])
    release = release_of(runtime.registry, "rel1")
    choices = list(arm_choices(runtime.predictions, release, "v2", rows, now_us))
    assert len(choices) == 6_000
    got = what_if("v2", "taken", "the arms of rel1", choices, ADVICE)
    snips = got.values["snips"]
    assert snips.low < 0.15 < snips.high, "three users of ten buy after one of two answers"
    assert got.support.effective == pytest.approx(1_200, rel=0.1)
    assert got.support.largest == 5.0
    assert "the mean weight" in got.sentences[1]
    own = own_answers(runtime.predictions, "v1", rows, START_US, now_us)
    assert own is not None
    (mean, low, high), count = own
    assert (count, low < got.logged_mean < high) == (6_000, True)
    later = msgspec.structs.replace(got, later=(mean, low, high), later_count=count)
    assert later.sentences[-1].startswith("Its own 6,000 answers since")
    with pytest.raises(BadInput, match="one of v2, the arms of rel1"):
        list(arm_choices(runtime.predictions, release, "v7", rows, now_us))


def decided(action: str, propensity: float, value: float = 0.5, **fields: Any) -> Prediction:
    made = prediction_of(answer(random.Random(1), 1, START_US, decision=action, decision_propensity=propensity))
    return msgspec.structs.replace(made, values=[value], **fields)


def test_what_a_version_declines_needs_no_log_and_what_it_approves_the_control_group(tmp_path: Path) -> None:
    runtime = market(tmp_path, users=1)
    catch_up(runtime)
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, runtime.app.task.about, METRICS["taken"])
    past = [decided("approve", 1.0), decided("approve", 0.05), decided("decline", 0.95), decided("review", 1.0)]

    def strict(prediction: Prediction) -> Prediction:
        return decided("decline", 0.95)

    found = list(decision_choices(past, strict, rows, {}))
    assert [choice.policy for choice in found] == pytest.approx([1.0, 1.0, 0.0, 0.0])
    assert [choice.unsupported for choice in found] == pytest.approx([0.0, 0.0, 0.0, 1.0])
    assert [choice.certain for choice in found] == pytest.approx([0.95] * 4)
    assert [choice.logged for choice in found] == [1.0, 0.05, 0.95, 1.0]
    never = list(decision_choices(past, lambda prediction: decided("decline", 1.0), rows, {}))
    assert [choice.policy / choice.logged for choice in never] == [1.0] * 4
    assert [choice.reward for choice in never] == [0.0] * 4
    assert decision_shares(decided("approve", 0.05)) == {"approve": 0.05, "decline": 0.95}
    assert decision_shares(decided("review", 1.0)) == {"review": 1.0}


CONTROL = 0.1


def payments(seed: int, threshold: float, count: int = 4_000) -> tuple[list[Prediction], dict[str, LabelValues], Any]:
    """(logged decisions, their chargebacks, what a version that declines above `threshold` decides).

    The log declines a risk above .5, but for a control group of a tenth.
    """
    rng = np.random.default_rng(seed)
    risk, drawn = rng.random(count), rng.random(count)
    chargeback = rng.random(count) < 0.4 * risk
    past, followed, of = [], {}, {}
    for row in range(count):
        decline = risk[row] > 0.5
        action, share = (
            ("approve", 1.0)
            if not decline
            else ("approve", CONTROL)
            if drawn[row] < CONTROL
            else ("decline", 1 - CONTROL)
        )
        made = decided(action, share, float(risk[row]), id=f"p{row}", key=f"u{row}")
        past.append(made)
        of[made.id] = float(risk[row])
        if chargeback[row] and action == "approve":
            followed[made.id] = LabelValues((1.0,))

    def version(prediction: Prediction) -> Prediction:
        own = of[prediction.id]
        return decided("decline", 1 - CONTROL, own) if own > threshold else decided("approve", 1.0, own)

    return past, followed, version


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])  # stricter, laxer, and one that approves all
def test_the_control_group_tells_what_a_stricter_or_laxer_version_lets_through(
    tmp_path: Path, threshold: float
) -> None:
    """The truth of the world: the version approves all below its threshold, and a tenth of the others."""
    runtime = market(tmp_path, users=1)
    catch_up(runtime)
    rows = PredictionRows(runtime.predictions, runtime.outcomes_path, runtime.app.task.about, METRICS["taken"])
    truth = 0.4 * (threshold**2 / 2 + CONTROL * (1 - threshold**2) / 2)
    covered, errors = dict.fromkeys(("ips", "snips", "dr", "switch_dr"), 0), []
    for seed in range(40):
        past, followed, version = payments(seed, threshold)
        known = what_if(
            "v2", "chargeback", "draws", list(decision_choices(past, version, rows, followed)), ADVICE, "low"
        )
        for name, value in known.values.items():
            covered[name] += value.low <= truth <= value.high
        errors.append(known.values["ips"].value - truth)
    assert all(count >= 33 for count in covered.values()), covered  # 38 of 40; fewer than 33 once in 30,000
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(40) + 1e-9


def test_lists_are_valued_item_by_item() -> None:
    rng, ids = np.random.default_rng(3), random.Random(3)
    truth, pairs, rewards = {"a": 0.1, "b": 0.4, "c": 0.2}, [], []
    for user in range(3_000):
        chosen = rng.choice(["a", "b", "c"], 2)
        past = prediction_of(
            answer(
                ids,
                user + 1,
                START_US,
                items=chosen.tolist(),
                scores=[0.0, 0.0],
                sources=["x", "x"],
                propensities={0: 1 / 3, 1: 1 / 3},
            )
        )
        pairs.append((past, msgspec.structs.replace(past, items=["b", "c"], propensities={})))
        rewards.append([float(rng.random() < truth[item]) for item in chosen])
    for form in ("per_item", "cascade", "whole", "additive"):
        value = list_choices(pairs, rewards, "v2", ADVICE, form)
        assert value.low < 0.6 < value.high, form
    certain = [(msgspec.structs.replace(past, propensities={}), again) for past, again in pairs]
    with pytest.raises(Refused, match="could not have been otherwise"):
        list_choices(certain, rewards, "v2", ADVICE)
    half = [(msgspec.structs.replace(past, propensities={0: 1 / 3}), again) for past, again in pairs]
    with pytest.raises(Refused, match="could not have been logged"):
        list_choices(half, rewards, "v2", ADVICE)


def test_a_sample_is_the_same_whenever_it_is_asked() -> None:
    ids = random.Random(4)
    all_of_them = [prediction_of(answer(ids, 1, START_US + number)) for number in range(50)]
    assert sampled(all_of_them, 10) == sampled(all_of_them[::-1], 10)
    assert len(sampled(all_of_them, 10)) == 10
    assert sampled(all_of_them, 99) == sorted(all_of_them, key=lambda one: one.id)
