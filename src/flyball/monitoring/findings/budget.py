"""Which observations become findings: one budget of false findings for all monitors of an application.

Each monitor collects evidence over its looks; it has a finding once the evidence of all monitors together leaves an
expected time to the first false finding of any of them of at least the budget's. A finding holds until what it saw was
too small to matter for two looks in a row; then the monitor starts again.
"""

from collections.abc import Mapping, Sequence
from math import inf, log

from msgspec import Struct
from msgspec.structs import replace

from flyball.monitoring.findings.finding import Finding, fingerprint_of
from flyball.monitoring.findings.observation import Observation
from flyball.statistics import alarms_among, next_log_wealth

_QUIET_LOOKS = 2
_LARGEST = 1e6


class MonitorState(Struct, frozen=True):
    """Where a monitor of one subject stands.

    `log_wealth`: its evidence, the log of an e-detector's wealth. `log_since`: the part of it that came since
    `since_us`, the likeliest start of a change: there the product of the e-values since then is largest (CUSUM); while
    a finding holds, it holds since then. `firing`: whether it has a finding. `quiet`: looks in a row that saw nothing
    that matters. `looks`: all.
    """

    log_wealth: float = -inf
    log_since: float = 0.0
    since_us: int | None = None
    firing: bool = False
    quiet: int = 0
    looks: int = 0

    @property
    def suspected_us(self) -> int | None:
        """Since when something seems to be wrong; None if nothing does."""
        return self.since_us if self.firing or self.log_since > 0 else None


class FindingsDecision(Struct, frozen=True):
    """The result of a round: states by fingerprint, findings that hold, new ones first, and what no longer holds.

    `cleared`: fingerprints.
    """

    states: dict[str, MonitorState]
    findings: tuple[Finding, ...]
    new: tuple[str, ...]
    cleared: tuple[str, ...]


def decide_findings(
    states: Mapping[str, MonitorState],
    observations: Sequence[Observation],
    *,
    since_us: int,
    at_us: int,
    run_length: float,
) -> FindingsDecision:
    """Decide on the observations of one round of looks, those of the window `[since_us, at_us)`.

    `run_length`: the expected number of rounds until a false finding, at least. `states`: of the round before. Monitors
    that did not look in this round stay as they are.
    """
    looked = {fingerprint_of(seen.monitor, seen.subject): seen for seen in observations}
    after = dict(states)
    for key, seen in looked.items():
        after[key] = _look(states.get(key, MonitorState()), seen, since_us)
    ready = {key: after[key].log_wealth for key in looked if not after[key].firing}
    new = [key for key in alarms_among(ready, run_length) if looked[key].matters]
    cleared = []
    for key in new:
        after[key] = replace(after[key], firing=True, quiet=0, log_wealth=-inf)
    for key in looked:
        if after[key].firing and after[key].quiet >= _QUIET_LOOKS:
            cleared.append(key)
            after[key] = MonitorState(looks=after[key].looks)
    holding = [*new, *(key for key in looked if after[key].firing and key not in new)]
    findings = tuple(looked[key].finding(at_us, after[key].since_us or since_us) for key in holding)
    return FindingsDecision(after, findings, tuple(new), tuple(cleared))


def _look(state: MonitorState, seen: Observation, since_us: int) -> MonitorState:
    looks = state.looks + 1
    if state.firing:
        return replace(state, quiet=0 if seen.matters else state.quiet + 1, looks=looks)
    wealth = next_log_wealth(state.log_wealth, seen.e_value)
    log_e = min(log(seen.e_value), _LARGEST) if seen.e_value > 0 else -_LARGEST
    goes_on = state.since_us is not None and state.log_since > 0
    return replace(
        state,
        log_wealth=wealth,
        log_since=max(0.0, state.log_since + log_e),
        since_us=state.since_us if goes_on else since_us,
        looks=looks,
    )
