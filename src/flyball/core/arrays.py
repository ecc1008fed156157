"""Names for the arrays that cross doors; whoever uses one imports numpy anyway."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
SignedInts = NDArray[np.signedinteger]
Arrays = Mapping[str, NDArray[Any]]
