"""Correction of probabilities that were learned from a share of the negatives.

Source: Dal Pozzolo et al., "Calibrating Probability with Undersampling for Unbalanced Classification", IEEE SSCI 2015.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles


def corrected_prior(probabilities: NDArray[Any], rate: float) -> Doubles:
    """The probabilities among all examples, same shape, if training used the share `rate` of the negatives.

    Omitting negatives divides all odds by `rate`; this multiplies them by `rate`. Raises `BadInput` for a rate that is
    not above 0 and at most 1. Source: Dal Pozzolo et al., IEEE SSCI 2015.

    >>> corrected_prior(np.array([0.5, 0.9]), rate=0.1)
    array([0.09090909, 0.47368421])
    """
    if not 0 < rate <= 1:
        raise BadInput("share of the negatives that was kept", "above 0, at most 1", rate)
    kept = np.asarray(probabilities, np.float64)
    return np.asarray(kept * rate / (kept * rate + (1 - kept)))
