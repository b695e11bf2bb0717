# SPDX-License-Identifier: Apache-2.0
"""From mpmath's numbers, which know no limits, to those of a floating-point format."""

import math

from mpmath import isinf, isnan, mpf

# bits of the significand, exponents of the smallest subnormal and of what is infinite
FORMATS = {"f32": (24, -149, 128), "f64": (53, -1074, 1024), "f16": (11, -24, 16), "bf16": (8, -133, 128)}


def real_dtype(dtype):
    """That of losses, statistics and weights."""
    return "f64" if dtype == "f64" else "f32"


def as_dtype(value, dtype):
    """The number of a dtype that is nearest to a float."""
    return rounded(mpf(value), *FORMATS[dtype])


def rounded(value, bits=53, least=-1074, most=1024):
    """The nearest float of so many bits to an mpf. 2^least is the smallest subnormal; 2^most and more is infinity.

    A subnormal is rounded once.
    """
    if isnan(value) or isinf(value):
        return float(value)
    sign, mantissa, exponent, size = value._mpf_
    top = exponent + size  # |value| < 2**top
    if not mantissa or top < least - 6:  # before a mantissa is shifted by millions of bits
        return 0.0
    drop = max(size - bits, least - exponent)
    if drop > 0:
        rest, half = mantissa & ((1 << drop) - 1), 1 << (drop - 1)
        mantissa >>= drop
        mantissa += rest > half or (rest == half and mantissa & 1)
        exponent += drop
    magnitude = math.inf if mantissa.bit_length() + exponent > most else math.ldexp(int(mantissa), exponent)
    return -magnitude if sign else magnitude


def binade(value):
    """A positive mpf rounded down to a power of two: all that an ulp depends on."""
    if value == 0 or not math.isfinite(rounded(value)):
        return rounded(value)
    _, _, exponent, size = value._mpf_
    return math.ldexp(1.0, max(exponent + size - 1, -1074))
