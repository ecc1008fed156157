"""Beta calibration: two slopes and an offset in log probabilities; unlike Platt scaling, it can be the identity.

Source: Kull, Silva Filho and Flach, "Beta calibration: a well-founded and easily implemented improvement on logistic
calibration for binary classifiers", AISTATS 2017. Targets are smoothed like Platt's, so that coefficients stay finite
for separable examples, and a small penalty prefers the identity if few examples leave coefficients undetermined.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles
from flyball.models.tabular.calibration.examples import checked_examples
from flyball.models.tabular.calibration.logistic import fit_logistic, smoothed_targets

_SMALLEST = 1e-15
_STRENGTH = 1e-3
"""The strength of the penalty toward the identity, relative to the loss of one example."""


class BetaMap(msgspec.Struct, frozen=True):
    """probability = sigmoid(c + a log p - b log(1 - p)), with `a`, `b` >= 0; (1, 1, 0) is the identity."""

    a: float
    b: float
    c: float

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """a, b and c."""
        return self.a, self.b, self.c

    def apply(self, probabilities: NDArray[Any]) -> Doubles:
        """The calibrated probabilities, (n,)."""
        from flyball.models.kernels.calibration import beta_map

        out = np.empty(len(probabilities))
        beta_map(np.ascontiguousarray(probabilities, np.float64), self.a, self.b, self.c, out)
        return out


def fit_beta(probabilities: NDArray[Any], actual: NDArray[Any], weight: NDArray[Any] | None = None) -> BetaMap:
    """Fit on `probabilities`, `actual` and `weight`, shape (n,), the first two from 0 to 1.

    A coefficient below 0, which would reverse the order of examples, is set to 0 and the others are fitted again, as
    the authors do. Raises `BadInput` for different shapes, numbers out of range or not finite, or no weight above 0.
    """
    probabilities, actual, weight = checked_examples(probabilities, actual, weight)
    if probabilities[0] < 0 or probabilities[-1] > 1:
        outside = probabilities[0] if probabilities[0] < 0 else probabilities[-1]
        raise BadInput("probabilities to calibrate by", "from 0 to 1", float(outside))
    clipped = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    columns = {"a": np.log(clipped), "b": -np.log1p(-clipped), "c": np.ones(len(clipped))}
    target = smoothed_targets(actual, weight)
    while True:
        nothing = np.array([0.0 if name == "c" else 1.0 for name in columns])
        coefficients = fit_logistic(np.stack(list(columns.values()), axis=1), target, weight, nothing, _STRENGTH)
        named = dict(zip(columns, coefficients.tolist(), strict=True))
        wrong = min(("a", "b"), key=lambda name: named.get(name, 0.0))
        if named.get(wrong, 0.0) >= 0:
            return BetaMap(named.get("a", 0.0), named.get("b", 0.0), named["c"])
        del columns[wrong]
