"""A real factor as a mantissa and a shift, against exact fractions."""

from fractions import Fraction

import numpy as np

from edgestitch_runtime.fixed_point import multiplier_of


def test_the_mantissa_is_the_nearest_of_32_bits():
    generator = np.random.default_rng(0)
    for real in np.exp(generator.uniform(-20, 20, 2000)):
        mantissa, shift = multiplier_of(float(real))
        assert 1 << 30 <= mantissa < 1 << 31
        exact = Fraction(float(real)) * Fraction(2) ** (31 - shift)
        assert abs(exact - mantissa) <= Fraction(1, 2)


def test_what_is_too_small_is_zero_and_what_is_too_large_the_largest():
    assert multiplier_of(0.0) == (0, 0) == multiplier_of(2.0**-40)
    assert multiplier_of(2.0**40) == ((1 << 31) - 1, 30)
    assert multiplier_of(1 - 2.0**-53) == (1 << 30, 1)  # rounded up to a power of two
