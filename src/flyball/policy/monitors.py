"""The names of all monitors: what findings are called, and what rules about findings may name."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from flyball.core import meant_name

MONITORS = (
    "calibration",
    "consumer",
    "equal_answers",
    "expected_performance",
    "feedback_loop",
    "group_gap",
    "infinite",
    "infinite-daily",
    "kind",
    "kind-daily",
    "label_share",
    "left_running",
    "length",
    "length-daily",
    "lost_events",
    "missing",
    "missing-daily",
    "performance",
    "sent_twice",
    "sent_twice-daily",
    "shift",
    "shift-daily",
    "source_volume",
    "stale_model",
    "suspects",
    "times",
    "times-daily",
    "version_skew",
    "volume",
)
"""Every monitor; those of days end in "-daily"."""

OWN_FAULTS = (
    *("consumer", "equal_answers", "kind", "left_running", "lost_events", "sent_twice", "stale_model", "times"),
    *("source_volume", "version_skew"),
)
"""Monitors whose findings are always a fault of our own pipeline, which learning cannot correct."""

LEARNABLE = tuple(name for name in MONITORS if name not in OWN_FAULTS and not name.endswith("-daily"))
"""Monitors that a trigger to learn may name; those of days count with them."""


def monitor_fault(name: str, known: Iterable[str] = MONITORS, *, patterns: bool = False) -> str:
    """What a name of a monitor must be, with the nearest one; "" if it is one of `known`, or a pattern of some.

    >>> monitor_fault("sift", ("shift", "volume"))
    'one of shift, volume (did you mean shift?)'
    >>> monitor_fault("s*", ("shift", "volume"), patterns=True)
    ''
    """
    names = tuple(known)
    if name in names or (patterns and any(fnmatchcase(monitor, name) for monitor in names)):
        return ""
    pattern = ", or a pattern of them with *" if patterns else ""
    return f"one of {', '.join(names)}{pattern}{meant_name(name, names)}"
