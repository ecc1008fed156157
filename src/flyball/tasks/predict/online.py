"""The online interface of predictions: a pipeline for each version, and a fallback."""

import contextlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from flyball.core import BadInput, Doubles, FlyballError, Refused
from flyball.events import Offsets, field_names_now
from flyball.models import Artifact
from flyball.policy import Decide, Thresholds
from flyball.tasks.featurize import ReadFeatures
from flyball.tasks.predict.columns import BASELINE, Encoder, EventColumns, columns_in, vocabularies_in
from flyball.tasks.predict.decisions import Decider, Policy
from flyball.tasks.predict.thresholds import thresholds_of
from flyball.tasks.request import Request
from flyball.tasks.response import IntervalShift, Response
from flyball.tasks.task import DEFAULT_LEVEL, EMPTY_LEVEL, PRECOMPUTED_LEVEL, Pipeline, Stores, TakeReview

if TYPE_CHECKING:
    from flyball.features import Reading
    from flyball.tasks.predict.declaration import Predict

ROUNDING = 1e-9
"""The largest distance of a probability outside [0, 1], a rounding error of sums."""


class PredictOnline:
    """Responses of one task from `stores`, live or rebuilt.

    The context of a request is the shift of its interval; features are read when the request is answered.
    """

    def __init__(self, task: "Predict", stores: Stores) -> None:
        self._task, self._stores = task, stores

    def contexts(self, requests: Sequence[Request]) -> tuple[list[IntervalShift | None], Offsets]:
        """The shift of the interval by past outcomes, the same for every request.

        The stores say so, whether the file lets outcomes move it today or not: a replay moves what was moved then.
        """
        level = self._task.interval_level
        shift = None if level is None or self._stores.interval is None else self._stores.interval(level)
        return [shift] * len(requests), self._stores.state.offsets()

    def open(self, candidate: Any, artifact: Artifact, arrangement: Mapping[str, Any]) -> "PredictPipeline":
        """The pipeline of a version, which decides by `arrangement`."""
        return PredictPipeline(
            self._task, artifact, candidate, self._stores.features, arrangement, self._stores.reviews
        )

    def fallback(self, best: Pipeline | None) -> "BaselineFallback":
        """The fallback: the baseline response that the best version stored."""
        if not isinstance(best, PredictPipeline):
            return fallback_without_version(self._task, {})
        decider = Decider(best.policy, best.target.quantiles, Thresholds(), self._stores.reviews)
        return BaselineFallback(best.baseline, decider=decider)


def fallback_without_version(task: "Predict", arrangement: Mapping[str, Any]) -> "BaselineFallback":
    """The fallback without a version: the default decision by `arrangement`, if the task decides."""
    policy = task.arranged(arrangement).decide
    return BaselineFallback(decider=Decider(policy, task.target_kind.quantiles, Thresholds()))


class BaselineFallback(msgspec.Struct, frozen=True):
    """The same prediction for every request, stored with the best version: a mean, quantiles, or a share.

    The decision uses the declared costs of each request, or the declared default for requests without a version.
    """

    values: tuple[float, ...] | None = None
    offsets: Offsets = ()
    decider: Decider | None = None

    @property
    def ready(self) -> bool:
        return self.values is not None or (self.decider is not None and self.decider.decides)

    def answer(self, request: Request, context: Any | None) -> tuple[str, Response]:
        default = None if self.decider is None else self.decider.default(request, self.values is not None)
        if default is not None:
            return DEFAULT_LEVEL, default
        if self.values is None:
            return EMPTY_LEVEL, Response()
        if self.decider is None:
            return PRECOMPUTED_LEVEL, Response(values=self.values)
        return PRECOMPUTED_LEVEL, self.decider.response(request, self.values)


class PredictPipeline:
    """One version: reads features, makes the row, and predicts. A request gets the same bits in any batch.

    Raises `Refused` where the version needs features and there is no store to read them from.
    """

    def __init__(
        self,
        task: "Predict",
        artifact: Artifact,
        model: Any,
        features: ReadFeatures | None,
        arrangement: Mapping[str, Any] = MappingProxyType({}),
        take_review: TakeReview | None = None,
    ) -> None:
        self.task, self.target = task, task.target_kind
        self.columns = columns_in(artifact.texts)
        self.baseline: tuple[float, ...] = tuple(artifact.arrays[BASELINE].tolist())
        renamed = field_names_now(task.on)
        self._encoder = Encoder(self.columns, vocabularies_in(artifact.texts, self.columns), task.zone, renamed)
        named = set(task.feature_set.names)
        feature_names = [column.name for column in self.columns if column.name in named]
        self._reads = EventColumns(task, sorted(feature_names)) if feature_names else None
        if self._reads is not None and self._reads.groups and features is None:
            raise Refused("a version with features must be given a store to read them from, got none")
        self._features = features
        self.policy: Policy = task.arranged(arrangement).decide
        self.thresholds = Thresholds()
        if isinstance(self.policy, Decide):
            self.thresholds = thresholds_of(self.policy, task.decide, artifact.arrays, artifact.texts, renamed)
        self._decider = Decider(self.policy, self.target.quantiles, self.thresholds, take_review)
        self._predictor = model.open(artifact.arrays, artifact.texts, self.columns, self.target)

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        """The responses with the values of the target; quantiles are ascending."""
        if not requests:
            return []
        readings = self._read(requests)
        numbers, categories = self._arrays(requests, readings)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # a request with a value that is not finite goes to the next fallback level
            values = self._checked(self._predictor.predict(numbers, categories), len(requests))
        if self.target.kind == "quantiles":
            values = shifted_interval(np.sort(values, axis=1), contexts)
        rows = values.tolist()
        if self._reads is None or not self._reads.groups:
            return [
                self._decider.response(answered, tuple(row), (), shift)
                for answered, row, shift in zip(requests, rows, contexts, strict=True)
            ]
        return [
            self._decider.response(
                request, tuple(row), (self._reads.of_request(reading, request),) if reading.groups else (), shift
            )
            for row, reading, request, shift in zip(rows, readings, requests, contexts, strict=True)
        ]

    def decision_words(self, request: Request) -> str:
        """See `DescribesDecisions`."""
        return self._decider.words(request)

    def explain(self, request: Request, context: Any, response: Response) -> list[list[tuple[str, float]]]:
        """For each value, (column and its value, contribution) for all columns and the base."""
        readings = self._read([request])
        numbers, categories = self._arrays([request], readings)
        added = self._predictor.contributions(numbers, categories)[0]
        shown = self._shown(numbers[0], categories[0])
        reasons = [[("base", float(row[-1])), *_largest(shown, row[:-1].tolist())] for row in added]
        if response.interval is not None and response.interval.margin:
            values = shifted_interval(np.sort(self._predictor.predict(numbers, categories), axis=1), [None])[0]
            for index, own in enumerate(values.tolist()):
                reasons[index].append(("moved by outcomes", response.values[index] - own))
        if self._decider.quoted:
            reasons.append([(self._decider.quoted, response.values[-1])])
        return reasons

    def warm(self, at_us: int) -> None:
        """Read features of unknown keys, and predict and explain two artificial rows, alone and together."""
        if self._reads is not None and self._features is not None:
            keys = {group.name: [("",) * len(group.keys)] for group in self._reads.groups}
            # compiling takes longer than a deadline; a store that cannot be read is reported by later answers
            with contextlib.suppress(FlyballError):
                self._features.read([keys], [at_us])
        for rows in (1, 2):
            numbers = np.full((rows, len(self._encoder.number_names)), np.nan)
            categories = np.full((rows, len(self._encoder.category_names)), -1, np.int32)
            self._predictor.predict(numbers, categories)
        with contextlib.suppress(Refused):  # a model without contributions
            self._predictor.contributions(numbers, categories)

    def _read(self, requests: Sequence[Request]) -> "list[Reading]":
        from flyball.features import Reading

        if self._reads is None or self._features is None:
            return [Reading(request.at_us, (), {}) for request in requests]
        keys_of_rows = [self._reads.keys_of_request(request) for request in requests]
        return self._features.read(keys_of_rows, [request.at_us for request in requests])

    def _arrays(self, requests: Sequence[Request], readings: "Sequence[Reading]") -> tuple[Doubles, Any]:
        features = {} if self._reads is None else self._reads.values(readings, requests)
        return self._encoder.arrays(requests, features)

    def _checked(self, values: Any, rows: int) -> Doubles:
        shape = (rows, len(self.target.outputs))
        if not isinstance(values, np.ndarray) or values.shape != shape:
            raise BadInput("predictions", f"an array of shape {shape}", getattr(values, "shape", type(values).__name__))
        if self.target.kind in ("binary", "multiclass", "multilabel"):
            outside = (values < -ROUNDING) | (values > 1 + ROUNDING)
            if outside.any():
                raise BadInput("probability", "from 0 to 1", float(values[outside][0]))
        return values

    def _shown(self, numbers: Any, categories: Any) -> list[str]:
        """Each column with its value, such as "km = 3.2", or "km missing"."""
        number = dict(zip(self._encoder.number_names, numbers.tolist(), strict=True))
        text = self._encoder.texts(categories)
        return [
            f"{column.name} = {text[column.name]}"
            if column.kind == "category"
            else f"{column.name} missing"
            if np.isnan(number[column.name])
            else f"{column.name} = {number[column.name]:.6g}"
            for column in self.columns
        ]


def shifted_interval(quantiles: Doubles, shifts: Sequence[IntervalShift | None]) -> Doubles:
    """The quantiles (rows, quantiles), ascending, with the outer two moved outward by the margin of each row.

    If they would cross, both are set to their middle; the others stay between them.

    >>> shifted_interval(np.array([[2.0, 5.0, 6.0]]), [IntervalShift(7, -1.5)])
    array([[3.5, 4.5, 4.5]])
    """
    margins = np.array([0.0 if shift is None else shift.margin for shift in shifts])
    if quantiles.shape[1] < 2 or not margins.any():
        return quantiles
    low, high = quantiles[:, 0] - margins, quantiles[:, -1] + margins
    crossed, middle = low > high, (low + high) / 2
    low, high = np.where(crossed, middle, low), np.where(crossed, middle, high)
    moved: Doubles = np.clip(quantiles, low[:, None], high[:, None])
    moved[:, 0], moved[:, -1] = low, high
    return moved


def _largest(names: Sequence[str], added: Sequence[float]) -> list[tuple[str, float]]:
    """The nonzero contributions, the largest first."""
    parts = [(name, part) for name, part in zip(names, added, strict=True) if part]
    return sorted(parts, key=lambda part: -abs(part[1]))
