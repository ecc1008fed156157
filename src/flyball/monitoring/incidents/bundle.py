"""The debug bundle of an incident: what a colleague needs to look into it without the home."""

import platform
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from flyball.core import FlyballError, Refused, format_second, sha256_file, write_atomic
from flyball.monitoring.incidents.description import IncidentDescription, describe_incident
from flyball.monitoring.incidents.timeline import entry_words
from flyball.registry import registry_exists
from flyball.releases import current
from flyball.runtime import Runtime
from flyball.settings import shown_settings

_PACKAGES = ("flyball", "lightgbm", "msgspec", "numba", "numpy", "polars", "scikit-learn", "scipy", "xgboost")
"""Packages whose versions may matter to an answer."""


def incident_bundle(runtime: Runtime, incident_id: str) -> dict[str, bytes]:
    """{file name: content} of the bundle of an incident; raises `NotFound`.

    It has no rows of the log, no model files and no secrets of settings: what identifies the code, data, versions and
    releases, and the findings with their evidence.
    """
    if not registry_exists(runtime.settings.registry):
        raise Refused(f"the home {runtime.home} must have a registry to have incidents, got none: flyball up makes it")
    described = describe_incident(runtime.registry, runtime.app.spec, runtime.app.alerts, incident_id)
    documents = {
        "incident.json": described.incident,
        "timeline.json": described.timeline,
        "findings.json": {"holding": described.holding, "over": described.over},
        "window.json": _window(runtime, described),
        "releases.json": _releases(runtime, described),
        "versions.json": _versions(runtime, described),
        "code.json": _code(runtime),
        "settings.json": shown_settings(runtime.settings),
    }
    files = {name: _pretty(document) for name, document in documents.items()}
    return {"README.md": _readme(runtime, described, files).encode(), **files}


def write_bundle(files: Mapping[str, bytes], out: Path) -> None:
    """Write a bundle as a folder, or as one file where `out` ends in .zip; raises `Refused` where that exists."""
    if out.exists():
        raise Refused(f"{out} must not be there yet, got a file or folder of that name: name another --out")
    if out.suffix == ".zip":
        write_atomic(out, bundle_archive(files, out.stem))
        return
    out.mkdir(parents=True)
    for name, content in files.items():
        (out / name).write_bytes(content)


def bundle_archive(files: Mapping[str, bytes], folder: str) -> bytes:
    """A zip file of a bundle, in which its files lie in `folder`."""
    written = BytesIO()
    with ZipFile(written, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    return written.getvalue()


def _pretty(document: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2) + b"\n"


def _window(runtime: Runtime, described: IncidentDescription) -> dict[str, Any]:
    """The data that the findings are about: times, and the ends of the logs when it was opened and now."""
    incident = described.incident
    alerts = (*described.holding, *described.over)
    until_us = max((alert.last.at_us for alert in alerts), default=incident.opened_us)
    document: dict[str, Any] = {
        "since_us": incident.since_us,
        "until_us": until_us,
        "since": format_second(incident.since_us),
        "until": format_second(until_us),
        "events_ends_when_opened": described.context.ends,
        "predictions_ends_when_opened": described.context.prediction_ends,
    }
    with suppress(FlyballError):
        document["events_ends_now"] = runtime.log.ends()
        document["predictions_ends_now"] = runtime.predictions.ends()
    with suppress(FlyballError):
        document["event_types"] = {
            name: [field.name for field in msgspec.structs.fields(declared.cls)]
            for name, declared in runtime.schema.types.items()
        }
    return document


def _releases(runtime: Runtime, described: IncidentDescription) -> dict[str, Any]:
    """The release state when it was opened and now, and what was done to releases since a week before."""
    since_us = described.incident.since_us - 7 * 86_400_000_000
    return {
        "when_opened": described.context,
        "now": current(runtime.registry),
        "audit": [entry for entry in runtime.registry.audit() if entry.at_us >= since_us],
    }


def _versions(runtime: Runtime, described: IncidentDescription) -> dict[str, Any]:
    """The champions of then and now and those before them, with lineage and evaluation; reports of their runs and of
    the last one."""
    state, context = current(runtime.registry), described.context
    names = {context.champion, context.previous, state.champion, state.previous}
    served = [made for made in runtime.registry.versions() if made.id in names]
    runs = runtime.registry.runs()
    return {
        "versions": served,
        "runs_of_versions": [run for run in runs if run.id in {made.run for made in served}],
        "last_run": runs[-1] if runs else None,
        "runs": [{"id": run.id, "started_us": run.started_us, "status": run.status} for run in runs[-20:]],
    }


def _code(runtime: Runtime) -> dict[str, Any]:
    """Digests of the application's file, and the versions of what runs it."""
    installed = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    source = runtime.app.source
    return {
        "application": runtime.app.spec,
        "file": str(source) if source else "",
        "sha256": sha256_file(source) if source is not None and source.is_file() else "",
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": installed,
    }


def _readme(runtime: Runtime, described: IncidentDescription, files: Mapping[str, bytes]) -> str:
    incident, context = described.incident, described.context
    alerts = [*described.holding, *described.over]
    lines = [
        f"# {incident.id} of {runtime.app.name}: {incident.title}",
        "",
        f"Severity {incident.severity}, {incident.state}, owner {incident.owner or 'nobody'}, "
        f"since {format_second(incident.since_us)}, opened {format_second(incident.opened_us)}.",
        f"Cause: {incident.cause or 'not known yet'}.",
        f"Served then: {context.champion or 'no version'}, before it {context.previous or 'none'}; "
        f"releases under way: {', '.join(context.under_way) or 'none'}.",
        "",
        "## Findings",
        "",
        *(
            f"- {'holds' if alert.state == 'firing' else 'over'}, {alert.last.severity}: {alert.last.monitor} of "
            f"{alert.last.subject}: {alert.last.message}"
            for alert in alerts
        ),
        "",
        "## Timeline",
        "",
        *(
            f"- {format_second(entry.at_us)} {entry.by}: {entry_words(entry)} → {entry.after}. {entry.reason}"
            for entry in described.timeline
        ),
        "",
        "## Files",
        "",
        *(f"- `{name}`, {len(content):,} bytes" for name, content in files.items()),
        "",
    ]
    return "\n".join(lines)
