"""Which versions have seen people who are erased, and which hold their ids in an artifact."""

import io
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec
import numpy as np

from flyball.files import FileStore
from flyball.models import has_artifact, remove_artifact
from flyball.registry import REMOVED, AuditEntry, Version, add_entry
from flyball.releases import current, versions_in_service
from flyball.removal.people import Person
from flyball.removal.rows import SURE
from flyball.runtime import Runtime


class SeenBy(msgspec.Struct, frozen=True):
    """`learned`: the versions that learned from rows which were removed; `holding`: those in service whose artifact
    holds an id; `removed`: those whose artifact held one and is deleted."""

    learned: list[str] = []
    holding: list[str] = []
    removed: list[str] = []


def versions_seen(runtime: Runtime, people: Iterable[Person], snapshots: Collection[str]) -> SeenBy:
    """The versions of these snapshots, and those whose artifact holds an id of the people; changes nothing."""
    people, versions = list(people), runtime.registry.versions()
    in_service = set(versions_in_service(current(runtime.registry)))
    holding = [
        version
        for version in versions
        if version.artifact
        and has_artifact(runtime.artifact_files, version.artifact)
        and _holds(runtime, version, people)
    ]
    return SeenBy(
        [version.id for version in versions if version.snapshot in snapshots],
        [version.id for version in holding if version.id in in_service],
        [version.id for version in holding if version.id not in in_service],
    )


def remove_held(runtime: Runtime, by: str) -> list[str]:
    """Delete the artifacts that held an id at an erasure and are out of service by now; returns whose they were."""
    holding = [name for entry in runtime.registry.audit() for name in entry.after.get("holding", ()) if name]
    return remove_artifacts(runtime, dict.fromkeys(holding), by, "it held what was erased, and is out of service")


def remove_artifacts(runtime: Runtime, versions: Collection[str], by: str, reason: str) -> list[str]:
    """Delete the artifacts of these versions that are not in service; returns whose they were."""
    in_service, removed = set(versions_in_service(current(runtime.registry))), list[str]()
    for name in versions:
        version = runtime.registry.version(name)
        if name in in_service or not version.artifact or not has_artifact(runtime.artifact_files, version.artifact):
            continue
        entry = AuditEntry(
            at_us=runtime.clock.now_us(),
            by=by,
            action=REMOVED,
            subject=name,
            reason=reason,
            before={"artifact": version.artifact},
            after={},
        )
        add_entry(runtime.registry, entry)
        remove_artifact(runtime.artifact_files, version.artifact)
        removed.append(name)
    return removed


def _holds(runtime: Runtime, version: Version, people: Collection[Person]) -> bool:
    ids = {person.id for person in people}
    return any(_in_file(name, content, ids) for name, content in _files(runtime.artifact_files, version))


def _files(files: FileStore, version: Version) -> Iterator[tuple[str, bytes]]:
    for info in files.names(f"{version.artifact}/"):
        stored = files.read(info.name)
        if stored is not None:
            yield info.name, stored.content


def _in_file(name: str, content: bytes, ids: Collection[str]) -> bool:
    """Whether an id is all of a text in a list of texts, or, where it is long enough to be no number of a model, in an
    array of whole numbers or in a model's own text."""
    sure = {id for id in ids if len(id) >= SURE}
    if name.endswith(".json"):
        return any(text in ids for text in _texts(msgspec.json.decode(content)))
    if name.endswith(".npy"):
        array = np.load(io.BytesIO(content), allow_pickle=False)
        if array.dtype.kind in "US":
            texts = np.array(sorted(ids), dtype="U")  # as wide as the longest: of the array's width they would be cut
            return bool(np.isin(array, np.char.encode(texts, "utf-8") if array.dtype.kind == "S" else texts).any())
        numbers = [int(id) for id in sure if id.lstrip("-").isdecimal() and abs(int(id)) < 1 << 63]
        return array.dtype.kind in "iu" and bool(np.isin(array, numbers).any())
    return any(id.encode() in content for id in sure)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
