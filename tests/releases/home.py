"""A registry with versions to release."""

from pathlib import Path

from flyball.core import sha256_file
from flyball.registry import Registry, Version, VersionState, add_versions, begin_run
from flyball.releases import Change, promote, rollback


class Home:
    """A registry with `passed` good versions and one rejected, artifacts on disk."""

    def __init__(self, folder: Path, passed: int = 3) -> None:
        self.registry, self.artifacts = Registry(f"sqlite://{folder}/registry.db"), folder / "artifacts"
        run = begin_run(self.registry, "movies", 5, 6)
        added = [self.version(run.id, f"m{number}", "candidate") for number in range(1, passed + 1)]
        added.append(self.version(run.id, "bad", "rejected"))
        add_versions(self.registry, added)

    def version(self, run: str, name: str, state: VersionState) -> Version:
        path = self.artifacts / name / "items.npy"
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
        return Version(
            app="movies",
            candidate=name,
            kind="flyball.models:Popular",
            params={},
            seed=1,
            snapshot="s",
            as_of_us=5,
            created_us=6,
            run=run,
            state=state,
            reason="full lists 0.5 below 0.99" if state == "rejected" else "",
            artifact=name,
            artifact_files={"items.npy": sha256_file(path)},
        )

    def promote(self, version: str, serial: int | None = None) -> Change:
        return promote(self.registry, version, "because", "ann", 10, artifacts=self.artifacts, serial=serial)

    def rollback(self) -> Change:
        return rollback(self.registry, "it was worse", "ben", 20, artifacts=self.artifacts)

    def states(self) -> list[str]:
        return [each.state for each in self.registry.versions()]
