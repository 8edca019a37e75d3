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


FUNCTIONS = {
    "erf": (mp.erf, 7),
    "erfc": (mp.erfc, 28),
    "gelu": (gelu, 40),
    "gelu_tanh": (gelu_tanh, 23),
}


def points(end):
    random = np.random.default_rng(0)
    size = np.exp(random.uniform(np.log(1e-20), np.log(end), COUNT // 2))
    spread = size * random.choice([-1.0, 1.0], COUNT // 2)
    return np.concatenate([spread, random.uniform(-end, end, COUNT // 2)])


def as_two(number):
    high = float(number)
    return high, float(number - high) if abs(number) < inf else 0.0


def main():
    tables = {}
    for name, (function, end) in FUNCTIONS.items():
        x = points(end)
        tables[name] = np.array([(v, *as_two(function(mpf(float(v))))) for v in x])
    np.savez_compressed(Path(__file__).with_name("mathlib.npz"), **tables)


if __name__ == "__main__":
    main()
