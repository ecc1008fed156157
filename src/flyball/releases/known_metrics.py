"""Stores the controller's last measurements of each release, so that others can show them without computing."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from flyball.core import write_atomic
from flyball.releases.evidence import MetricEvidence
from flyball.releases.release import Release


class _Measured(msgspec.Struct, frozen=True):
    at_us: int
    metrics: tuple[MetricEvidence, ...]
    blocked: str


_encode, _decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(dict[str, _Measured]).decode


class KnownMetrics:
    """The last measurements of releases, in one file. It is a `ReadMetrics`, without metrics until some are stored."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, release: Release, now_us: int, metrics: Sequence[MetricEvidence], blocked: str) -> None:
        """Store the measurements of a release, replacing earlier ones."""
        write_atomic(self._path, _encode({**self._read(), release.id: _Measured(now_us, tuple(metrics), blocked)}))

    def __call__(self, release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
        known = self._read().get(release.id)
        return ((), "") if known is None else (known.metrics, known.blocked)

    def _read(self) -> dict[str, _Measured]:
        try:
            return _decode(self._path.read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):  # no file yet, or one of another release of Flyball
            return {}
