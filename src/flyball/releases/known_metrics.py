"""Stores the controller's last measurements of each release, so that others can show them without computing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flyball.core import write_atomic
from flyball.releases.evidence import ArmReward, MetricEvidence
from flyball.releases.release import Release


class _Measured(msgspec.Struct, frozen=True):
    at_us: int
    metrics: tuple[MetricEvidence, ...]
    blocked: str
    rewards: tuple[ArmReward, ...] = ()
    binary: bool = True


_NOTHING = _Measured(0, (), "")
_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(dict[str, _Measured]).decode


class KnownMetrics:
    """The last measurements of releases, in one file. It is a `ReadMetrics`, without metrics until some are stored."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, release: Release, now_us: int, metrics: Sequence[MetricEvidence], blocked: str) -> None:
        """Store the metrics of a release, replacing earlier ones."""
        self._replace(release, at_us=now_us, metrics=tuple(metrics), blocked=blocked)

    def note_rewards(self, release: Release, rewards: Sequence[ArmReward], binary: bool) -> None:
        """Store the rewards of the arms of a bandit, replacing earlier ones."""
        self._replace(release, rewards=tuple(rewards), binary=binary)

    def __call__(self, release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
        known = self._read().get(release.id, _NOTHING)
        return known.metrics, known.blocked

    def rewards(self, release: Release, now_us: int) -> tuple[Sequence[ArmReward], bool]:
        """The last rewards stored, and whether each reward is 0 or 1: a `ReadRewards`."""
        known = self._read().get(release.id, _NOTHING)
        return known.rewards, known.binary

    def _replace(self, release: Release, **fields: Any) -> None:
        known = self._read()
        measured = msgspec.structs.replace(known.get(release.id, _NOTHING), **fields)
        write_atomic(self._path, _encode({**known, release.id: measured}))

    def _read(self) -> dict[str, _Measured]:
        try:
            return _decode(self._path.read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):  # no file yet, or one of another release of Flyball
            return {}
