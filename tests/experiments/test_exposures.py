"""Who took part: once each, by the first exposure, whatever the order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import Refused
from flyball.experiments import Exposed, first_exposures

exposed = st.builds(
    Exposed,
    unit=st.sampled_from("abc"),
    arm=st.sampled_from(["control", "candidate"]),
    propensity=st.just(0.5),
    at_us=st.integers(0, 10),
    known_us=st.integers(0, 14),
    id=st.sampled_from("xyz"),
    fields=st.builds(lambda device: {"device": device}, st.sampled_from(["tv", "phone"])),
)


@given(st.lists(exposed, max_size=12), st.integers(0, 14), st.randoms())
def test_a_unit_takes_part_once_by_its_first_exposure_known_then(
    exposures: list[Exposed], as_of: int, random: Any
) -> None:
    known = [one for one in exposures if one.known_us <= as_of and one.at_us <= as_of]
    first = {
        unit: min((one for one in known if one.unit == unit), key=lambda one: (one.at_us, one.id, one.arm))
        for unit in {one.unit for one in known}
    }
    shuffled = [*exposures, *exposures]
    random.shuffle(shuffled)
    found = first_exposures(shuffled, as_of)
    assert {unit: (arm, at) for unit, arm, _, at in found.frame.iter_rows()} == {
        unit: (one.arm, one.at_us) for unit, one in first.items()
    }
    switched = sum(len({one.arm for one in known if one.unit == unit}) > 1 for unit in first)
    assert found.switched == switched
    assert found.frame["unit"].is_sorted()


def exposure(unit: str, arm: str, share: float, at_us: int = 0) -> Exposed:
    return Exposed(unit, arm, share, at_us, at_us)


def test_steps_of_a_ramp_are_strata_with_their_shares() -> None:
    exposures = [
        exposure("a", "control", 0.99),
        exposure("b", "candidate", 0.01),
        exposure("c", "control", 0.75, 5),
        exposure("a", "candidate", 0.25, 9),
    ]
    found = first_exposures(exposures, 100)
    assert list(found.shares) == ["1 %", "25 %"]
    assert found.shares["1 %"] == pytest.approx({"control": 0.99, "candidate": 0.01})
    assert found.shares["25 %"] == pytest.approx({"control": 0.75, "candidate": 0.25})
    assert found.counts()["1 %"] == {"control": 1, "candidate": 1}
    assert found.counts()["25 %"] == {"control": 1, "candidate": 0}
    assert found.switched == 1


def test_three_arms_are_one_stratum_and_may_not_change_their_shares() -> None:
    exposures = [exposure("a", "control", 0.5), exposure("b", "b", 0.3), exposure("c", "c", 0.2)]
    found = first_exposures(exposures, 100)
    assert (found.arms, found.shares) == (("control", "b", "c"), {"all": {"control": 0.5, "b": 0.3, "c": 0.2}})
    message = (
        "same all the time to compare their units, got 30.00% and 40.00% of b: in a bandit they follow the rewards"
    )
    with pytest.raises(Refused, match=message):
        first_exposures([*exposures, exposure("d", "b", 0.4)], 100)


def test_nothing_is_a_result_too() -> None:
    found = first_exposures([], 100, slices=("device",))
    assert (found.frame.height, found.arms, found.shares) == (0, ("control",), {})
    assert found.frame.columns == ["unit", "arm", "stratum", "at", "device"]
