"""Planted effects, planted faults: what is concluded, and what is not."""

from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

import flyball as fb
from flyball.experiments import (
    WITHHELD,
    AnalysisPlan,
    ExperimentResult,
    ExposedUnits,
    UnitValues,
    analyze,
)
from flyball.policy import ExperimentMetric
from flyball.statistics import Sums, adjusted_contrast, anytime, benjamini_hochberg, holm, rate_difference


class Buy(fb.Event):
    user: int


RATE = fb.metric.rate(Buy, role="primary")
PLAN = AnalysisPlan(n_best=20_000)


def exposed(arms: np.ndarray[Any, Any], share: float = 0.5, stratum: str = "50 %", **fields: Any) -> ExposedUnits:
    """Units that came in one after the other; `arms`: whether each is of the candidate."""
    frame = pl.DataFrame(
        {
            "unit": [f"{number:09d}" for number in range(len(arms))],
            "arm": np.where(arms, "candidate", "control"),
            "stratum": [stratum] * len(arms),
            "at": np.arange(len(arms)),
            **fields,
        }
    )
    return ExposedUnits(frame, ("control", "candidate"), {stratum: {"control": 1 - share, "candidate": share}})


def values(value: np.ndarray[Any, Any], closed: Any = True, **others: Any) -> UnitValues:
    return UnitValues(np.full(len(value), closed, dtype=bool), value.astype(np.float64), **others)


def result(
    units: ExposedUnits,
    metrics: dict[str, ExperimentMetric],
    found: dict[str, UnitValues],
    plan: AnalysisPlan = PLAN,
    slices: tuple[str, ...] = (),
) -> ExperimentResult:
    return analyze("rel1", units, metrics, found, plan, 1_700_000_000_000_000, slices)


def test_a_rate_is_compared_without_approximation_from_the_counts_of_closed_windows() -> None:
    rng = np.random.default_rng(1)
    arms = rng.random(8_000) < 0.5
    bought = rng.random(8_000) < np.where(arms, 0.27, 0.2)
    closed = np.arange(8_000) < 6_000
    got = result(exposed(arms), {"bought": RATE}, {"bought": UnitValues(closed, bought.astype(float))}).of("bought")
    a, b = closed & ~arms, closed & arms
    expected = rate_difference(int(bought[a].sum()), int(a.sum()), int(bought[b].sum()), int(b.sum()), PLAN.n_best)
    assert got.inference is not None
    assert (got.inference.effect, got.inference.low, got.inference.high) == (
        expected.effect,
        expected.low,
        expected.high,
    )
    assert got.verdict == "better"
    assert sum(got.units.values()) == 6_000
    assert sum(got.waiting.values()) == 2_000
    assert got.sentence.startswith("bought: 1")
    assert got.sentence.endswith("better.")


def test_a_covariate_from_before_makes_the_interval_narrower_and_moves_the_truth_not() -> None:
    rng = np.random.default_rng(2)
    taste = rng.gamma(2.0, 2.0, 6_000)
    arms = rng.random(6_000) < 0.5
    before, after = rng.poisson(taste), rng.poisson(taste + 0.2 * arms)
    metric = fb.metric.count_per_unit(Buy)
    adjusted = values(after, value_before=before.astype(float))
    got = result(exposed(arms), {"count": metric}, {"count": adjusted}).of("count")
    plain = result(exposed(arms), {"count": metric}, {"count": values(after)}).of("count")
    table = np.column_stack([after, before]).astype(float)
    contrast = adjusted_contrast(Sums.of(table[~arms]), Sums.of(table[arms]))
    expected = anytime(contrast, PLAN.n_best)
    assert got.inference is not None
    assert plain.inference is not None
    assert (got.inference.low, got.inference.high) == (expected.low, expected.high)
    assert got.inference.low < 0.2 < got.inference.high
    width = (got.inference.high - got.inference.low) / (plain.inference.high - plain.inference.low)
    assert got.adjusted_by == pytest.approx(1 - width**2, abs=1e-9)
    assert width < 0.75


def test_steps_of_a_ramp_are_never_pooled() -> None:
    """More candidates came in on the good day: pooled, a change that loses looks like one that wins."""
    rng = np.random.default_rng(3)
    days = np.repeat([0, 1], 20_000)
    share = np.where(days == 0, 0.05, 0.5)
    arms = rng.random(40_000) < share
    spent = rng.normal(np.where(days == 0, 1.0, 3.0) - 0.2 * arms, 1.0)
    pooled = spent[arms].mean() - spent[~arms].mean()
    assert pooled > 0.5
    frame = exposed(arms).frame.with_columns(stratum=pl.Series(np.where(days == 0, "5 %", "50 %")))
    shares = {f"{100 * part:g} %": {"control": 1 - part, "candidate": part} for part in (0.05, 0.5)}
    units = ExposedUnits(frame, ("control", "candidate"), shares)
    metric = fb.metric.revenue(Buy, lambda b: b.user, role="primary")
    ramp = AnalysisPlan(n_best=40_000, ramp=True)
    got = result(units, {"revenue": metric}, {"revenue": values(spent)}, ramp)
    of = got.of("revenue")
    assert of.inference is not None
    assert of.inference.low < -0.2 < of.inference.high
    assert of.verdict == "worse"
    assert got.sample_ratio is not None
    assert not got.sample_ratio.alarm
    assert [step.name for step in got.steps] == ["5 %", "50 %"]


def test_a_rate_in_a_ramp_is_that_of_all_its_steps() -> None:
    """No effect at 5 %, a large one at 50 %: the effect of the ramp lies between, by the units of each step."""
    rng = np.random.default_rng(13)
    late = np.repeat([False, True], 10_000)
    arms = rng.random(20_000) < np.where(late, 0.5, 0.05)
    bought = rng.random(20_000) < np.where(late & arms, 0.4, 0.2)
    frame = exposed(arms).frame.with_columns(stratum=pl.Series(np.where(late, "50 %", "5 %")))
    shares = {f"{100 * part:g} %": {"control": 1 - part, "candidate": part} for part in (0.05, 0.5)}
    units = ExposedUnits(frame, ("control", "candidate"), shares)
    got = result(units, {"bought": RATE}, {"bought": values(bought)}, AnalysisPlan(n_best=20_000, ramp=True)).of(
        "bought"
    )
    assert got.inference is not None
    assert got.inference.effect > 0.1
    assert got.verdict == "better"


@pytest.mark.parametrize(("better", "moved"), [("high", -0.05), ("low", 0.05)])
def test_with_a_margin_p_is_of_a_loss_as_large_as_the_margin(better: str, moved: float) -> None:
    arms = np.arange(8_000) % 2 == 1
    bought = np.arange(8_000) // 2 % 1_000 < 1_000 * np.where(arms, 0.5 + moved, 0.5)
    metric = fb.metric.rate(Buy, role="guardrail", margin=0.05, better=better)
    got = result(exposed(arms), {"bought": metric}, {"bought": values(bought)}).of("bought")
    assert got.inference is not None
    assert got.inference.effect == pytest.approx(moved)
    assert got.p == 1.0


def test_a_ratio_is_shown_as_one_and_not_as_its_numerator() -> None:
    arms = np.arange(8) % 2 == 1
    spent, orders = np.where(arms, 12.0, 6.0), np.array([2.0, 4.0, 1.0, 2.0, 3.0, 6.0, 2.0, 4.0])
    part = fb.metric.count_per_unit(Buy)
    metric = fb.metric.ratio(part, part, role="primary")
    got = result(exposed(arms), {"each": metric}, {"each": values(spent, per=orders)}).of("each")
    assert got.control == pytest.approx(4 * 6.0 / (2 + 1 + 3 + 2))
    assert got.arm_mean == pytest.approx(4 * 12.0 / (4 + 2 + 6 + 4))


def test_units_that_are_not_split_as_declared_withhold_every_verdict() -> None:
    rng = np.random.default_rng(4)
    arms = rng.random(10_000) < 0.46
    got = result(exposed(arms), {"bought": RATE}, {"bought": values(rng.random(10_000) < np.where(arms, 0.4, 0.2))})
    assert not got.comparable
    assert got.of("bought").verdict == WITHHELD
    assert "Units are not split as declared" in got.sentences[1]
    assert "not to be read" in got.sentences[2]


def test_guardrails_are_corrected_by_holm_and_the_rest_by_weighted_benjamini_hochberg() -> None:
    rng = np.random.default_rng(5)
    arms = rng.random(4_000) < 0.5
    metrics = {
        "main": RATE,
        "other": fb.metric.rate(Buy),
        "heavy": fb.metric.rate(Buy, weight=3.0),
        "hides": fb.metric.rate(Buy, role="guardrail", better="low", margin=0.05),
        "errors": fb.metric.rate(Buy, role="guardrail", better="low", margin=0.02),
    }
    found = {name: values(rng.random(4_000) < 0.2 + 0.02 * arms) for name in metrics}
    got = result(exposed(arms), metrics, found)
    p = {name: got.of(name).p for name in metrics}
    adjusted = {name: got.of(name).p_adjusted for name in metrics}
    others = ["main", "other", "heavy"]
    weights = [0.5, 0.25, 1.0]
    assert [adjusted[name] for name in others] == pytest.approx(
        benjamini_hochberg([p[name] for name in others], weights)
    )  # type: ignore[list-item]
    guards = ["hides", "errors"]
    assert [adjusted[name] for name in guards] == pytest.approx(holm([p[name] for name in guards]))  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("moved", "verdict"), [(0.0, "not worse than the margin"), (0.12, "worse than the margin"), (-0.1, "better")]
)
def test_a_guardrail_may_be_shown_safe_and_shown_broken(moved: float, verdict: str) -> None:
    rng = np.random.default_rng(6)
    arms = rng.random(20_000) < 0.5
    metric = fb.metric.rate(Buy, role="guardrail", better="low", margin=0.04)
    hides = values(rng.random(20_000) < 0.2 + moved * arms)
    got = result(exposed(arms), {"hides": metric}, {"hides": hides}).of("hides")
    assert got.verdict == verdict
    counted = fb.metric.count_per_unit(Buy, role="guardrail", better="low", margin=0.04)
    assert result(exposed(arms), {"hides": counted}, {"hides": hides}).of("hides").verdict == verdict


def test_an_interval_that_leaves_zero_out_says_nothing_once_many_were_looked_at() -> None:
    arms, place = np.arange(6_000) % 2 == 1, np.arange(6_000) // 2 % 1_000 / 1_000
    bought = values(place < 0.2 + 0.042 * arms)
    alone = result(exposed(arms), {"bought": fb.metric.rate(Buy)}, {"bought": bought}).of("bought")
    noise = {f"noise{number}": fb.metric.count_per_unit(Buy) for number in range(30)}
    metrics = {"bought": fb.metric.rate(Buy), **noise}
    found = {"bought": bought, **{name: values(place < 0.2) for name in noise}}
    among = result(exposed(arms), metrics, found).of("bought")
    assert alone.verdict == "better"
    assert among.inference == alone.inference
    assert among.verdict == "undecided after correction"


def test_with_a_margin_better_and_worse_rest_on_the_test_of_no_effect() -> None:
    """The interval of one leaves 0 out by little; its p-value of the margin is tiny, that of no effect is not."""
    arms, place = np.arange(6_000) % 2 == 1, np.arange(6_000) // 2 % 1_000 / 1_000
    noise = {f"noise{number}": fb.metric.count_per_unit(Buy) for number in range(30)}
    unmoved = {name: values(place < 0.2) for name in noise}
    for make, moved, alone, among in (
        (fb.metric.rate, 0.042, "better", "not worse than the margin"),
        (fb.metric.rate, -0.042, "worse", "undecided after correction"),
        (fb.metric.count_per_unit, 0.042, "better", "not worse than the margin"),
    ):
        metric = {"bought": make(Buy, margin=0.05)}
        bought = {"bought": values(place < 0.2 + moved * arms)}
        assert result(exposed(arms), metric, bought).of("bought").verdict == alone
        assert result(exposed(arms), metric | noise, bought | unmoved).of("bought").verdict == among


def test_before_the_burn_in_nothing_is_concluded_and_it_is_said_how_many_are_missing() -> None:
    rng = np.random.default_rng(8)
    arms = np.arange(600) % 2 == 1
    got = result(
        exposed(arms), {"count": fb.metric.count_per_unit(Buy)}, {"count": values(rng.poisson(1 + 3 * arms))}
    ).of("count")
    assert got.verdict == "too early"
    assert got.p == 1.0
    assert "200 more units in the smaller arm" in got.sentence


def test_an_undecided_result_says_how_many_units_may_decide() -> None:
    rng = np.random.default_rng(9)
    arms = rng.random(8_000) < 0.5
    drawn = rng.normal(0.03 * arms, 1.0)
    got = result(exposed(arms), {"count": fb.metric.count_per_unit(Buy)}, {"count": values(drawn)}).of("count")
    assert got.inference is not None
    half = (got.inference.high - got.inference.low) / 2
    assert got.verdict == "undecided"
    assert got.more_units == int(np.ceil(8_000 * ((half / abs(got.inference.effect)) ** 2 - 1)))
    assert f"about {got.more_units:,} more units decide" in got.sentence
    equal = values(np.where(np.arange(8_000) % 5 == 0, 1.0, 0.0))
    equal.value[0] += 0.01  # an effect that is noise: 300 million units would be named
    noise = result(exposed(np.arange(8_000) // 5 % 2 == 1), {"count": fb.metric.count_per_unit(Buy)}, {"count": equal})
    assert noise.of("count").verdict == "undecided"
    assert noise.of("count").sentence.endswith("neither better nor worse may be concluded yet.")


def test_planned_looks_are_the_same_whenever_they_are_read() -> None:
    rng = np.random.default_rng(10)
    arms = rng.random(5_000) < 0.5
    drawn = rng.normal(0.2 * arms, 1.0)
    plan = AnalysisPlan(n_best=4_000, method="group_sequential", looks=4)
    metric = {"count": fb.metric.count_per_unit(Buy)}

    def until(count: int) -> Any:
        return result(exposed(arms), metric, {"count": values(drawn, np.arange(5_000) < count)}, plan).of("count")

    assert until(2_000).inference == until(2_999).inference
    assert until(2_000).inference.count_a + until(2_000).inference.count_b == 2_000
    assert until(3_000).inference != until(2_999).inference
    assert "the next planned look is at 1000 units" in until(900).sentence
    assert until(4_000).inference == until(5_000).inference
    assert until(4_000).verdict == "better"
    fixed = AnalysisPlan(n_best=4_000, method="fixed")
    early = result(exposed(arms), metric, {"count": values(drawn, np.arange(5_000) < 3_000)}, fixed).of("count")
    assert (early.verdict, "1,000 more units, then one look" in early.sentence) == ("too early", True)


def test_slices_are_corrected_together_and_small_ones_left_out() -> None:
    rng = np.random.default_rng(11)
    arms = rng.random(9_000) < 0.5
    device = np.where(np.arange(9_000) < 50, "watch", np.where(rng.random(9_000) < 0.5, "tv", "phone"))
    bought = values(rng.random(9_000) < 0.2 + 0.1 * (arms & (device == "tv")))
    got = result(exposed(arms, device=device), {"bought": RATE}, {"bought": bought}, slices=("device",))
    assert {one.slice for one in got.slices} == {"device=tv", "device=phone"}
    verdicts = {one.slice: one.verdict for one in got.slices}
    assert verdicts == {"device=tv": "better", "device=phone": "undecided"}
    assert "bought (device=tv):" in next(one.sentence for one in got.slices if one.slice == "device=tv")


def test_arms_that_differed_before_are_a_warning() -> None:
    rng = np.random.default_rng(12)
    arms = rng.random(6_000) < 0.5
    before = rng.normal(0.4 * arms, 1.0)
    found = values(rng.normal(size=6_000), value_before=before)
    got = result(exposed(arms), {"count": fb.metric.count_per_unit(Buy)}, {"count": found})
    assert any("differed before their exposure" in line for line in got.sentences)
    fine = values(rng.normal(size=6_000), value_before=rng.normal(size=6_000))
    assert not result(exposed(arms), {"count": fb.metric.count_per_unit(Buy)}, {"count": fine}).all_warnings


def test_nothing_yet_is_said_so() -> None:
    empty = ExposedUnits(exposed(np.zeros(0, dtype=bool)).frame, ("control", "candidate"), {})
    got = result(empty, {"bought": RATE}, {"bought": values(np.zeros(0))})
    assert got.of("bought").verdict == "too early"
    assert got.sample_ratio is None
    none = "units whose window has closed are missing"
    assert got.of("bought").sentence == (
        f"bought: nothing may be concluded yet: no data yet of control and candidate, {none}."
    )
    half = result(exposed(np.zeros(4, dtype=bool)), {"bought": RATE}, {"bought": values(np.ones(4))}).of("bought")
    assert (half.inference, half.units) == (None, {"control": 4, "candidate": 0})
    assert half.missing == f"no data yet of candidate, {none}"
    one = np.array([False, True])
    same = result(exposed(one), {"count": fb.metric.count_per_unit(Buy)}, {"count": values(np.zeros(2))}).of("count")
    assert same.sentence == (
        "count: nothing may be concluded yet: two units with closed windows and different values in each arm."
    )


@pytest.mark.parametrize("ramp", [False, True])
def test_units_that_change_their_arm_are_a_fault_of_a_test_and_by_design_of_a_ramp(ramp: bool) -> None:
    units = msgspec.structs.replace(exposed(np.arange(100) % 2 == 1), switched=7)
    got = result(units, {"bought": RATE}, {"bought": values(np.zeros(100))}, AnalysisPlan(ramp=ramp))
    assert (len(got.warnings), len(got.notes)) == ((0, 1) if ramp else (1, 0))
    (line,) = (line for line in got.sentences if "7 of 100 units were later seen in another arm" in line)
    assert line.startswith("Warning: ") is not ramp
    few = msgspec.structs.replace(units, switched=1)
    quiet = result(few, {"bought": RATE}, {"bought": values(np.zeros(100))}, AnalysisPlan(ramp=ramp))
    assert (quiet.warnings, quiet.notes) == ((), ())


def test_a_metric_without_data_counts_among_the_comparisons_from_the_start() -> None:
    """Else the first metric with data would be tested at the whole alpha, and the second one at half of it later."""
    arms = np.arange(4_000) % 2 == 1
    bought = np.arange(4_000) // 2 % 100 < np.where(arms, 26, 20)
    guards = {name: fb.metric.rate(Buy, role="guardrail") for name in ("bought", "came_back")}
    found = {"bought": values(bought), "came_back": values(bought, closed=False)}
    got = result(exposed(arms), guards, found)
    p = got.of("bought").p
    assert p is not None
    assert got.of("bought").p_adjusted == pytest.approx(min(1.0, 2 * p))
    assert (got.of("came_back").p_adjusted, got.of("came_back").verdict) == (None, "too early")
    both = {"bought": RATE, "came_back": fb.metric.rate(Buy, role="primary")}
    assert result(exposed(arms), both, found).of("bought").p_adjusted == pytest.approx(min(1.0, 2 * p))


def test_sentences_name_the_role_and_come_in_its_order() -> None:
    arms = np.arange(100) % 2 == 1
    metrics = {
        "safe": fb.metric.rate(Buy, role="guardrail"),
        "other": fb.metric.rate(Buy),
        "main": fb.metric.rate(Buy, role="primary"),
    }
    got = result(exposed(arms), metrics, {name: values(np.arange(100) % 3 == 1) for name in metrics})
    shown = [line.split(" ")[:2] for line in got.sentences[2:]]
    assert shown == [["primary:", "main:"], ["secondary:", "other:"], ["guardrail:", "safe:"]]


def test_looking_at_an_experiment_without_effect_every_day_rarely_shows_one() -> None:
    """200 A/A experiments of two adjusted metrics and five looks: any win among all of them is a false one."""
    metrics = {"count": fb.metric.count_per_unit(Buy), "mean": fb.metric.mean(Buy, lambda b: b.user)}
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        arms = rng.random(4_000) < 0.5
        taste = rng.gamma(1.0, 1.0, 4_000)
        per = rng.poisson(taste) + 1.0
        found = {
            "count": (rng.poisson(taste), {"value_before": rng.poisson(taste).astype(float)}),
            "mean": (rng.normal(size=4_000) * per, {"per": per}),
        }
        for look in (1_200, 1_800, 2_500, 3_200, 4_000):
            there = {name: values(drawn, np.arange(4_000) < look, **more) for name, (drawn, more) in found.items()}
            got = result(exposed(arms), metrics, there, AnalysisPlan(n_best=4_000))
            if any(one.verdict in ("better", "worse") for one in got.metrics):
                wrong += 1
                break
    assert wrong <= 18  # 5 % are 10; 19 or more come up once in two hundred


def test_all_of_it_is_plain_json_and_a_table() -> None:
    import msgspec

    rng = np.random.default_rng(13)
    arms = rng.random(3_000) < 0.5
    got = result(exposed(arms), {"bought": RATE}, {"bought": values(rng.random(3_000) < 0.2)})
    document = msgspec.json.decode(msgspec.json.encode(got.document()))
    assert document["metrics"][0]["inference"]["method"] == "confidence sequence of two rates"
    assert document["sentences"] == list(got.sentences)
    columns, rows = got.table()
    assert len(columns) == len(rows[0])
    widened = msgspec.structs.replace(got.of("bought"), adjusted_by=-0.004)
    assert "+0.4 % var." in msgspec.structs.replace(got, metrics=(widened,)).table()[1][0]
    with pytest.raises(KeyError):
        got.of("sold")
