"""Derive the coefficients of `lamina/codegen/mathlib` and write them as a module of tables.

    python scripts/fit_polynomials.py > lamina/codegen/mathlib/coefficients.py

Needs mpmath. Each table is the minimax polynomial of lowest degree that keeps the weighted error
below 2^−bits on its interval: the exchange algorithm of Remez on a fixed grid, in 240 bits. The
error printed is that of the rounded coefficients.
"""

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mpmath import mp, mpf

mp.prec = 240
Function = Callable[[mpf], mpf]
_GRID = 24
_ROUNDS = 12
_WORDS = 40


@dataclass(frozen=True)
class Fit:
    """A table to be made: weight(x)·(polynomial(x) − function(x)) stays below 2^−bits."""

    name: str
    meaning: str
    function: Function
    weight: Function
    interval: tuple[mpf, mpf]
    bits: float
    degree: int = 2
    result: str = "f64"
    kind: str = "d"


def grid(interval: tuple[mpf, mpf], count: int) -> list[mpf]:
    """Return points that lie denser towards both ends; an even count leaves out the middle."""
    low, high = interval
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def evaluate(coefficients: list[mpf], x: mpf) -> mpf:
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def alternating(errors: list[mpf], wanted: int) -> list[int]:
    """Return the places of the largest errors whose signs alternate, at most `wanted` of them."""
    best: list[int] = []
    for place, error in enumerate(errors):
        if best and (errors[best[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[best[-1]]):
                best[-1] = place
        else:
            best.append(place)
    while len(best) > wanted:
        best.pop(0 if abs(errors[best[0]]) < abs(errors[best[-1]]) else -1)
    return best


def remez(xs: list[mpf], values: list[mpf], weights: list[mpf], degree: int) -> list[mpf]:
    """Return the minimax polynomial of the values at xs, lowest power first."""
    count = degree + 2
    step = (len(xs) - 1) / (count - 1)
    places = [round(i * step) for i in range(count)]
    coefficients: list[mpf] = []
    for _ in range(_ROUNDS):
        rows = [
            [xs[p] ** k for k in range(degree + 1)] + [(-1) ** i / weights[p]]
            for i, p in enumerate(places)
        ]
        solved = mp.lu_solve(mp.matrix(rows), mp.matrix([values[p] for p in places]))
        coefficients = list(solved)[:-1]
        errors = [
            w * (evaluate(coefficients, x) - v) for x, v, w in zip(xs, values, weights, strict=True)
        ]
        found = alternating(errors, count)
        if len(found) < count or found == places:
            break
        places = found
    return coefficients


def rounded(number: mpf, kind: str) -> mpf:
    """Return the nearest number of struct's `kind`."""
    return mpf(struct.unpack(kind, struct.pack(kind, float(number)))[0])


def fitted(fit: Fit) -> tuple[list[mpf], float]:
    """Return the rounded coefficients and the bits that they reach."""
    degree = fit.degree
    while True:
        xs = grid(fit.interval, _GRID * (degree + 2))
        values = [fit.function(x) for x in xs]
        weights = [fit.weight(x) for x in xs]
        ideal = remez(xs, values, weights, degree)
        if reached(xs, values, weights, ideal) >= fit.bits:
            break
        degree += 1
    done = in_short_numbers(fit, xs, values, weights, ideal)
    return done, reached(xs, values, weights, done)


def in_short_numbers(
    fit: Fit, xs: list[mpf], values: list[mpf], weights: list[mpf], ideal: list[mpf]
) -> list[mpf]:
    """Return the coefficients rounded one after the other.

    Where that is to f32, the later ones make up for the earlier by least squares.
    """
    if fit.kind == "d":
        return [rounded(coefficient, "d") for coefficient in ideal]
    done: list[mpf] = []
    rest = ideal
    for power in range(1, len(ideal) + 1):
        done.append(rounded(rest[0], "f"))
        if power < len(ideal):
            rows = [
                [w * x**k for k in range(power, len(ideal))]
                for x, w in zip(xs, weights, strict=True)
            ]
            left = [
                w * (v - evaluate(done, x)) for x, v, w in zip(xs, values, weights, strict=True)
            ]
            rest = list(mp.lu_solve(mp.matrix(rows), mp.matrix(left)))
    return done


def reached(xs: list[mpf], values: list[mpf], weights: list[mpf], coefficients: list[mpf]) -> float:
    worst = max(
        abs(w * (evaluate(coefficients, x) - v))
        for x, v, w in zip(xs, values, weights, strict=True)
    )
    return float(-mp.log(worst, 2))


def one(_: mpf) -> mpf:
    return mpf(1)


def root(function: Function) -> Function:
    """Return z ↦ function(√z): series in x² are fitted in z."""
    return lambda z: function(mp.sqrt(z))


HALF_LN2 = mp.log(2) / 2 * mpf("1.0001")
LOG_RANGE = (mp.sqrt(0.5) - 1, mp.sqrt(2) - 1)
S_RANGE = (mpf(0), (3 - 2 * mp.sqrt(2)) ** 2)
QUARTER_PI = (mpf(0), (mp.pi / 4 * mpf("1.0001")) ** 2)
# Where erfc leaves 1 − erf, the bend of the variable t = (x − K)/(x + K), and where erfc ends.
ERFC_FROM, ERFC_BEND, ERFC_TO = mpf("0.46"), mpf(3.75), mpf("27.3")


# For results in f32 a form that needs one division.
FLAT_BEND = mpf(1.5)


def series_of_exp(r: mpf) -> mpf:
    return (mp.expm1(r) - r) / r**2


def series_of_log(s: mpf) -> mpf:
    """(log((1 + s)/(1 − s)) − 2s)/s³ = 2/3 + 2/5·s² + …"""
    return (2 * mp.atanh(s) - 2 * s) / s**3


def unbend(t: mpf, middle: mpf) -> mpf:
    return middle * (1 + t) / (1 - t)


def bend(x: mpf, middle: mpf) -> mpf:
    return (x - middle) / (x + middle)


def scaled_erfc(t: mpf) -> mpf:
    x = unbend(t, ERFC_BEND)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def flat_erfc(t: mpf) -> mpf:
    x = unbend(t, FLAT_BEND)
    return (x + FLAT_BEND) * mp.exp(x * x) * mp.erfc(x)


def erf_weight(x: mpf) -> mpf:
    return x / mp.erf(x)


def both(name: str, meaning: str, single: float, double: float, *rest) -> list[Fit]:
    """Return the table for results in f32 and the one for results in f64; both hold doubles."""
    function, weight, interval = rest
    return [
        Fit(name, meaning, function, weight, interval, single, result="f32"),
        Fit(name, meaning, function, weight, interval, double, degree=5, result="f64"),
    ]


def fits_of_powers() -> list[Fit]:
    """Exponentials and roots."""
    return [
        *both(
            "EXP",
            "(exp(r) − 1 − r)/r², |r| ≤ ln 2 / 2",
            30,
            58,
            series_of_exp,
            lambda r: r**2 / abs(mp.expm1(r)),
            (-HALF_LN2, HALF_LN2),
        ),
        Fit(
            "EXP_IN_F32",
            "the same, in f32 arithmetic",
            series_of_exp,
            lambda r: r**2 / mp.exp(r),
            (-HALF_LN2, HALF_LN2),
            27,
            degree=3,
            result="f32",
            kind="f",
        ),
        Fit(
            "CBRT",
            "∛m, √½ ≤ m ≤ √2",
            mp.cbrt,
            lambda m: 1 / mp.cbrt(m),
            (mp.sqrt(0.5), mp.sqrt(2)),
            14,
            degree=3,
            result="f64",
        ),
        Fit(
            "TANH_IN_F32",
            "(tanh x − x)/x³ in x², |x| ≤ 1",
            root(lambda x: (mp.tanh(x) - x) / x**3),
            root(lambda x: x**3 / mp.tanh(x)),
            (mpf(0), mpf(1)),
            26.5,
            degree=5,
            result="f32",
            kind="f",
        ),
    ]


def fits_of_logarithms() -> list[Fit]:
    """Logarithms."""
    return [
        *both(
            "LOG",
            "(log((1 + s)/(1 − s)) − 2s)/s³ in s²",
            30,
            60,
            root(series_of_log),
            lambda z: z / 2,
            S_RANGE,
        ),
        Fit(
            "LOG_IN_F32",
            "(log(1 + f) − f + f²/2)/f³, √½ ≤ 1 + f ≤ √2, in f32 arithmetic",
            lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3,
            lambda f: f**3 / mp.log1p(f),
            LOG_RANGE,
            27,
            degree=6,
            result="f32",
            kind="f",
        ),
        Fit(
            "LOG_OF_POWER",
            "the same, for pow",
            root(series_of_log),
            lambda z: z / 2,
            S_RANGE,
            44,
            result="f32",
        ),
        Fit(
            "LOG_OF_POWER",
            "the same less 2/3, over s², for pow",
            root(lambda s: (series_of_log(s) - mpf(2) / 3) / s**2),
            lambda z: z**2 / 2,
            S_RANGE,
            71,
            degree=5,
            result="f64",
        ),
    ]


def fits_of_angles() -> list[Fit]:
    """Circular functions and their inverses."""
    return [
        *both(
            "SIN",
            "(sin r − r)/r³ in r²",
            30,
            58,
            root(lambda r: (mp.sin(r) - r) / r**3),
            root(lambda r: r**3 / mp.sin(r)),
            QUARTER_PI,
        ),
        *both(
            "COS",
            "(cos r − 1 + r²/2)/r⁴ in r²",
            30,
            58,
            root(lambda r: (mp.cos(r) - 1 + r**2 / 2) / r**4),
            root(lambda r: r**4 / mp.cos(r)),
            QUARTER_PI,
        ),
        *both(
            "ATAN",
            "(atan t − t)/t³ in t², |t| ≤ 1",
            30,
            57,
            root(lambda t: (mp.atan(t) - t) / t**3),
            root(lambda t: t**3 / mp.atan(t)),
            (mpf(0), mpf(1)),
        ),
        *both(
            "ASIN",
            "(asin x − x)/x³ in x², |x| ≤ 1/2",
            30,
            59,
            root(lambda x: (mp.asin(x) - x) / x**3),
            root(lambda x: x**3 / mp.asin(x)),
            (mpf(0), mpf(0.25)),
        ),
    ]


def fits_of_errors() -> list[Fit]:
    """The error function and its complement."""
    return [
        Fit(
            "ERF",
            "erf(x)/x − 1 in x², |x| ≤ 3.93",
            root(lambda x: mp.erf(x) / x - 1),
            root(erf_weight),
            (mpf(0), mpf("3.93") ** 2),
            29,
            degree=16,
            result="f32",
        ),
        Fit(
            "ERF",
            "erf(x)/x − 1 in x², |x| ≤ 1",
            root(lambda x: mp.erf(x) / x - 1),
            root(erf_weight),
            (mpf(0), mpf(1)),
            57,
            degree=10,
            result="f64",
        ),
        Fit(
            "ERFC",
            "(x + K)·exp(x²)·erfc(x) in (x − K)/(x + K), 0 ≤ x ≤ 10.4",
            flat_erfc,
            lambda t: 1 / flat_erfc(t),
            (mpf(-1), bend(mpf("10.4"), FLAT_BEND)),
            30,
            degree=9,
            result="f32",
        ),
        Fit(
            "ERFC",
            "(1 + 2x)·exp(x²)·erfc(x) in (x − K)/(x + K), 0.46 ≤ x ≤ 27.3",
            scaled_erfc,
            lambda t: 1 / scaled_erfc(t),
            (bend(ERFC_FROM, ERFC_BEND), bend(ERFC_TO, ERFC_BEND)),
            57,
            degree=19,
            result="f64",
        ),
    ]


HEADER = '''"""Minimax polynomials, lowest power first; written by scripts/fit_polynomials.py.

Each table has a row for results in f32, computed in f64, and one for results in f64. Those called
…_IN_F32 are for f32 arithmetic.
"""'''


def bits_of(number: mpf, bits: int) -> mpf:
    """Return the number with as many leading bits."""
    exponent = int(mp.floor(mp.log(abs(number), 2))) + 1
    unit = mpf(2) ** (exponent - bits)
    return mp.floor(number / unit) * unit


def parts(name: str, number: mpf, *bits: int) -> Iterator[str]:
    """Give constants that add up to the number; all but the last are short."""
    values = []
    for count in bits:
        values.append(bits_of(number, count) if count < 53 else mpf(float(number)))
        number -= values[-1]
    yield f"{name} = ({', '.join(repr(float(value)) for value in values)})"


def constants() -> Iterator[str]:
    """Give constants of more than one double."""
    yield "# ln 2, its first part short enough to be multiplied by an exponent without rounding."
    yield from parts("LN2", mp.log(2), 32, 53)
    yield "# The same in f32, for exponents of 8 bits."
    yield from parts("LN2_IN_F32", mp.log(2), 15, 24)
    yield "# π/2 for multiples below 2²⁰, and as two doubles."
    yield from parts("HALF_PI_PARTS", mp.pi / 2, 33, 33, 53)
    yield from parts("HALF_PI", mp.pi / 2, 53, 53)
    yield "# log₂ e, log₁₀ e, log₁₀ 2, 2/3 and the factors of tanh-gelu as two doubles."
    yield from parts("LOG2_E", 1 / mp.log(2), 53, 53)
    yield from parts("LOG10_E", 1 / mp.log(10), 53, 53)
    yield from parts("LOG10_2", mp.log(2) / mp.log(10), 32, 53)
    yield from parts("TWO_THIRDS", mpf(2) / 3, 53, 53)
    yield from parts("GELU_LINEAR", 2 * mp.sqrt(2 / mp.pi), 53, 53)
    yield from parts("GELU_CUBIC", 2 * mp.sqrt(2 / mp.pi) * mpf("0.044715"), 53, 53)
    yield "# √½ as two doubles."
    yield from parts("ROOT_HALF", mp.sqrt(mpf(0.5)), 53, 53)
    yield "# 1/√(2π)."
    yield f"NORMAL_PEAK = {float(1 / mp.sqrt(2 * mp.pi))!r}"
    yield "# erfc is fitted in t = (x − K)/(x + K), where K is:"
    yield f'ERFC_BEND = {{"f32": {float(FLAT_BEND)!r}, "f64": {float(ERFC_BEND)!r}}}'
    yield "# 2/π in binary, 32 bits a word, after 64 bits of zeros."
    with mp.workprec(32 * _WORDS + 64):
        scaled = int(mp.floor(2 / mp.pi * mpf(2) ** (32 * _WORDS)))
    words = [scaled >> (32 * (_WORDS - 1 - i)) & 0xFFFFFFFF for i in range(_WORDS)]
    yield "TWO_OVER_PI = (0, 0, " + ", ".join(f"0x{word:08X}" for word in words) + ")"


def tables() -> Iterator[str]:
    """Give a table for each name, a row for each type of result."""
    by_name: dict[str, list[str]] = {}
    for fit in (*fits_of_powers(), *fits_of_logarithms(), *fits_of_angles(), *fits_of_errors()):
        coefficients, bits = fitted(fit)
        summary = f"degree {len(coefficients) - 1}, error 2^−{bits:.1f}"
        print(f"{fit.name} {fit.result}: {summary}", file=sys.stderr)
        rows = by_name.setdefault(fit.name, [])
        rows.append(f"    # {fit.meaning}; {summary}")
        rows.append(f'    "{fit.result}": (')
        rows += [f"        {float(coefficient)!r}," for coefficient in coefficients]
        rows.append("    ),")
    for name, rows in by_name.items():
        yield "\n".join((f"{name} = {{", *rows, "}"))


def main() -> None:
    print(HEADER)
    print()
    for line in (*constants(), *tables()):
        print(line)


if __name__ == "__main__":
    main()
