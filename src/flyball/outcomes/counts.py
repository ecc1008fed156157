"""Online counts of each version by minute of the response; counts can be merged."""

from bisect import bisect_left

import msgspec

from flyball.outcomes.prediction import Prediction
from flyball.tasks import FALLBACK_LEVELS

MINUTE_US = 60_000_000
BOUNDS_US = [round(100 * 1.25**step) for step in range(58)]
"""Upper bounds of the latency buckets, from 0.1 ms to 33 s; each bucket is 25 % wider than the previous one."""


class LabelCounts(msgspec.Struct, array_like=True):
    """Counts of one label.

    In order: responses with the label; items, or requests, with it; the sum of its values in millionths, and of their
    squares; responses without it whose wait another event ended (censored); responses whose decision makes the label
    impossible, which count as nothing else.
    """

    responses: int = 0
    n: int = 0
    total: int = 0
    squares: int = 0
    censored: int = 0
    impossible: int = 0

    def add(self, other: "LabelCounts", sign: int = 1) -> None:
        for field in self.__struct_fields__:
            setattr(self, field, getattr(self, field) + sign * getattr(other, field))


class VersionCounts(msgspec.Struct):
    """Counts of responses, which can be added up.

    `filled`: responses with an item, a value or a decision. `modeled`: responses with an item or values from a model.
    `latency`: {bucket: responses}.
    """

    responses: int = 0
    filled: int = 0
    modeled: int = 0
    levels: dict[str, int] = {}
    arms: dict[str, int] = {}
    latency: dict[int, int] = {}
    labels: dict[str, LabelCounts] = {}

    def add(self, other: "VersionCounts") -> None:
        for field in ("responses", "filled", "modeled"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        for own, others in ((self.levels, other.levels), (self.arms, other.arms)):
            for name, count in others.items():
                own[name] = own.get(name, 0) + count
        for bucket, count in other.latency.items():
            self.latency[bucket] = self.latency.get(bucket, 0) + count
        for name, counts in other.labels.items():
            self.labels.setdefault(name, LabelCounts()).add(counts)

    def answer(self, prediction: Prediction) -> None:
        """Count one response."""
        self.responses += 1
        self.filled += bool(prediction.items or prediction.values or prediction.decision)
        self.modeled += is_modeled(prediction)
        self.levels[prediction.level] = self.levels.get(prediction.level, 0) + 1
        self.arms[prediction.arm] = self.arms.get(prediction.arm, 0) + 1
        bucket = bisect_left(BOUNDS_US, prediction.took_us)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1


def is_modeled(prediction: Prediction) -> bool:
    """Whether a model placed at least one item by its score, or a version predicted the values; never at a fallback
    level, such as values that a version had precomputed for every request."""
    if prediction.level in FALLBACK_LEVELS:
        return False
    return "model" in prediction.sources or bool(prediction.version and prediction.values)


encode_counts = msgspec.json.Encoder().encode  # JSON, because it holds integers of any size
decode_counts = msgspec.json.Decoder(VersionCounts).decode
