"""Lists drafted by several rankers, and values of policies from a log."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from flyball.core import BadInput
from flyball.statistics import (
    list_value,
    policy_value,
    team_credit,
    team_draft,
)
from published.lines import Line, absent, agrees


def interleaving(known: dict[str, Any]) -> Iterator[Line]:
    """Team draft; the other drafts are not offered."""
    for case in known["team_draft"]["possible"]:
        drawn = [team_draft(case["lists"], case["k"], np.random.default_rng(seed)) for seed in range(400)]
        name = f"team draft of {case['lists']}, {case['k']} places"
        if "out" in case:
            yield agrees(name, {draft.items for draft in drawn} == {tuple(out) for out in case["out"]})
        else:
            yield Line(name, case["n_distinct_rankings"], len(set(drawn)), 0.0)
    for case in known["team_draft"]["teams"]:
        drawn = [team_draft(case["lists"], case["k"], np.random.default_rng(seed)) for seed in range(100)]
        teams = {items[0]: int(team) for team, items in case["teams"].items()}
        drafts = [dict(zip(draft.items, draft.teams, strict=True)) for draft in drawn]
        yield agrees(f"teams of {case['lists']}", teams in drafts)
    for case in known["team_draft"]["credit"]:
        owners = [0 if item in case["teams"]["0"] else 1 for item in case["ranking"]]
        for clicks, wins in case["clicks_to_wins"]:
            a, b = team_credit(owners, clicks)
            winner = [[0, 1]] if a > b else [[1, 0]] if b > a else []
            yield agrees(f"credit of {case['ranking']}, clicks {clicks}", winner == wins)
    reasons = {
        "balanced": "biased where one ranking repeats the other one shifted (Radlinski et al. 2008)",
        "pairwise_preference": "its preferences need a model of what was examined; credit needs none",
        "optimized": "its shares come from a linear program per query; a team draft needs none",
    }
    for kind, why in reasons.items():
        for name, cases in known[kind].items():
            if isinstance(cases, list) and kind != "optimized":
                yield absent(f"{kind}, {name}: {len(cases)} cases", len(cases), why)
    yield absent("optimized, probabilities: 3 lists", 3, reasons["optimized"])


def off_policy(known: dict[str, Any]) -> Iterator[Line]:
    """IPS and SNIPS, the pseudoinverse over slots; maximum likelihood and Cressie-Read are not offered."""
    case = known["single_example"]
    row = ([case["p_pred"]], [case["p_log"]], [case["r"]])
    for name in ("IPS", "SNIPS"):
        yield Line(f"one example, {name}", case[name], policy_value(*row, name.lower()).value)
    for name in ("MLE", "CressieRead"):
        yield absent(f"one example, {name}", case[name], "SNIPS with its interval answers the same question")
    for case in known["constants"]:
        ones = np.ones(case["n"])
        for name in ("ips", "snips"):
            ours = policy_value(ones, ones, case["r"] * ones, name).value
            yield Line(f"reward always {case['r']}, {name.upper()}", case["all_estimators"], ours)
    yield from alternating(known["alternating"])
    yield from two_slots(known["pseudo_inverse_slates"])
    slot = known["pi_single_slot_equals_ips"]
    columns = [np.array(slot[name])[:, None] for name in ("p_pred", "p_log", "r")]
    yield Line("one slot, pseudoinverse", slot["IPS_by_hand"], list_value(*columns, form="additive").value)
    for case in known["ccb_first_slot"]:
        first = [[case[name][0]] for name in ("p_pred", "p_log", "r")]
        yield Line("first slot, IPS", case.get("IPS", case.get("first_slot")), policy_value(*first, "ips").value)
    try:
        policy_value([], [], [])
    except BadInput:
        yield Line("no rows, value", 0.0, None, why="no rows are refused; VowpalWabbit: None with infinite ends")
    yield absent("fraud example, doubly robust", -28.47, "its rows and its reward model are not in the file")


def alternating(rule: dict[str, Any]) -> Iterator[Line]:
    """Values by hand, and intervals that shrink with rows and with alpha."""

    def value(count: int, estimator: str, alpha: float = 0.05) -> Any:
        even = np.arange(count) % 2 == 0
        rows = (np.where(even, 0.2, 0.8), np.full(count, 0.5), even.astype(float))
        return policy_value(*rows, estimator, alpha=alpha)

    for name in ("ips", "snips"):
        yield Line(f"alternating, {name.upper()}", rule[f"{name.upper()}_by_hand"], value(rule["n"], name).value)
        few, more = value(100, name), value(10_000, name)
        yield agrees(
            f"alternating, {name.upper()}, more rows within fewer", few.low <= more.low <= more.high <= few.high
        )
        levels = [value(rule["n"], name, alpha) for alpha in (0.1, 0.5, 0.9)]
        nested = all(wide.low <= narrow.low and narrow.high <= wide.high for wide, narrow in pairwise(levels))
        yield agrees(f"alternating, {name.upper()}, nested in alpha", nested)


def two_slots(known: dict[str, Any]) -> Iterator[Line]:
    """The pseudoinverse over slots; a reward where both slots chose 1, which the policy does with .2 each."""
    rows = np.arange(1000)  # as its rule says
    chosen = np.stack([rows % 2, rows % 4 // 2], axis=1)
    reward = np.zeros(chosen.shape)
    reward[:, 0] = (chosen == 1).all(axis=1)
    found = list_value(np.where(chosen == 0, 0.8, 0.2), np.full(chosen.shape, 0.5), reward, "additive")
    why = (
        "by hand a quarter of the rows counts (.4 + .4 - 1) r = -.2, so -.05; the test that says .2 holds its checks "
        "inside the generator of rows, which is never run"
    )
    yield Line("slates of two slots, by hand", -0.05, found.value)
    yield Line("slates of two slots, as published", known["estimate"], found.value, why=why)
