"""The rules by which a version is released."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import BadDeclaration, declared_duration
from flyball.policy.release_arguments import (
    count_above_0,
    days_of,
    field_names,
    is_arm_name,
    is_name,
    known_arguments,
    margins_of,
    number_above_0,
    overrides_of,
    rate_margins,
    share_of,
    values_by_field,
    weights_of,
)

GUARDRAILS = {"failed": 0.01, "late": 0.01, "empty": 0.01, "slow": 0.02}
"""{guardrail: the accepted rise of its share of responses}. failed: the version did not answer, so a fallback did;
late: it did not answer before the deadline; empty: the response holds nothing; slow: it took more than 1.5 times
the 99 % quantile of the champion's latency."""
WATCH = "7d"


class ReleasePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a version is released to users; made by `fb.canary`, `fb.ab` and so on. Shares are in ten-thousandths.

    `kind` and the other fields mean the same as in `releases.Release`.
    """

    kind: str
    steps: tuple[int, ...] = ()
    weights: dict[str, float] = {}
    guardrails: dict[str, float] = {}
    success: dict[str, float] = {}
    harmful: dict[str, float] = {}
    constants: dict[str, float] = {}
    unit: tuple[str, ...] = ()
    layer: str = "version"
    traffic: int = 10_000
    targets: dict[str, tuple[str, ...]] = {}
    overrides: dict[str, dict[str, tuple[str, ...]]] = {}
    holdout: float = 0.0
    holdout_us: int = 0
    watch_us: int = 0
    shadow_first: bool = False
    sampled: float = 1.0
    group: str = ""
    slices: tuple[str, ...] = ()


def immediate(
    *,
    watch: str = WATCH,
    guardrails: Mapping[str, float] | None = None,
    harmful: Mapping[str, float] | None = None,
    holdout: float = 0.0,
    holdout_for: str = "90d",
    unit: str | Sequence[str] = (),
    alpha: float = 0.01,
) -> ReleasePlan:
    """Release to all users at once, after the gates pass. This is the default of an application and needs no traffic.

    For the time `watch`, the version is rolled back automatically if a guardrail is significantly worse than under the
    previous champion. The arguments are those of `canary`. Raises `BadDeclaration`.
    """
    return _plan(
        "immediate",
        {},
        watch=watch,
        guardrails=guardrails,
        harmful=harmful,
        holdout=holdout,
        holdout_for=holdout_for,
        unit=unit,
        alpha=alpha,
    )


def canary(
    *steps: float,
    step_time: str = "1h",
    patience: str = "7d",
    silence: str = "1h",
    watch: str = WATCH,
    guardrails: Mapping[str, float] | None = None,
    success: Mapping[str, float] | None = None,
    harmful: Mapping[str, float] | None = None,
    shadow: str = "",
    shadow_sample: float = 100,
    shadow_slices: str | Sequence[str] = (),
    unit: str | Sequence[str] = (),
    layer: str = "version",
    traffic: float = 100,
    only: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    holdout: float = 0.0,
    holdout_for: str = "90d",
    alpha: float = 0.01,
    answers: int = 2_000,
) -> ReleasePlan:
    """Release to a growing share of the users, in percent: `canary(1, 5, 25, 50, 100)`. The last step promotes it.

    A step ends when `step_time` has passed, every guardrail is shown to be safe by its margin, and every metric in
    `success` ({metric: margin}) is shown to be not worse by its margin. The release is held if that takes longer than
    `patience`, or if no response came for `silence`. `guardrails`: {name: margin}, see `GUARDRAILS`. `harmful`: {label:
    margin}, outcomes that must not become more frequent, such as a hide or a chargeback. If a guardrail is shown to be
    broken, the release is aborted at once; within `watch` after the last step, it is rolled back. `shadow`: how long,
    at least, the version first answers in shadow; the first step also waits until every guardrail is shown there to be
    safe by its whole margin. `shadow_sample`, `shadow_slices`: `sample` and `slices` of `shadow`.

    `unit`: the field of the request by which arms are assigned, or several, of which the first present one counts;
    default: the request's key. `only`: {field: value or values}, the requests that take part. `overrides`:
    {"candidate": {field: values}}, requests that always get the arm. `layer`, `traffic`: releases of one layer share no
    unit; this release takes `traffic` percent of its layer. `holdout`: percent of units that no release reaches for
    `holdout_for`. `alpha`: the probability, over the whole release, of an abort without harm; it is divided evenly
    among all comparisons that may abort: guardrails, `success` and `harmful` metrics. `answers`: the number of
    responses, of both arms together, at which intervals are narrowest. Raises `BadDeclaration`.
    """
    shares = tuple(share_of(f"step of {_CANARY}", step) for step in (steps or (1, 5, 25, 50, 100)))
    if list(shares) != sorted(set(shares)) or shares[-1] != 10_000:
        raise BadDeclaration(f"steps of {_CANARY}", "shares that rise and end at 100", steps)
    times = {"step_time_us": step_time, "patience_us": patience, "silence_us": silence, "shadow_us": shadow or "0s"}
    constants = {name: float(declared_duration(f"{name[:-3]} of {_CANARY}", period)) for name, period in times.items()}
    constants["n_best"] = float(count_above_0("answers", answers))
    constants |= SHADOW_CONSTANTS
    return _plan(
        "canary",
        constants,
        steps=shares,
        watch=watch,
        guardrails=guardrails,
        success=success,
        harmful=harmful,
        unit=unit,
        layer=layer,
        traffic=traffic,
        only=only,
        overrides=overrides,
        holdout=holdout,
        holdout_for=holdout_for,
        alpha=alpha,
        shadow_first=bool(shadow),
        sampled=share_of(f"shadow_sample of {_CANARY}", shadow_sample) / 10_000,
        slices=field_names(f"shadow_slices of {_CANARY}", shadow_slices),
    )


def ab(
    weights: Mapping[str, float] | None = None,
    *,
    days: float = 14,
    guardrails: Mapping[str, float] | None = None,
    success: Mapping[str, float] | None = None,
    harmful: Mapping[str, float] | None = None,
    unit: str | Sequence[str] = (),
    layer: str = "version",
    traffic: float = 100,
    only: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    holdout: float = 0.0,
    holdout_for: str = "90d",
    watch: str = WATCH,
    alpha: float = 0.01,
    answers: int = 2_000,
) -> ReleasePlan:
    """An A/B test: fixed shares for the arms until a person decides.

    `weights`: {arm: weight}, by default {"control": 1, "candidate": 1}. `days`: the planned length, after which the
    release is held. Guardrails abort as in `canary`; no version is promoted automatically. Other arguments: as in
    `canary`. Raises `BadDeclaration`.
    """
    constants = {"patience_us": days_of(days) * 86_400e6, "n_best": float(count_above_0("answers", answers))}
    return _plan(
        "ab",
        constants,
        weights=weights_of("weights of ab(...)", weights),
        watch=watch,
        guardrails=guardrails,
        success=success,
        harmful=harmful,
        unit=unit,
        layer=layer,
        traffic=traffic,
        only=only,
        overrides=overrides,
        holdout=holdout,
        holdout_for=holdout_for,
        alpha=alpha,
    )


def bandit(
    weights: Mapping[str, float] | None = None,
    *,
    reward: str,
    policy: str = "thompson",
    explore: float = 0.1,
    every: str = "1h",
    days: float = 14,
    group: str = "",
    **others: Any,
) -> ReleasePlan:
    """A multi-armed bandit: every `every`, the shares of the arms are updated from the label `reward` of responses.

    `policy`: "thompson", "ucb" or "epsilon-greedy". `explore`: the share that is always divided evenly among the arms,
    so that the propensity of every response is above 0. `group`: a field of the request; each of its values has its own
    shares (a contextual bandit by group). `weights`: the shares before the first update. `others`: as in `ab`. Raises
    `BadDeclaration`.
    """
    if not isinstance(group, str):
        raise BadDeclaration("group of bandit(...)", "a field of the request", group)
    if not is_name(reward):
        raise BadDeclaration("reward of bandit(...)", "the name of a label", reward)
    plan = ab(weights, days=days, success={reward: 0.0}, **known_arguments("bandit", others, ab))
    if policy not in BANDIT_POLICIES:
        raise BadDeclaration("policy of bandit(...)", f"one of {', '.join(BANDIT_POLICIES)}", policy)
    floor = number_above_0("explore", explore)
    if floor >= 1:
        raise BadDeclaration("explore of bandit(...)", "a share below 1", explore)
    period = float(declared_duration("every of bandit(...)", every))
    constants = {
        **plan.constants,
        "step_time_us": period,
        "floor": floor,
        "policy": float(BANDIT_POLICIES.index(policy)),
    }
    return msgspec.structs.replace(plan, kind="bandit", constants=constants, group=group)


BANDIT_POLICIES = ("epsilon-greedy", "thompson", "ucb")


def switchback(
    period: str = "1h", *, burn_in: str = "0s", days: float = 14, unit: str | Sequence[str] = (), **others: Any
) -> ReleasePlan:
    """A switchback: all requests of one period go to one arm, which is drawn again for each period.

    It is for units that affect each other, such as the drivers of one city. `burn_in`: the time at the beginning of
    each period that is left out, because the previous period still has an effect. `unit`: a field, such as a city;
    periods are drawn independently for each of its values. `others`: as in `ab`; a switchback takes its whole layer.
    Raises `BadDeclaration`.
    """
    plan = ab(days=days, unit=unit, **known_arguments("switchback", others, ab))
    if plan.traffic != 10_000:
        raise BadDeclaration(
            "traffic of switchback(...)", "100: time is not divided among releases", plan.traffic / 100
        )
    period_us, burn_in_us = (
        float(declared_duration(f"{name} of switchback(...)", value))
        for name, value in (("period", period), ("burn_in", burn_in))
    )
    if not burn_in_us < period_us:
        raise BadDeclaration("burn_in of switchback(...)", f"shorter than the period of {period}", burn_in)
    constants = {**plan.constants, "period_us": period_us, "burn_in_us": burn_in_us}
    return msgspec.structs.replace(plan, kind="switchback", constants=constants)


def interleave(
    *rankers: str,
    credit: str = "",
    within: str = "1d",
    days: float = 14,
    unit: str | Sequence[str] = (),
    **others: Any,
) -> ReleasePlan:
    """Team draft interleaving: each list is drafted from the lists of the champion and other versions.

    Every user compares the versions, so it needs far fewer users than an A/B test. Only for tasks that answer with
    lists. `rankers`: names of the arms besides control, one for each version, up to 3; default: "candidate". `credit`:
    the label of an item that counts as a win for the version that placed it; default: the task's first label. `within`:
    how long after its first drafted list the lists of a unit count. `others`: as in `ab`, without weights, because all
    arms take part in every list. Raises `BadDeclaration`.
    """
    names = rankers or ("candidate",)
    if len(names) > MOST_RANKERS or len({"control", *names}) != len(names) + 1 or not all(map(is_arm_name, names)):
        must = f'one to {MOST_RANKERS} different names of arms beside "control"'
        raise BadDeclaration("rankers of interleave(...)", must, rankers)
    if not isinstance(credit, str):
        raise BadDeclaration("credit of interleave(...)", "the name of a label", credit)
    plan = ab(
        dict.fromkeys(("control", *names), 1.0),
        days=days,
        unit=unit,
        success={credit: 0.0} if credit else {},
        **known_arguments("interleave", others, ab, ("weights",)),
    )
    constants = {**plan.constants, "unit_us": float(declared_duration("within of interleave(...)", within))}
    return msgspec.structs.replace(plan, kind="interleave", constants=constants)


MOST_RANKERS = 3
"""Versions besides control. The exact propensities of a draft take 10 ms for four lists, 0.1 ms for two."""


SHADOW_CONSTANTS = {"shadow_answers": 1_000.0, "shadow_budget": 0.5}
"""Constants of every release that may run as a shadow: the minimum number of responses before it advances
automatically, and the share of one processor's time that it may take."""


def shadow(
    sample: float = 100,
    *,
    steps: Sequence[float] = (),
    days: float = 7,
    slices: str | Sequence[str] = (),
    budget: float = 0.5,
    **others: Any,
) -> ReleasePlan:
    """A shadow release: the candidate answers `sample` percent of the requests too, and users never see its responses.

    It answers shortly after the champion, in its own process, which may take `budget` of one processor's time. If a
    guardrail is shown to be broken, the release is aborted; after `days` it is held. It does not advance automatically:
    a person advances it to a canary with `steps`, promotes, finishes or aborts it. `slices`: fields of the request;
    responses are also counted by their values. `others`: as in `canary`. Raises `BadDeclaration`.
    """
    if not isinstance(steps, list | tuple):
        raise BadDeclaration("steps of shadow(...)", "a list of percentages, such as [1, 5, 25, 50, 100]", steps)
    own = known_arguments("shadow", others, canary, ("shadow", "patience", "shadow_sample", "shadow_slices"))
    plan = canary(*steps, shadow_sample=sample, shadow_slices=slices, **own)
    if not isinstance(budget, int | float) or isinstance(budget, bool) or not 0 < budget <= 1:
        raise BadDeclaration("budget of shadow(...)", "a share of one processor's time, above 0 and up to 1", budget)
    constants = {"patience_us": days_of(days) * 86_400e6, "shadow_budget": float(budget)}
    return msgspec.structs.replace(plan, kind="shadow", constants={**plan.constants, **constants})


def as_shadow(plan: ReleasePlan, sample: float | None = None) -> ReleasePlan:
    """The shadow release that precedes a release by `plan`, with the same guardrails and, if it has any, steps.

    `sample`: percent of the requests (default: as declared). Raises `BadDeclaration`.
    """
    own = plan if plan.kind in ("canary", "shadow") else msgspec.structs.replace(shadow(), guardrails=plan.guardrails)
    sampled = own.sampled if sample is None else share_of("sample of a shadow", sample) / 10_000
    return msgspec.structs.replace(own, kind="shadow", shadow_first=False, sampled=sampled)


_CANARY = "canary(...)"


def _plan(
    kind: str,
    constants: Mapping[str, float],
    *,
    watch: str,
    guardrails: Mapping[str, float] | None,
    harmful: Mapping[str, float] | None,
    holdout: float,
    holdout_for: str,
    unit: str | Sequence[str],
    alpha: float,
    success: Mapping[str, float] | None = None,
    only: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    layer: str = "version",
    traffic: float = 100,
    **fields: Any,
) -> ReleasePlan:
    where = f"{kind}(...)"
    if not isinstance(alpha, float) or not 0 < alpha < 0.5:
        raise BadDeclaration(f"alpha of {where}", "between 0 and 0.5", alpha)
    if not isinstance(layer, str) or not layer:
        raise BadDeclaration(f"layer of {where}", "a name", layer)
    arms = list(fields.get("weights") or ("control", "candidate"))
    return ReleasePlan(
        kind=kind,
        constants={**constants, "alpha": alpha},
        guardrails={**GUARDRAILS, **rate_margins(f"guardrails of {where}", guardrails, GUARDRAILS)},
        success=margins_of(f"success of {where}", success),
        harmful=margins_of(f"harmful of {where}", harmful),
        unit=field_names(f"unit of {where}", unit),
        layer=layer,
        traffic=share_of(f"traffic of {where}", traffic),
        targets=values_by_field(f"only of {where}", only),
        overrides=overrides_of(f"overrides of {where}", overrides, arms),
        holdout=share_of(f"holdout of {where}", holdout) / 10_000 if holdout else 0.0,
        holdout_us=declared_duration(f"holdout_for of {where}", holdout_for),
        watch_us=declared_duration(f"watch of {where}", watch),
        **fields,
    )
