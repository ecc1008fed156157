"""Routing is a function of state and request: sticky, only widening, independent across layers, of exact propensity."""

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flyball.outcomes import Exposure
from flyball.releases import (
    BUCKETS,
    HoldoutGroup,
    Override,
    Release,
    ReleaseArm,
    ReleaseState,
    Route,
    Router,
    bucket_of,
    route,
    unit_of,
)

USERS = [str(number) for number in range(4_000)]


def arms(**versions: str) -> tuple[ReleaseArm, ...]:
    return (ReleaseArm("control"), *(ReleaseArm(name, version) for name, version in versions.items()))


def canary(share: int, **fields: Any) -> Release:
    fixed: Any = {"id": "rel1", "kind": "canary", "state": "canary", "salt": "rel1", "steps": (share,)}
    return Release(arms=arms(candidate="v2"), **{**fixed, **fields})


def ab(name: str, **fields: Any) -> Release:
    fixed: Any = {"id": name, "kind": "ab", "state": "ab", "salt": name, "arms": arms(candidate="v2")}
    return Release(**{**fixed, **fields})


def of(*releases: Release, **fields: Any) -> Router:
    return Router(ReleaseState(champion="v1", releases=releases, **fields))


def test_a_ramp_only_widens_and_is_sticky() -> None:
    seen: set[str] = set()
    steps = (100, 500, 2_500, 5_000, 10_000)
    for step, share in enumerate(steps):
        router = of(canary(share, steps=steps, step=step))
        routes = {user: router.route(user) for user in USERS}
        new = {user for user, each in routes.items() if each.version == "v2"}
        assert seen <= new
        assert abs(len(new) / len(USERS) - share / 10_000) < 0.02
        taken = Exposure("rel1", "candidate", share / 10_000)
        assert all(routes[user] == Route("v2", "candidate", share / 10_000, (taken,)) for user in new)
        left = Exposure("rel1", "control", 1 - share / 10_000)
        assert all(
            each == Route("v1", "control", 1 - share / 10_000, (left,))
            for user, each in routes.items()
            if user not in new
        )
        seen = new
    assert seen == set(USERS)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=6, unique=True), st.text(max_size=8))
def test_no_ramp_ever_takes_an_arm_away(shares: list[int], salt: str) -> None:
    before: set[str] = set()
    for step in range(len(shares)):
        router = of(canary(0, salt=salt, steps=tuple(sorted(shares)), step=step))
        now = {user for user in USERS[:400] if router.route(user).version == "v2"}
        assert before <= now
        before = now


def test_an_arm_takes_the_buckets_from_its_first_to_before_the_next() -> None:
    """Arms of 1 % and 2 % take the buckets 0 to 99 and 100 to 299."""
    weighted = (ReleaseArm("a", "v2", None, 1), ReleaseArm("b", "v3", None, 2), ReleaseArm("control", "", None, 97))
    router = of(ab("s", arms=weighted))
    key_in: dict[int, str] = {}
    for number in range(200_000):
        key_in.setdefault(bucket_of(str(number), "s"), str(number))
    expected = {0: "a", 99: "a", 100: "b", 299: "b", 300: "control", BUCKETS - 1: "control"}
    assert {bucket: router.route(key_in[bucket]).arm for bucket in expected} == expected
    assert {router.route(key_in[bucket]).propensity for bucket in (0, 100, 300)} == {0.01, 0.02, 0.97}


def test_buckets_are_even_and_arms_of_different_releases_independent() -> None:
    units = [str(number) for number in range(20_000)]
    counts = Counter(bucket_of(unit, "one") // 500 for unit in units)
    assert stats.chisquare([counts[cell] for cell in range(20)]).pvalue > 0.001
    varies = (ReleaseArm("control"), ReleaseArm("candidate", "", 3))
    router = of(ab("rel1"), ab("rel2", layer="arrangement", arms=varies))
    cells = Counter(tuple(each.arm for each in router.route(unit).exposures) for unit in units)
    table = [[cells[first, second] for second in ("control", "candidate")] for first in ("control", "candidate")]
    assert sum(map(sum, table)) == len(units)
    assert stats.chi2_contingency(table).pvalue > 0.001
    assert all(abs(cell / len(units) - 0.25) < 0.02 for row in table for cell in row)


def test_releases_of_one_layer_share_no_unit() -> None:
    first, second = ab("rel1", first=0, end=3_000), ab("rel2", first=3_000, end=5_000, arms=arms(candidate="v3"))
    routes = [of(first, second).route(user) for user in USERS]
    assert max(len(each.exposures) for each in routes) == 1
    shares = Counter(each.exposures[0].release if each.exposures else "" for each in routes)
    assert {name: pytest.approx(count / len(USERS), abs=0.03) for name, count in shares.items()} == {
        "rel1": 0.3,
        "rel2": 0.2,
        "": 0.5,
    }
    assert {each.version: each.propensity for each in routes} == {
        "v1": pytest.approx(0.15 + 0.1 + 0.5),
        "v2": pytest.approx(0.15),
        "v3": pytest.approx(0.1),
    }


def test_propensities_are_how_often_a_version_answers() -> None:
    """Over many salts, the version that one request goes to is drawn as its propensity says, the holdout included."""
    seen: Counter[str] = Counter()
    said: dict[str, float] = {}
    for draw in range(4_000):
        router = of(
            canary(3_000, salt=f"c{draw}", first=0, end=5_000),
            ab(f"a{draw}", first=5_000, end=8_000, arms=arms(candidate="v3")),
            holdout=HoldoutGroup(0.1, f"h{draw}", "v0"),
        )
        found = router.route(f"user {draw}")
        seen[found.version] += 1
        assert said.setdefault(found.version, found.propensity) == pytest.approx(found.propensity)
    assert sum(said.values()) == pytest.approx(1.0)
    for version, propensity in said.items():
        assert stats.binomtest(seen[version], 4_000, propensity).pvalue > 0.001, (version, propensity, seen[version])


def test_the_holdout_takes_part_in_nothing() -> None:
    router = of(canary(10_000), holdout=HoldoutGroup(0.2, "h", "v0"))
    routes = [router.route(user) for user in USERS]
    held = [each for each in routes if each.arm == "holdout"]
    assert abs(len(held) / len(USERS) - 0.2) < 0.03
    assert {each.version for each in held} == {"v0"}
    assert {each.exposures for each in held} == {(Exposure("holdout", "holdout", 0.2),)}
    rest = next(each for each in routes if each.arm != "holdout")
    assert rest.exposures == (Exposure("holdout", "rest", 0.8), Exposure("rel1", "candidate", 1.0))
    assert (rest.propensity, held[0].propensity) == (pytest.approx(0.8), pytest.approx(0.2))


def test_units_are_the_declared_fields_and_anonymous_ones_keep_their_arm() -> None:
    router = of(ab("rel1", unit=("session", "device")))
    arms_of = {
        session: {router.route(key, SimpleNamespace(session=session, device="d")).arm for key in USERS[:20]}
        for session in (f"s{number}" for number in range(20))
    }
    assert all(len(seen) == 1 for seen in arms_of.values())
    assert set.union(*arms_of.values()) == {"control", "candidate"}
    without = router.route("7", SimpleNamespace(session="", device="d"))
    assert without == router.route("8", SimpleNamespace(session=None, device="d"))
    assert router.route("7", SimpleNamespace(session="", device="")) == Route("v1", "champion", 1.0)
    assert unit_of(("session", "device"), "7", {"session": "", "device": "d"}) == "d"
    assert unit_of((), "7", {}) == "7"
    assert unit_of(("session",), "7", {}) is None


def test_targets_and_overrides_are_by_declared_fields() -> None:
    tester = Override({"group": ("staff",)}, "candidate")
    router = of(ab("rel1", targets={"country": ("NL", "BE")}, overrides=(tester,)))
    assert router.route("1", SimpleNamespace(country="DE", group="")) == Route("v1", "champion", 1.0)
    assert router.route("1", SimpleNamespace(country="NL", group="")).exposures[0].release == "rel1"
    assert router.route("1", SimpleNamespace(country="DE", group="staff")) == Route("v2", "candidate", 1.0)


def test_an_override_holds_in_whichever_release_of_the_layer_the_unit_falls() -> None:
    staff = Override({"group": ("staff",)}, "candidate")
    first = ab("rel1", end=5_000, arms=arms(candidate="v2"))
    second = ab("rel2", first=5_000, arms=arms(candidate="v3"), overrides=(staff,))
    router = of(first, second)
    overridden = {router.route(user, SimpleNamespace(group="staff")) for user in USERS[:200]}
    assert overridden == {Route("v3", "candidate", 1.0)}
    others = [router.route(user, SimpleNamespace(group="")).exposures[0].release for user in USERS]
    assert abs(others.count("rel1") / len(others) - 0.5) < 0.03


def test_a_forced_arm_takes_part_in_no_comparison() -> None:
    router = of(canary(100), ab("rel2", layer="other", arms=arms(treated="v3")))
    assert router.route("1", None, "candidate") == Route("v2", "candidate", 1.0)
    assert router.route("1", None, "rel2:treated") == Route("v3", "treated", 1.0)
    assert router.route("1", None, "nonesuch") == router.route("1")


def test_what_is_held_keeps_its_arms_and_what_is_over_has_none() -> None:
    running, held = of(canary(5_000)), of(canary(5_000, state="held", resumes="canary"))
    assert all(running.route(user) == held.route(user) for user in USERS[:200])
    for state in ("draft", "shadow", "aborted", "rolled_back", "champion"):
        assert of(canary(5_000, state=state)).route("1") == Route("v1", "champion", 1.0)


def test_a_switchback_gives_a_stretch_of_time_to_one_arm() -> None:
    router = of(ab("rel1", kind="switchback", state="switchback", constants={"period_us": 100.0}))
    by_period = [
        {router.route(user, SimpleNamespace(at=at)).arm for user in USERS[:9] for at in (p * 100, p * 100 + 99)}
        for p in range(40)
    ]
    assert all(len(seen) == 1 for seen in by_period)
    assert set.union(*by_period) == {"control", "candidate"}


def test_arms_are_the_same_in_another_process() -> None:
    code = (
        "from flyball.releases import bucket_of\n"
        "print([bucket_of(str(n), s) for s in ('rel1', 'h') for n in range(50)])"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert there.strip() == str([bucket_of(str(n), s) for s in ("rel1", "h") for n in range(50)])
    assert [bucket_of(user, "rel1") for user in ("1", "2", "ü")] == [7160, 6395, 8671]


@given(st.text(), st.text(max_size=100))
def test_any_user_has_a_bucket(user: str, salt: str) -> None:
    assert 0 <= bucket_of(user, salt) < BUCKETS


def test_one_request_is_routed_without_a_router_of_its_own() -> None:
    state = ReleaseState(champion="v1", releases=(canary(5_000),))
    assert route(state, "7") == Router(state).route("7")
