"""Windows since a suspicion are left out, as long as a week of others is left."""

import numpy as np

from flyball.monitoring import MonitorState, Observation, decide_findings, fingerprint_of
from flyball.monitoring.findings.budget import suspects_of
from flyball.monitoring.performance.loss_windows import rise_p
from flyball.monitoring.watch.suspected import first_suspicion, undoubted
from flyball.statistics import e_of_p

DAY_US = 86_400_000_000


def test_windows_count_that_ended_before_the_suspicion() -> None:
    starts = list(range(0, 100, 10))
    assert undoubted(starts, 10, None) == starts
    assert undoubted(starts, 10, 80) == starts[:8]  # the window from 70 ends at 80
    assert undoubted(starts, 10, 79) == starts[:7]
    assert undoubted(starts, 10, 69) == starts  # six are fewer than a week


def test_the_first_suspicion_of_any_monitor_and_subject_counts() -> None:
    suspects = {
        fingerprint_of("performance", "sale"): 30,
        fingerprint_of("calibration", "sale"): 20,
        fingerprint_of("performance", "sale.shop=acme"): 10,
    }
    assert first_suspicion(suspects, ["performance", "calibration"], ["sale"]) == 20
    assert first_suspicion(suspects, ["performance"], ["sale", "sale.shop=acme"]) == 10
    assert first_suspicion(suspects, ["label_share"], ["sale"]) is None


def found_days(seed: int, rise: float, leaves_out: bool) -> list[int]:
    """The days on which losses of 150 keys a day are found to have risen, of 45 days, by `rise` from day 19 on."""
    rng, key = np.random.default_rng(seed), fingerprint_of("performance", "sale")
    states: dict[str, MonitorState] = {}
    days, found = list[np.ndarray](), list[int]()
    for day in range(45):
        middle = 0.93 + rng.normal(0, 0.006) + (rise if day >= 19 else 0)
        now = middle + 0.19 * rng.standard_normal(150)
        if day >= 9:
            suspected_us = suspects_of(states, day * DAY_US).get(key) if leaves_out else None
            starts = undoubted([start * DAY_US for start in range(max(0, day - 28), day)], DAY_US, suspected_us)
            p = rise_p([days[start // DAY_US] for start in starts], now)
            seen = Observation("performance", "sale", float(e_of_p([p or 1.0])[0]), now.mean() > 0.935, "", daily=True)
            window_us = day * DAY_US, (day + 1) * DAY_US
            decision = decide_findings(
                states, [seen], since_us=window_us[0], at_us=window_us[1], run_length=30, unit_us=DAY_US
            )
            states = decision.states
            found += [day] if decision.new else []
        days.append(now)
    return found


def test_a_lasting_rise_is_found_more_often_and_quiet_days_stay_quiet() -> None:
    """A rise by less than a standard error of a day: its own days would become the reference."""
    hidden, seen = ([found_days(seed, 0.015, leaves_out) for seed in range(16)] for leaves_out in (False, True))
    in_time = [sum(any(19 <= day < 30 for day in found) for found in runs) for runs in (hidden, seen)]
    assert in_time[1] >= in_time[0] + 3
    quiet = [day for seed in range(8) for day in found_days(seed, 0.0, leaves_out=True)]
    assert len(quiet) <= 2  # in eight times 36 days the budget is 9
