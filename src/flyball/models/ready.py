"""What nearly every fit and answer needs, for a process that others are forked off to import once for all of them."""

import numba  # noqa: F401
import polars  # noqa: F401
import scipy.linalg  # noqa: F401

import flyball.models.kernels.ranking  # noqa: F401
