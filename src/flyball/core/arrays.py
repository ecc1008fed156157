"""Type aliases for numpy arrays in public signatures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
SignedInts = NDArray[np.signedinteger]
Arrays = Mapping[str, NDArray[Any]]
