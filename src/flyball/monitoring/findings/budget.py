"""Which observations become findings: one budget of false findings for all monitors of an application.

Each monitor collects evidence over spells: within a spell the mean of the e-values counts, over spells their product.
The looks of a few hours share their weather, their rush and their backlog; the mean of their e-values is one however
they depend on each other, while their product is none. Where windows have too few rows to be looked at, a look at all
rows of their spell stands for them in that mean, with the weight of as many looks. A monitor has a finding once the
evidence of all monitors together leaves an expected time to the first false finding of any of them of at least the
budget's. A finding holds until what it saw was too small to matter for two looks in a row; then the monitor starts
again. The monitors of windows and of days of one column have one finding together.

The few monitors of how good all answers are share a quarter of the budget, all others what is left. A worse model is
what watching is for, and the evidence of it comes slowly, from labels; a hundred columns, most of which never move,
must not take its part. They need evidence larger by a third, which is hardly any later.
"""

from collections.abc import Collection, Mapping, Sequence
from math import inf, log

from msgspec import Struct
from msgspec.structs import replace

from flyball.monitoring.findings.finding import Finding, fingerprint_of
from flyball.monitoring.findings.observation import Observation, other_monitor
from flyball.statistics import alarms_among, next_log_wealth

_QUIET_LOOKS = 2
_NORMAL = "; normal at the last look, over after one more"
_OF_QUALITY = 0.25
"""The part of the budget of monitors of quality."""
_LARGEST = 1e6
UNDECIDED_US = 7 * 86_400_000_000
"""For so long windows under suspicion are not taken for usual ones."""
FORGOTTEN_US = 14 * 86_400_000_000
"""After so long without a look a monitor without a finding is forgotten: what it looked at is gone."""


class MonitorState(Struct, frozen=True):
    """Where a monitor of one subject stands.

    `log_wealth`: its evidence, the log of an e-detector's wealth over spells: that of the spells before, `log_before`,
    and of the present one, `spell`, in which `spell_looks` looks had e-values with the sum `spell_sum`; looks of it
    that are yet to come count as 0. `weight`: the part of a unit of the run length that a spell is. `log_since`: what
    the looks say since `since_us`, the likeliest start of a change: there the product of the e-values since then is
    largest (CUSUM); while a finding holds, it holds since then. `firing`: whether it has a finding. `quiet`: looks in a
    row that saw nothing that matters. `looks`: all. `looked_us`: the end of the latest window, None in states of
    earlier versions. `of_quality`: as of the observation.
    """

    log_wealth: float = -inf
    log_before: float = -inf
    spell: int | None = None
    spell_sum: float = 0.0
    spell_looks: int = 0
    weight: float = 1.0
    log_since: float = 0.0
    since_us: int | None = None
    firing: bool = False
    quiet: int = 0
    looks: int = 0
    looked_us: int | None = None
    of_quality: bool = False

    @property
    def suspected_us(self) -> int | None:
        """Since when something seems to be wrong; None if nothing does."""
        return self.since_us if self.firing or self.log_since > 0 else None


def suspects_of(states: Mapping[str, MonitorState], at_us: int) -> dict[str, int]:
    """{monitor: since when something seems to be wrong}, of those whose windows since then show nothing usual.

    A finding holds as long as it does; what is only suspected must be decided within a week. A change that a week does
    not show is too small, or so slow that what is usual changes with it.
    """
    return {
        key: state.suspected_us
        for key, state in states.items()
        if state.suspected_us is not None and (state.firing or at_us - state.suspected_us <= UNDECIDED_US)
    }


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
    unit_us: int | None = None,
) -> FindingsDecision:
    """Decide on the observations of one round of looks, those of the window `[since_us, at_us)`.

    `run_length`: the expected time until a false finding, at least, in rounds or, with `unit_us`, in units of so many
    microseconds, such as days: a multiple of the length of a window. `states`: of the round before. Monitors that did
    not look in this round stay as they are; those that did not for weeks, and have no finding, are forgotten, and take
    no part of the budget from others.
    """
    looked = dict[str, Observation]()
    after, length_us = _remembered(states, at_us), at_us - since_us
    for seen in sorted(observations, key=lambda seen: seen.pooled_us):  # what windows say of their spell goes first
        key = fingerprint_of(seen.monitor, seen.subject)
        looks = 1 if seen.daily else max(1, seen.spell_us // length_us)
        spell_us = looks * length_us
        weight = 1.0 if seen.daily or unit_us is None else min(1.0, max(spell_us, seen.pooled_us) / unit_us)
        spell = at_us if seen.daily else since_us // spell_us
        begun_us = at_us - (unit_us or length_us) if seen.daily else min(since_us, at_us - seen.pooled_us)
        state, of_spell = after.get(key, MonitorState()), _Spell(spell, looks, spell_us, weight)
        if seen.pooled_us and _is_counted(state, seen, of_spell, at_us):
            continue
        after[key] = replace(_look(state, seen, (begun_us, at_us), of_spell), of_quality=seen.of_quality)
        looked[key] = max(looked.get(key, seen), seen, key=lambda look: (look.matters, look.e_value))
    ready = {key: state.log_wealth for key, state in after.items() if not state.firing}
    enough = alarms_among(ready, run_length, _shares({key: after[key].of_quality for key in ready}))
    alarms = [key for key in enough if key in looked and looked[key].matters]
    new = _first_of_each(alarms, looked, {key for key, state in after.items() if state.firing})
    cleared = []
    for key in new:
        other = _other(looked[key])  # it shows the same, and would have a finding of its own once this is over
        if other in after:
            after[other] = _restarted(after[other])
        after[key] = replace(after[key], firing=True, quiet=0, log_wealth=-inf, log_before=-inf, spell=None)
    for key in looked:
        if after[key].firing and after[key].quiet >= _QUIET_LOOKS:
            cleared.append(key)
            after[key] = _restarted(after[key])
    holding = [*new, *(key for key in looked if after[key].firing and key not in new)]
    findings = tuple(looked[key].finding(at_us, after[key].since_us or since_us) for key in holding)
    return FindingsDecision(after, findings, tuple(new), tuple(cleared))


def as_last_seen(
    findings: Sequence[Finding], earlier: Sequence[Finding], states: Mapping[str, MonitorState]
) -> tuple[Finding, ...]:
    """The findings; those whose last look saw nothing that matters are as in `earlier`, the looks before."""
    known = {finding.fingerprint: finding for finding in earlier}
    return tuple(
        _quiet(known[key], finding.at_us) if states[key].quiet and key in known else finding
        for key, finding in ((finding.fingerprint, finding) for finding in findings)
    )


def _quiet(finding: Finding, at_us: int) -> Finding:
    return replace(finding, at_us=at_us, message=f"{finding.message.removesuffix(_NORMAL)}{_NORMAL}")


def _restarted(state: MonitorState) -> MonitorState:
    return MonitorState(looks=state.looks, looked_us=state.looked_us, of_quality=state.of_quality)


def _shares(of_quality: Mapping[str, bool]) -> dict[str, float]:
    """The share of the budget of each monitor: a quarter for those of quality, but no less for each than for others."""
    few, count = sum(of_quality.values()), len(of_quality)
    part = 1.0 if few == count else max(few / count, _OF_QUALITY) if few else 0.0
    return {key: part / few if quality else (1 - part) / (count - few) for key, quality in of_quality.items()}


def _remembered(states: Mapping[str, MonitorState], at_us: int) -> dict[str, MonitorState]:
    """The states without those of monitors that have not looked for long."""
    return {
        key: replace(state, looked_us=at_us) if state.looked_us is None else state
        for key, state in states.items()
        if state.firing or state.looked_us is None or at_us - state.looked_us <= FORGOTTEN_US
    }


def _first_of_each(keys: Sequence[str], looked: Mapping[str, Observation], firing: Collection[str]) -> list[str]:
    """The keys without those whose column the monitor of windows, or of days, found before them or in this round."""
    kept = list[str]()
    for key in keys:
        if _other(looked[key]) not in (*kept, *firing):
            kept.append(key)
    return kept


def _other(seen: Observation) -> str:
    """The fingerprint of the monitor of the same column that looks at days, or at windows."""
    return fingerprint_of(other_monitor(seen.monitor), seen.subject)


class _Spell(Struct, frozen=True):
    """The number of a spell, how many looks it has, how long it is, and the part of a unit of the run length that its
    evidence is of."""

    number: int
    looks: int
    length_us: int
    weight: float


def _look(state: MonitorState, seen: Observation, window_us: tuple[int, int], spell: _Spell) -> MonitorState:
    looks, (since_us, at_us) = state.looks + 1, window_us
    if state.firing:
        return replace(state, quiet=0 if seen.matters else state.quiet + 1, looks=looks, looked_us=at_us)
    if state.spell != spell.number:
        before = _closed(state)
        state = replace(state, log_before=before, spell=spell.number, spell_sum=0.0, spell_looks=0, weight=spell.weight)
    counts = _lacking(state, spell) if seen.pooled_us else 1
    total, count = state.spell_sum + counts * seen.e_value, state.spell_looks + counts
    log_e = min(log(seen.e_value), _LARGEST) if seen.e_value > 0 else -_LARGEST
    goes_on = state.since_us is not None and state.log_since > 0
    return replace(
        state,
        log_wealth=next_log_wealth(state.log_before, total / max(count, spell.looks), state.weight),
        spell_sum=total,
        spell_looks=count,
        log_since=max(0.0, state.log_since + log_e),
        since_us=state.since_us if goes_on else since_us,
        looks=looks,
        looked_us=at_us,
    )


def _is_counted(state: MonitorState, seen: Observation, spell: _Spell, at_us: int) -> bool:
    """Whether earlier looks counted all windows that a look pools, or some of those of another spell: the product of
    what two spells say is evidence only where they share no rows."""
    looked_us = -1 if state.looked_us is None else state.looked_us
    if state.firing or not _lacking(state, spell):
        return looked_us >= at_us
    return seen.pooled_us > spell.length_us and looked_us > at_us - seen.pooled_us


def _lacking(state: MonitorState, spell: _Spell) -> int:
    """How many looks of a spell were not taken."""
    return spell.looks - (state.spell_looks if state.spell == spell.number else 0)


def _closed(state: MonitorState) -> float:
    """The log of the evidence at the end of the spell that the state is in: its e-value is the mean of its looks."""
    if state.spell is None:  # there was none: it is new, or an earlier version wrote it
        return state.log_wealth
    if not state.spell_looks:
        return state.log_before
    return next_log_wealth(state.log_before, state.spell_sum / state.spell_looks, state.weight)
