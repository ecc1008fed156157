"""A registry with versions to release."""

import itertools
from pathlib import Path
from typing import Any

from flyball.core import sha256_file
from flyball.policy import ReleasePlan
from flyball.registry import Registry, Version, VersionState, add_versions, begin_run
from flyball.releases import (
    OVER,
    TRANSITIONS,
    Actor,
    Change,
    all_releases,
    change_release,
    current,
    promote,
    rollback,
    start_release,
)
from flyball.releases.release import Command


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

    def actor(self, reason: str = "because", now_us: int = 10, by: str = "ann") -> Actor:
        return Actor(by, now_us, reason, self.artifacts)

    def start(self, version: str, plan: ReleasePlan, now_us: int = 10) -> Change:
        return start_release(self.registry, plan, [version], self.actor(now_us=now_us))

    def do(self, release: str, command: Command, **options: Any) -> Change:
        return change_release(self.registry, release, command, self.actor("by hand"), **options)


def check_consistent(registry: Registry) -> None:
    """What is released, the releases and their steps say the same: all of a change is there, or none of it."""
    state = current(registry)
    releases = {release.id: release for release in all_releases(registry)}
    assert list(releases) == [f"rel{number}" for number in range(1, state.numbered + 1)]
    assert {release.id: release for release in state.releases} == {
        name: release for name, release in releases.items() if release.state not in OVER
    }
    serials = set()
    for name, release in releases.items():
        steps = registry.release_steps(int(name[3:]))
        assert (steps[0].command, steps[-1].after, steps[-1].step) == ("draft", release.state, release.step)
        for before, after in itertools.pairwise(steps):
            assert before.after == after.before
            assert after.after in TRANSITIONS[after.command, after.before]  # type: ignore[index]
            assert before.serial <= after.serial
            if (before.after, after.after, after.command) == ("canary", "canary", "advance"):
                assert after.step == before.step + 1
        serials |= {step.serial for step in steps}
    assert max(serials, default=0) <= state.serial
    assert sum(release.state == "champion" for release in releases.values()) <= 1
    reigning = state.reigning
    assert reigning is None or state.champion in reigning.versions
