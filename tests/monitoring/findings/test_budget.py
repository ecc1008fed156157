"""The budget of findings: quiet monitors stay quiet, a fault is found, holds, clears and may return."""

from math import inf

import numpy as np

from flyball.monitoring import FindingsDecision, MonitorState, Observation, decide_findings, fingerprint_of
from flyball.statistics import e_of_p

VOLUME = fingerprint_of("volume", "events.Buy")


def _observed(e_value: float, matters: bool = True, monitor: str = "volume") -> Observation:
    return Observation(monitor, "events.Buy", e_value, matters, "half of the usual rows", evidence={"rows": 5})


def _rounds(looks: list[list[Observation]], run_length: float = 100) -> list[FindingsDecision]:
    states: dict[str, MonitorState] = {}
    decisions = []
    for number, observations in enumerate(looks):
        decision = decide_findings(
            states, observations, since_us=number * 10, at_us=number * 10 + 10, run_length=run_length
        )
        states = decision.states
        decisions.append(decision)
    return decisions


def test_evidence_of_several_looks_adds_up_to_one_finding() -> None:
    looks = [[_observed(0.5, matters=False)]] * 3 + [[_observed(6.0)]] * 6
    decisions = _rounds(looks)
    news = [number for number, decision in enumerate(decisions) if decision.new]
    assert news == [5]
    (finding,) = decisions[5].findings
    assert (finding.at_us, finding.since_us, finding.fingerprint) == (60, 30, VOLUME)
    assert finding.message == "half of the usual rows"
    assert finding.evidence == {"rows": 5}
    assert [len(decision.findings) for decision in decisions[5:]] == [1, 1, 1, 1]
    assert decisions[8].findings[0].since_us == 30


def test_what_is_too_small_to_matter_is_no_finding_however_certain() -> None:
    assert not any(decision.findings for decision in _rounds([[_observed(inf, matters=False)]] * 5))


def test_a_fact_is_a_finding_at_once_and_clears_after_two_quiet_looks() -> None:
    quiet = [_observed(0.5, matters=False)]
    decisions = _rounds([quiet, [_observed(inf)], quiet, [_observed(inf)], quiet, quiet, quiet, [_observed(inf)]])
    assert [decision.new for decision in decisions].count((VOLUME,)) == 2
    assert [decision.cleared for decision in decisions] == [(), (), (), (), (), (VOLUME,), (), ()]
    assert decisions[7].findings[0].since_us == 70


def test_a_monitor_that_does_not_look_keeps_its_finding() -> None:
    other = [_observed(0.5, matters=False, monitor="missing")]
    decisions = _rounds([[_observed(inf)], other, other, other])
    assert not any(decision.cleared for decision in decisions)
    assert decisions[-1].states[VOLUME].firing


def test_two_months_of_a_hundred_quiet_monitors_have_few_findings() -> None:
    """Hourly looks at a budget of one false finding a month; every observation would matter."""
    findings = 0
    for seed in range(2):
        rng = np.random.default_rng(seed)
        e_values = e_of_p(rng.uniform(size=(60 * 24, 100)))
        names = [f"feature_{number}" for number in range(100)]
        looks = [
            [Observation("shift", name, float(e), True, "") for name, e in zip(names, row, strict=True)]
            for row in e_values
        ]
        findings += sum(len(decision.new) for decision in _rounds(looks, run_length=30 * 24))
    assert findings <= 4
