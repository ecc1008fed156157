"""Array types for explicit signatures. `r_` types accept read-only (memory-mapped) and writable arrays alike."""

from typing import Any

from numba import types

f4, f8, i4, i8, u1 = types.float32, types.float64, types.int32, types.int64, types.uint8


def reads(kind: Any, dimensions: int = 1) -> Any:
    """A C-contiguous array that the kernel only reads."""
    return types.Array(kind, dimensions, "C", readonly=True)


def writes(kind: Any, dimensions: int = 1) -> Any:
    """A C-contiguous array that the kernel writes."""
    return types.Array(kind, dimensions, "C")


r_f4, r_f8, r_i4, r_i8 = reads(f4), reads(f8), reads(i4), reads(i8)
r_f4x2, r_f8x2, r_i4x2 = reads(f4, 2), reads(f8, 2), reads(i4, 2)
w_f4, w_f8, w_i4, w_i8, w_u1 = writes(f4), writes(f8), writes(i4), writes(i8), writes(u1)
w_f4x2, w_f8x2, w_i4x2 = writes(f4, 2), writes(f8, 2), writes(i4, 2)
