"""Online figures of each version: counts that merge, by minute of the prediction, and what is read from them."""

from bisect import bisect_left

import msgspec

from flyball.core import Histogram
from flyball.outcomes.prediction import Prediction
from flyball.outcomes.reading import MICRO

MINUTE_US = 60_000_000
BOUNDS_US = [round(100 * 1.25**step) for step in range(58)]
"""Upper bounds of the latency buckets: 0.1 ms to 33 s, each a quarter wider than the one before."""


class Counts(msgspec.Struct):
    """What is counted; sums of it are again counts. `latency`: {bucket: answers}."""

    answers: int = 0
    listed: int = 0
    personal: int = 0
    adopted: int = 0
    positive: int = 0
    ratings: int = 0
    ratings_micro: int = 0
    levels: dict[str, int] = {}
    arms: dict[str, int] = {}
    latency: dict[int, int] = {}

    def add(self, other: "Counts") -> None:
        for field in ("answers", "listed", "personal", "adopted", "positive", "ratings", "ratings_micro"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        for mine, theirs in ((self.levels, other.levels), (self.arms, other.arms)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for bucket, count in other.latency.items():
            self.latency[bucket] = self.latency.get(bucket, 0) + count

    def answer(self, prediction: Prediction) -> None:
        """Count one answer."""
        self.answers += 1
        self.listed += bool(prediction.items)
        self.personal += is_personal(prediction)
        self.levels[prediction.level] = self.levels.get(prediction.level, 0) + 1
        self.arms[prediction.arm] = self.arms.get(prediction.arm, 0) + 1
        bucket = bisect_left(BOUNDS_US, prediction.took_us)
        self.latency[bucket] = self.latency.get(bucket, 0) + 1


def is_personal(prediction: Prediction) -> bool:
    """Whether a personal model's scores for this user made at least one place of the list."""
    return "model" in prediction.sources


class Figures(msgspec.Struct, frozen=True):
    """How one version ("" for answers that no version made) did since some minute.

    Shares are of `answers`, None without any. `availability`: answers that held a list. `personalised`: answers in
    which a personal model's scores for that user placed an item. `adoption`: answers of which a shown item was then
    watched (a hint or a positive); `positive`: then liked. `ratings`, `rating_mean`: of shown items, rated after.
    Young answers are counted though their window is still open.
    """

    version: str
    answers: int
    availability: float | None
    personalised: float | None
    adoption: float | None
    positive: float | None
    ratings: int
    rating_mean: float | None
    levels: dict[str, int]
    arms: dict[str, int]
    p50_us: float | None
    p90_us: float | None
    p99_us: float | None


def figures_of(version: str, counts: Counts) -> Figures:
    """The figures behind the counts of one version."""

    def share(part: int) -> float | None:
        return part / counts.answers if counts.answers else None

    latency = Histogram(BOUNDS_US, [counts.latency.get(bucket, 0) for bucket in range(len(BOUNDS_US) + 1)])
    return Figures(
        version,
        counts.answers,
        share(counts.listed),
        share(counts.personal),
        share(counts.adopted),
        share(counts.positive),
        counts.ratings,
        counts.ratings_micro / MICRO / counts.ratings if counts.ratings else None,
        dict(sorted(counts.levels.items())),
        dict(sorted(counts.arms.items())),
        latency.percentile(0.5),
        latency.percentile(0.9),
        latency.percentile(0.99),
    )


encode_counts = msgspec.msgpack.Encoder().encode
decode_counts = msgspec.msgpack.Decoder(Counts).decode
