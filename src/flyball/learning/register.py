"""Registers a version for every candidate: with an artifact when it passed its gates, else as rejected."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.evaluation import CANDIDATE, CHAMPION, Evaluated, GateResult, Report
from flyball.history import Snapshot
from flyball.learning.challengers import feature_hashes_of
from flyball.learning.cleanup import artifact_name
from flyball.learning.continuation import TrainingRecord
from flyball.learning.fit import Fitted
from flyball.learning.gates import rejection
from flyball.learning.job import Job
from flyball.learning.lineage import code_state, dependencies_hash
from flyball.learning.report import CandidateReport, failure_text
from flyball.models import code_of, code_of_task, kind_of, params_of, publish_artifact
from flyball.registry import Version, add_versions

GatesByName = Mapping[str, list[GateResult]]
Origin = Mapping[str, Any]
"""The lineage fields that a version and the manifest of its artifact have in common."""


def origin_of(job: Job, snapshot: Snapshot) -> Origin:
    code = code_state(job.runtime.app.source)
    return {
        "app": job.runtime.app.name,
        "snapshot": snapshot.name,
        "as_of_us": job.run.as_of_us,
        "code_commit": code.commit,
        "code_dirty": code.dirty,
        "dependencies_hash": dependencies_hash(),
    }


def passed_all(job: Job, gates: GatesByName) -> list[str]:
    """The candidates that passed all gates."""
    return [name for name in job.challengers.candidates if not rejection(gates[name])]


def register(
    job: Job,
    origin: Origin,
    report: Report,
    gates: GatesByName,
    refitted: Mapping[str, Fitted | Exception],
    records: Mapping[str, TrainingRecord],
    variants: Mapping[str, str] | None = None,
) -> list[Version]:
    """Register a version for every candidate: `refitted` on everything known when it passed, else rejected.

    `records`: how each was trained, of the candidates of an application that declares more than fits on everything.
    `variants`: {candidate: the name of its fit}, of those that learned from another window than the usual one.
    """
    app = job.runtime.app
    versions = [
        Version(
            candidate=name,
            kind=kind_of(app.candidates[name]),
            params=params_of(app.candidates[name]),
            seed=job.seed,
            run=job.run.id,
            created_us=job.runtime.clock.now_us(),
            metrics=_metrics_and_cost(report.of(name)),
            gates=[msgspec.to_builtins(gate) for gate in gates[name]],
            declaration=app.task.about.declaration,
            features=feature_hashes_of(app.task, app.candidates[name]),
            code=_code(app.task, app.candidates[name], refitted.get(name)),
            training=msgspec.to_builtins(records[name]) if name in records else {},
            **_outcome(job, (variants or {}).get(name, name), gates[name], refitted.get(name)),
            **origin,
        )
        for name in job.challengers.candidates
    ]
    for version in versions:
        if version.artifact:
            publish_artifact(job.runtime.artifact_files, version.artifact)
    added = add_versions(job.runtime.registry, versions)
    registered = sum(version.state == "candidate" for version in added)
    job.report("register", f"{registered} of {len(added)} candidates passed")
    return added


def metrics_of_evaluated(evaluated: Evaluated) -> dict[str, Any]:
    """The metrics as {name: {"value", "low", "high"}}."""
    plain: dict[str, Any] = msgspec.to_builtins(evaluated.metrics)
    return plain


def cost_of(evaluated: Evaluated) -> dict[str, float]:
    """The costs: seconds of the fit, microseconds for an answer, bytes."""
    if evaluated.failed:
        return {}
    cost = evaluated.cost
    return {"train_s": cost.train_s, "answer_us": cost.answer_us, "bytes": float(cost.bytes)}


def candidate_reports(
    report: Report, gates: GatesByName, versions: list[Version], windows: Mapping[str, str] | None = None
) -> list[CandidateReport]:
    """A report for each challenger, in the order of `report`."""
    version_of = {version.candidate: version for version in versions}
    reports = []
    for evaluated in report.evaluated.values():
        version = version_of.get(evaluated.name) if evaluated.name in gates else None
        reports.append(
            CandidateReport(
                name=evaluated.name,
                role="candidate"
                if evaluated.role == CANDIDATE
                else "champion"
                if evaluated.role == CHAMPION
                else "baseline",
                outcome="compared" if version is None else "rejected" if version.state == "rejected" else "passed",
                reason=evaluated.failed if version is None else version.reason,
                version="" if version is None else version.id,
                metrics=metrics_of_evaluated(evaluated),
                note=evaluated.note,
                cost=cost_of(evaluated),
                gates=[] if version is None else version.gates,
                window=(windows or {}).get(evaluated.name, ""),
            )
        )
    return reports


def _metrics_and_cost(evaluated: Evaluated) -> dict[str, Any]:
    costs = {name: {"value": value, "low": None, "high": None} for name, value in cost_of(evaluated).items()}
    return metrics_of_evaluated(evaluated) | costs


def _code(task: Any, candidate: Any, fitted: Fitted | Exception | None) -> dict[str, dict[str, str]]:
    """The stamps of the user's own code; a candidate that was rejected answers nothing and needs none."""
    return {**code_of_task(task), **code_of(candidate)} if isinstance(fitted, Fitted) else {}


def _outcome(job: Job, name: str, gates: list[GateResult], fitted: Fitted | Exception | None) -> dict[str, Any]:
    if isinstance(fitted, Fitted):
        return {"state": "candidate", "artifact": artifact_name(job.run.id, name), "artifact_files": fitted.files}
    reason = rejection(gates) if fitted is None else f"fitting on everything known failed: {failure_text(fitted)}"
    return {"state": "rejected", "reason": reason}
