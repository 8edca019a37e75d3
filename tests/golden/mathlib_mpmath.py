"""Writes mathlib.npz: functions for which numpy has no wider type, worked out by mpmath.

python tests/golden/mathlib_mpmath.py
"""

from pathlib import Path

import numpy as np
from mpmath import inf, mp, mpf

mp.prec = 160
COUNT = 500


def gelu(x):
    return x / 2 * mp.erfc(-x / mp.sqrt(2))


def gelu_tanh(x):
    return x / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)))


def normal_cdf(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def normal_pdf(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


FUNCTIONS = {
    "erf": (mp.erf, 7),
    "erfc": (mp.erfc, 28),
    "gelu": (gelu, 40),
    "gelu_tanh": (gelu_tanh, 23),
    "normal_cdf": (normal_cdf, 40),
    "normal_pdf": (normal_pdf, 40),
}


def points(end, count, seed):
    random = np.random.default_rng(seed)
    size = np.exp(random.uniform(np.log(1e-20), np.log(end), count // 2))
    spread = size * random.choice([-1.0, 1.0], count // 2)
    return np.concatenate([spread, random.uniform(-end, end, count // 2)])


def as_two(number):
    high = float(number)
    return high, float(number - high) if abs(number) < inf else 0.0


def table(name, count, seed):
    """Rows of x and two doubles that add up to the function of x."""
    function, end = FUNCTIONS[name]
    xs = points(end, count, seed)
    return np.array([(x, *as_two(function(mpf(float(x))))) for x in xs])


def main():
    tables = {name: table(name, COUNT, 0) for name in FUNCTIONS}
    np.savez_compressed(Path(__file__).with_name("mathlib.npz"), **tables)


if __name__ == "__main__":
    main()
