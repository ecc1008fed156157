"""Cases as a person reads them: the cause, the run that it led to, and what became of its version."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import format_second
from flyball.registry import INTERRUPTED, Case, JsonObject, Registry, Run, cases_of
from flyball.releases.change import number_of
from flyball.releases.commands import all_releases
from flyball.releases.release import Release
from flyball.releases.state import current


class VersionChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a release of `version`: who made it, when and why. `command`: such as "start", "promote" or
    "rollback"; `after`: the state of the release after it."""

    at_us: int
    version: str
    release: str
    command: str
    after: str
    by: str
    reason: str


class CaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """A case with what followed.

    `verdict`: "waiting", "running", "interrupted" (its process was killed or stopped), "withdrawn", "failed", "too
    little data", "rejected" (no candidate passed its gates), "not released", "in release", "promoted", "undone" (rolled
    back, or its release aborted), or "ended". `gates`: {candidate: why it was rejected, "" for passed}. `version`: the
    one that was chosen; `release`: its release and the state of that. `seconds`: of the run. `payoff`: the row of the
    impact ledger, None where nothing was measured. `changes`: of the releases of all versions of its run, only where
    one case was asked for.
    """

    case: Case
    verdict: str
    version: str = ""
    gates: dict[str, str] = {}
    release: str = ""
    release_state: str = ""
    seconds: float | None = None
    payoff: JsonObject | None = None
    changes: list[VersionChange] = []


def case_reports(registry: Registry, case_id: str | None = None) -> list[CaseReport]:
    """All cases, oldest first, or the one with `case_id` and its `changes`, without payoffs; raises `NotFound`."""
    cases, runs = cases_of(registry, case_id), {run.id: run for run in registry.runs()}
    releases = {version: release for release in all_releases(registry) for version in release.versions}
    champions = {current(registry).champion, *current(registry).trail}
    reports = [_report(case, runs.get(case.run), releases, champions) for case in cases]
    if case_id is None:
        return reports
    of_run = [made.id for made in registry.versions() if made.run == cases[0].run]
    return [msgspec.structs.replace(report, changes=version_changes(registry, of_run)) for report in reports]


def version_changes(registry: Registry, versions: Sequence[str]) -> list[VersionChange]:
    """All changes of all releases of `versions`, by people or not, oldest first."""
    changes = [
        VersionChange(
            at_us=step.at_us,
            version=", ".join(version for version in versions if version in release.versions),
            release=release.id,
            command=step.command,
            after=step.after,
            by=step.by,
            reason=step.reason,
        )
        for release in all_releases(registry)
        if set(versions) & set(release.versions)
        for step in registry.release_steps(number_of(release))
        if step.command != "draft"
    ]
    return sorted(changes, key=lambda change: change.at_us)


def _report(case: Case, run: Run | None, releases: Mapping[str, Release], champions: set[str | None]) -> CaseReport:
    if run is None:
        closed = "failed" if case.status == "closed" and case.refusals == [] else "withdrawn"
        closed = "interrupted" if case.outcome == INTERRUPTED else closed
        return CaseReport(case=case, verdict=closed if case.status == "closed" else case.status)
    gates = {
        candidate["name"]: candidate["reason"]
        for candidate in run.report.get("candidates", [])
        if candidate["outcome"] in ("passed", "rejected")
    }
    version, seconds = run.report.get("chosen", ""), run.report.get("seconds")
    release = releases.get(version)
    return CaseReport(
        case=case,
        verdict=_verdict(run, version, release, version in champions),
        version=version,
        gates=gates,
        release="" if release is None else release.id,
        release_state="" if release is None else release.state,
        seconds=seconds,
    )


_OF_STATE = {
    "champion": "promoted",
    "retired": "promoted",
    "rolled_back": "undone",
    "aborted": "undone",
    "ended": "ended",
}


def _verdict(run: Run, version: str, release: Release | None, served: bool) -> str:
    of_status: dict[str, str] = {
        "running": "running",
        "failed": "failed",
        "interrupted": "interrupted",
        "too_little_data": "too little data",
    }
    if run.status in of_status:
        return of_status[run.status]
    if not version:
        return "rejected"
    if release is None:
        return "promoted" if served else "not released"
    return _OF_STATE.get(release.state, "in release")


def case_table(reports: Sequence[CaseReport]) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows) of cases as text."""
    columns = ["case", "opened", "trigger", "cause", "run", "version", "verdict", "payoff"]
    rows = [
        [
            report.case.id,
            format_second(report.case.opened_us),
            report.case.trigger,
            report.case.cause,
            report.case.run or None,
            report.version or None,
            report.verdict,
            payoff_text(report),
        ]
        for report in reports
    ]
    return columns, rows


def waiting_cases(registry: Registry) -> list[str]:
    """A sentence for each case that waits: why it started no run yet."""
    return [
        f"{case.id} of {case.trigger} waits: {case.refusals[-1]['reason']}"
        for case in cases_of(registry)
        if case.status == "waiting" and case.refusals
    ]


def payoff_text(report: CaseReport) -> str | None:
    """What the release was worth, in a few words; None where nothing is known."""
    row = report.payoff
    if row is None:
        return None
    if row["measured"] is None:
        predicted = "" if row["predicted"] is None else f"expected {row['offline_metric']} {row['predicted']:+z.3g}; "
        return f"{predicted}{row['missing'] or 'not measured yet'}"
    ends = ["no limit" if end is None else f"{end:+z.3g}" for end in (row["measured_low"], row["measured_high"])]
    return f"{row['online_metric']} {row['measured']:+z.3g} [{ends[0]}, {ends[1]}]"
