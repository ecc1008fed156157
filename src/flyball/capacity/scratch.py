"""A home that is thrown away, in which the parts of an application are measured, one after another."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from flyball.capacity.sample import EventSample
from flyball.core import Refused, parse_url
from flyball.events import LineSource, after_slices, find_format, ingest
from flyball.operations import Consumer, consumers_of
from flyball.policy import immediate
from flyball.registry import Version, add_versions
from flyball.releases import current, start_release
from flyball.runtime import Runtime

ONLINE, ANSWERS = ("state", "features"), ("predictions", "exposures", "prediction_history")
_PIECE = 20_000

CpuSeconds = Callable[[], float]


class Taken(msgspec.Struct, frozen=True):
    """CPU seconds of taking events in: `ingest_s` of all; by consumer in `applied_s`."""

    ingest_s: float
    applied_s: dict[str, float]


class LearnCost(msgspec.Struct, frozen=True):
    """CPU seconds and the most memory of a run of learning in one process."""

    cpu_s: float
    memory_bytes: float


def take_in(runtime: Runtime, sample: EventSample, cpu: CpuSeconds) -> Taken:
    """Ingest the sample, then let each consumer apply it, on its own."""
    drain(runtime, cpu)  # consumers begin at the start of the log, so that nothing is rebuilt
    lines = [event.line for event in sample.events]
    pieces = [b"\n".join(lines[start : start + _PIECE]) + b"\n" for start in range(0, len(lines), _PIECE)]
    source = LineSource("sample", find_format("jsonl", runtime.app.formats), "jsonl", "history")
    began_s = cpu()
    report = ingest(pieces, source, runtime.inlet)
    ingest_s = cpu() - began_s
    if sum(report.accepted.values()) < len(lines) // 2:
        raise Refused(
            f"most sampled events must be accepted again, got {report.quarantined} of {len(lines):,} in quarantine: "
            "run flyball check"
        )
    return Taken(ingest_s, drain(runtime, cpu))


def drain(runtime: Runtime, cpu: CpuSeconds) -> dict[str, float]:
    """Let each consumer reach the end of its log; {consumer: its CPU seconds}."""
    return {consumer.name: _drained(consumer, runtime, cpu) for consumer in consumers_of(runtime, flush_us=0)}


def _drained(consumer: Consumer, runtime: Runtime, cpu: CpuSeconds) -> float:
    if consumer.active is not None and not consumer.active():
        return 0.0
    began_s = cpu()
    position = consumer.offsets()
    while slices := consumer.log.read(position, consumer.limit):
        consumer.apply(slices)
        position = after_slices(position, slices)
    if consumer.at_end is not None:
        consumer.at_end(runtime.clock.now_us())
    return cpu() - began_s


def learn_alone(runtime: Runtime) -> LearnCost:
    """Learn in a process of its own, as `flyball learn --workers 1`."""
    options = [f"--set={name}={msgspec.json.encode(value).decode()}" for name, value in runtime.settings.app.items()]
    command = [sys.executable, "-m", "flyball", "learn", runtime.app.spec, "--home", str(runtime.home), *options]
    with open(runtime.home / "learn.log", "wb") as log:
        child = subprocess.Popen([*command, "--workers", "1"], stdout=log, stderr=log)
        _, _, used = os.wait4(child.pid, 0)
    return LearnCost(used.ru_utime + used.ru_stime, used.ru_maxrss * 1_024.0)


def learned_versions(runtime: Runtime) -> dict[str, Version]:
    """{candidate: its version that was fitted}."""
    return {version.candidate: version for version in runtime.registry.versions() if version.artifact}


def let_answer(runtime: Runtime, version: Version) -> None:
    """Release it whatever its gates said: only what it costs is looked at."""
    if current(runtime.registry).champion == version.id:
        return
    twin = msgspec.structs.replace(version, id="", state="candidate", reason="")
    added = add_versions(runtime.registry, [twin])[0]
    start_release(runtime.registry, immediate(), [added.id], runtime.actor("plan", "measured"))


def artifact_bytes(runtime: Runtime, versions: Sequence[Version]) -> float:
    """What the artifacts of these versions take."""
    infos = (info for version in versions for info in runtime.artifact_files.names(f"{version.artifact}/"))
    return float(sum(info.size for info in infos))


def store_bytes(url: str) -> float | None:
    """The bytes of a store on this machine; None for a server's."""
    path = Path(parse_url(url).path)
    return folder_bytes(path) if path.exists() else None


def folder_bytes(path: Path) -> float:
    """The bytes that a file, or the files of a folder, take on disk."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return float(sum(file.stat().st_blocks * 512 for file in files))


def close_stores(runtime: Runtime) -> None:
    """Close what was opened, so that everything written is in the files it belongs to."""
    for name in ("declared_log", "predictions", "quarantine", "catalog", "state", "feature_state"):
        if name in vars(runtime):
            vars(runtime)[name].close()
            del vars(runtime)[name]
    for name in ("log", "inlet", "features", "registry"):
        vars(runtime).pop(name, None)
    gc.collect()


def remove(folder: Path) -> None:
    """Remove a home that was measured in."""
    shutil.rmtree(folder, ignore_errors=True)
