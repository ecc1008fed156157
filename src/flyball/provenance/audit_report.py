"""What an audit of training/serving skew found, as structs and as text."""

import msgspec

from flyball.core import format_duration, format_timestamp
from flyball.features import FRESHNESS_US

SHARE = 0.99
"""The share of values that must include all events known for longer than the target."""


class Difference(msgspec.Struct, frozen=True):
    """A value that differs from the recomputed one. `feature` is "" where only the digest of the values was
    recorded."""

    prediction: str
    feature: str
    key: str
    logged: str
    recomputed: str

    def text(self) -> str:
        """As text for people."""
        feature_words = f"{self.feature} of {self.key}" if self.feature else f"some feature ({self.key})"
        return f"{self.prediction}: {feature_words}: logged {self.logged}, from the log {self.recomputed}"


class FeatureAudit(msgspec.Struct, frozen=True):
    """The audit of one feature. `values`: compared bit by bit, of which `wrong` differ. `looked`: checked for
    freshness, of which `stale` did not include all known events, and `late` lacked one known for longer than the
    declared `target_us`. `lag_us`: {"p50", "p90", "p99", "max"} of the stale values; `all_p99_us`: the 99th percentile
    of all, fresh ones counting as 0."""

    name: str
    values: int
    wrong: int
    looked: int
    stale: int
    late: int
    lag_us: dict[str, int]
    target_us: int = FRESHNESS_US
    all_p99_us: int = 0

    @property
    def met(self) -> bool:
        """Whether at least 99 of 100 values included all events known for longer than the target."""
        return self.late <= (1 - SHARE) * self.looked


class Audit(msgspec.Struct, frozen=True):
    """The result of an audit. `predictions`: with features; `audited`: recomputed; `sampled`: with recorded values.

    `wrong`: the number of answers whose digest or values differ; `differences`: the first of them. `fresh`: whether
    every feature met its target. `skipped`: {reason: answers}. `notes`: further remarks.
    """

    since_us: int
    predictions: int
    audited: int
    sampled: int
    wrong: int
    differences: list[Difference]
    features: list[FeatureAudit]
    fresh: bool
    skipped: dict[str, int]
    notes: list[str] = []

    @property
    def exact(self) -> bool:
        """Whether no logic skew was found."""
        return self.wrong == 0

    @property
    def passed(self) -> bool:
        """Whether answers were computed again, all of them exactly: an audit of nothing has shown nothing."""
        return self.audited > 0 and self.exact

    def text(self) -> str:
        """As text for people."""
        if not self.predictions:
            since = format_timestamp(self.since_us)
            why = "; ".join(self.notes) or f"no answer with features since {since}; --last looks further back"
            return f"nothing was audited: {why}"
        head = f"{self.audited:,} of {self.predictions:,} answers with features computed again from the log"
        if not self.audited:
            return "\n".join([f"nothing was audited: {head}", *self._skipped()])
        logic = "logic skew: none, every bit agrees" if self.exact else f"LOGIC SKEW in {self.wrong:,} answers"
        differences = [difference.text() for difference in self.differences]
        head += f", {self.sampled:,} value by value"
        return "\n".join([head, logic, *differences, self._freshness(), *self.notes, *self._skipped()])

    def _freshness(self) -> str:
        missed = [
            f"{feature.name} ({format_duration(feature.target_us)})" for feature in self.features if not feature.met
        ]
        if missed:
            return f"freshness: target MISSED by {', '.join(missed)}"
        return f"freshness: target met by all {len(self.features)} features"

    def _skipped(self) -> list[str]:
        return [f"{count:,} not audited: {reason}" for reason, count in sorted(self.skipped.items())]
