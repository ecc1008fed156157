"""From which part of the past a candidate learns: everything, the last days, or since the world last changed."""

from collections.abc import Sequence
from typing import Any

import msgspec

from flyball.core import BadDeclaration, declared_duration

ALL_DATA, SINCE_DRIFT = "all", "since_drift"
_WHAT = "train_window"


class TrainWindow(msgspec.Struct, frozen=True):
    """`name`: "all", "since_drift" or a duration such as "30d", whose length is `length_us` microseconds."""

    name: str = ALL_DATA
    length_us: int = 0

    def from_us(self, as_of_us: int, drift_us: int) -> int | None:
        """Where it begins by what is known at `as_of_us`, 0 for everything; `drift_us`: when the last change began that
        is known, 0 for none. None where it needs a change and there is none."""
        if self.name == ALL_DATA:
            return 0
        return as_of_us - self.length_us if self.length_us else drift_us or None


def train_windows(declared: str | Sequence[str]) -> tuple[TrainWindow, ...]:
    """The windows of `train_window="30d"` or `train_window=["all", "30d", "since_drift"]`. Raises `BadDeclaration`.

    >>> [window.name for window in train_windows(["all", "7d"])]
    ['all', '7d']
    """
    names: Any = [declared] if isinstance(declared, str) else declared
    must = '"all", "since_drift", a duration such as "30d", or a list of different ones, the usual one first'
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        raise BadDeclaration(_WHAT, must, declared)
    windows = tuple(
        TrainWindow(name)
        if name in (ALL_DATA, SINCE_DRIFT)
        else TrainWindow(name, declared_duration(_WHAT, name, least="1h"))
        for name in names
    )
    if len({window.length_us or window.name for window in windows}) < len(windows):
        raise BadDeclaration(_WHAT, must, declared)
    if windows[0].name == SINCE_DRIFT:
        raise BadDeclaration(
            _WHAT, f'"all" or a duration first, for while no drift is known, then "{SINCE_DRIFT}"', declared
        )
    return windows
