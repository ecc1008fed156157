"""Exact arithmetic on integers of more than 64 bits: words of 60 bits, of which the lowest are nonnegative.

No step can overflow 64 bits, so the loops give the same results without the compiler (NUMBA_DISABLE_JIT=1).
"""

import math

import numpy as np
from numba import njit

LOW_60 = (1 << 60) - 1
LOW_30 = (1 << 30) - 1
DIGITS = 16


@njit(cache=True, nogil=True)
def plus(high, low, more_high, more_low):
    """Add two numbers of 60-bit words; `more_low` may be negative."""
    low = low + more_low
    return high + more_high + (low >> 60), low & LOW_60


@njit(cache=True, nogil=True)
def times(high, low, weight):
    """The product of a number of 60-bit words and a weight of at most 32 bits."""
    small = (low & LOW_30) * weight
    middle = (low >> 30) * weight
    below = small + ((middle & LOW_30) << 30)
    return high * weight + (middle >> 30) + (below >> 60), below & LOW_60


@njit(cache=True, nogil=True)
def nearest_double(high, low, digits):
    """The double nearest to `high * 2**60 + low`, ties to even, like `float` of an integer."""
    if -4 <= high < 4:
        return float(high * (1 << 60) + low)
    negative = high < 0
    if negative:
        high, low = -high - (1 if low else 0), ((1 << 60) - low) & LOW_60
    digits[:] = 0
    digits[0], digits[1] = low & LOW_30, low >> 30
    digits[2], digits[3], digits[4] = high & LOW_30, (high >> 30) & LOW_30, high >> 60
    magnitude = _double_of_digits(digits)
    return -magnitude if negative else magnitude


@njit(cache=True, nogil=True)
def _double_of_digits(digits):
    """The double nearest to a number of 30-bit digits, lowest first, from 62 bits and a sticky bit."""
    top = DIGITS - 1
    while top > 0 and digits[top] == 0:
        top -= 1
    length, top_digit = 30 * top, digits[top]
    while top_digit:
        length += 1
        top_digit >>= 1
    shift = max(0, length - 62)
    value, sticky = np.int64(0), np.int64(0)
    for i in range(top + 1):
        shift_left = 30 * i - shift
        if shift_left >= 0:
            value |= digits[i] << shift_left
        elif shift_left > -30:
            value |= digits[i] >> -shift_left
            sticky |= digits[i] & ((1 << -shift_left) - 1)
        else:
            sticky |= digits[i]
    return math.ldexp(float(value | (1 if sticky else 0)), shift)


@njit(cache=True, nogil=True)
def spread(n, high, low, q2, q1, q0, digits, size):
    """`float(n * squares - total * total)`, rounded once."""
    if high < 0:
        high, low = -high - (1 if low else 0), ((1 << 60) - low) & LOW_60
    digits[:] = 0
    size[:] = 0
    size[0], size[1], size[2], size[3] = q0 & LOW_30, q0 >> 30, q1 & LOW_30, q1 >> 30
    size[4], size[5], size[6] = q2 & LOW_30, (q2 >> 30) & LOW_30, q2 >> 60
    for i in range(3):
        factor = (n >> (30 * i)) & LOW_30
        if factor:
            for j in range(7):
                if size[j]:
                    _put(digits, i + j, factor * size[j])
    size[0], size[1], size[2], size[3], size[4] = (
        low & LOW_30,
        low >> 30,
        high & LOW_30,
        (high >> 30) & LOW_30,
        high >> 60,
    )
    for i in range(5):
        for j in range(5):
            if size[i] and size[j]:
                _put(digits, i + j, -(size[i] * size[j]))
    return _double_of_digits(digits)


@njit(cache=True, nogil=True)
def _put(digits, position, product):
    """Add a product of two digits, of either sign, at `position`."""
    carry = product
    while carry != 0:
        carry += digits[position]
        digits[position] = carry & LOW_30
        carry >>= 30
        position += 1
