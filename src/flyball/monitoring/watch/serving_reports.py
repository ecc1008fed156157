"""Version skew: what each serving process answers with, by digest, beside the registry and the application's file.

A process reports what it serves each time that changes: the digest of each version's artifact files as it verified
them, the hashes of the features that the version reads as the process declares them, and the digest of its declaration.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from math import inf
from pathlib import Path

import msgspec

from flyball.app import App
from flyball.core import NotFound, write_atomic
from flyball.models import code_of, code_of_task
from flyball.monitoring.findings.finding import Severity
from flyball.monitoring.findings.observation import Observation
from flyball.registry import Registry, Version

SKEW = "version_skew"
_FOLDER, _ENDING, _SHOWN = "serving", ".json", 12
_USUAL = 0.5
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class ServedVersion(msgspec.Struct, frozen=True):
    """A version in one process: the digest of its artifact files, {feature that it reads: hash as declared there}."""

    artifact: str
    features: dict[str, str] = {}


class ServingReport(msgspec.Struct, frozen=True):
    """What the process `process` (its number: `pid`) serves since `at_us`; `declared`: of `declaration_digest`."""

    process: str
    pid: int
    at_us: int
    declared: str
    versions: dict[str, ServedVersion]


def artifact_digest(files: Mapping[str, str]) -> str:
    """A digest of an artifact, {name of a file: its sha256}."""
    return _digest(sorted(files.items()))


def declaration_digest(app: App) -> str:
    """A digest of what answers of an application depend on besides versions: its task, features and own code."""
    about = app.task.about
    features = {} if about.features is None else about.features.hashes
    code = [code_of_task(app.task), *(code_of(candidate) for candidate in app.candidates.values())]
    task = _ADDRESS.sub("", repr(app.task))  # what answers depend on and versions do not, such as the length of lists
    return _digest([task, about.declaration, about.arrangement, features, code])


def served_version(version: Version, app: App) -> ServedVersion:
    """What a process that verified `version` and declares `app` reports of it."""
    features = app.task.about.features
    declared = {} if features is None else features.hashes
    return ServedVersion(
        artifact_digest(version.artifact_files), {name: declared.get(name, "") for name in version.features}
    )


def write_serving_report(run_folder: Path, report: ServingReport) -> None:
    """Replace the report of a process."""
    folder = run_folder / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / f"{report.process}{_ENDING}", msgspec.json.encode(report))


def read_serving_reports(run_folder: Path) -> list[ServingReport]:
    """The latest report of each process that ever served, by name; those that cannot be read are left out."""
    reports = []
    for path in sorted((run_folder / _FOLDER).glob(f"*{_ENDING}")):
        try:
            reports.append(msgspec.json.decode(path.read_bytes(), type=ServingReport))
        except (OSError, msgspec.MsgspecError):
            continue
    return reports


def skew_facts(reports: Iterable[ServingReport], registry: Registry, declared: str) -> list[Observation]:
    """Whether each process serves what the registry holds, as the application declares it now (`declared`)."""
    return [_skew(report, list(_differences(report, registry)), declared) for report in reports]


def _skew(report: ServingReport, differences: list[str], declared: str) -> Observation:
    process = f"process {report.process} ({report.pid})"
    severe = bool(differences)
    if report.declared != declared:
        digests = f"digest {report.declared[:_SHOWN]}, now {declared[:_SHOWN]}"
        differences = [*differences, f"runs the application as it was declared before ({digests})"]
    evidence = {"process": report.process, "declared": report.declared, "versions": sorted(report.versions)}
    if not differences:
        return Observation(SKEW, f"processes.{report.process}", _USUAL, False, f"{process} is up to date", "low", "own")
    message = f"{process} {'; it '.join(differences)}: restart it (flyball up)"
    severity: Severity = "high" if severe else "low"
    return Observation(SKEW, f"processes.{report.process}", inf, True, message, severity, "own", evidence)


def _differences(report: ServingReport, registry: Registry) -> Iterator[str]:
    for name, served in report.versions.items():
        try:
            version = registry.version(name)
        except NotFound:
            yield f"serves {name} ({served.artifact[:_SHOWN]}), which the registry does not hold"
            continue
        known = artifact_digest(version.artifact_files)
        if known != served.artifact:
            yield f"serves {name} with artifact {served.artifact[:_SHOWN]}, the registry holds {known[:_SHOWN]}"
        others = [feature for feature, hash in version.features.items() if served.features.get(feature) != hash]
        if others:
            first = others[0]
            own = served.features.get(first) or "none"
            more = f" and {len(others) - 1} more" if len(others) > 1 else ""
            yield (
                f"computes {first}{more} of {name} by definition {own[:_SHOWN]}, the version learned "
                f"{version.features[first][:_SHOWN]}"
            )


def _digest(value: object) -> str:
    return sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
