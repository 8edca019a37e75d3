"""The transforms of Winograd's minimal filtering F(m×m, 3×3), and a bound of their error.

A tile of (m + 2)² places of the input gives m² results as A·[(G·g·Gᵀ) ⊙ (B·d·Bᵀ)]·Aᵀ: one product
for each of (m + 2)² places instead of 9 for each of m². Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks" (2016), https://arxiv.org/abs/1509.09308.

The matrices evaluate polynomials at 0, at pairs ±p and at infinity. A pair shares its even and its
odd part, and all scale factors stand in A: the weights, often the dearest to transform, need none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from lamina.codegen.builder import Builder
from lamina.codegen.values import Value

TAPS = 3
Matrix = list[list[float]]


def _even_polynomial(roots: Sequence[float]) -> list[float]:
    """Return the coefficients of Π (x² − p²) over the roots: those of 1, x², x⁴ …"""
    coefficients = [1.0]
    for root in roots:
        lower, higher = [*coefficients, 0.0], [0.0, *coefficients]
        coefficients = [h - root * root * low for h, low in zip(higher, lower, strict=True)]
    return coefficients


@dataclass(frozen=True, slots=True)
class Transform:
    """One member of the family: results a tile along an axis, and the pairs of points ±p."""

    outputs: int
    pairs: tuple[float, ...]

    @property
    def size(self) -> int:
        """How many places a tile has along an axis."""
        return self.outputs + TAPS - 1

    def _others(self, pair: float) -> list[float]:
        return _even_polynomial([other for other in self.pairs if other != pair])

    def scales(self) -> list[float]:
        """Return the factor of each point in A: 0, then p and −p for each pair, then infinity."""
        scales = [1 / _even_polynomial(self.pairs)[0]]
        for pair in self.pairs:
            others = prod(pair * pair - other * other for other in self.pairs if other != pair)
            scales += [1 / (2 * pair * pair * others)] * 2
        return [*scales, 1.0]

    def input(self, k: Builder, d: Sequence[Value]) -> list[Value]:
        """Return B·d."""
        whole = _even_polynomial(self.pairs)
        found = [_dot(k, whole, d[0::2])]
        for pair in self.pairs:
            others = self._others(pair)
            even, odd = _dot(k, others, d[2::2]), _dot(k, others, d[1::2])
            found += _plus_minus(k, even, odd, pair)
        return [*found, _dot(k, whole, d[1::2])]

    def weights(self, k: Builder, g: Sequence[Value]) -> list[Value]:
        """Return G·g."""
        found = [g[0]]
        for pair in self.pairs:
            found += _plus_minus(k, _dot(k, [1.0, pair * pair], g[0::2]), g[1], pair)
        return [*found, g[2]]

    def output(self, k: Builder, m: Sequence[Value]) -> list[Value]:
        """Return A·m."""
        scales = self.scales()
        evens = [m[2 * i + 1] + m[2 * i + 2] for i in range(len(self.pairs))]
        odds = [m[2 * i + 1] - m[2 * i + 2] for i in range(len(self.pairs))]
        found: list[Value] = []
        for power in range(self.outputs):
            terms = odds if power % 2 else evens
            factors = [scales[2 * i + 1] * p**power for i, p in enumerate(self.pairs)]
            first = [m[0]] if power == 0 else [m[-1]] if power == self.outputs - 1 else []
            factors = [scales[0]] * (power == 0) + [1.0] * (power > 0 and bool(first)) + factors
            found.append(_dot(k, factors, [*first, *terms]))
        return found

    def gradient(self, k: Builder, z: Sequence[Value]) -> list[Value]:
        """Return Aᵀ·z without its scales, of the gradient z of results."""
        found = [z[0]]
        for pair in self.pairs:
            powers = [pair ** (2 * i) for i in range(len(z[0::2]))]
            even, odd = _dot(k, powers, z[0::2]), _dot(k, powers, z[1::2])
            found += _plus_minus(k, even, odd, pair)
        return [*found, z[-1]]

    def taps(self, k: Builder, m: Sequence[Value]) -> list[Value]:
        """Return Gᵀ·m with the scales of A, the gradient of the taps."""
        scales = self.scales()
        evens = [m[2 * i + 1] + m[2 * i + 2] for i in range(len(self.pairs))]
        odds = [m[2 * i + 1] - m[2 * i + 2] for i in range(len(self.pairs))]
        factors = [
            [scales[2 * i + 1] * p**power for i, p in enumerate(self.pairs)] for power in range(3)
        ]
        first = _dot(k, [scales[0], *factors[0]], [m[0], *evens])
        return [first, _dot(k, factors[1], odds), _dot(k, [1.0, *factors[2]], [m[-1], *evens])]

    def matrices(self) -> tuple[Matrix, Matrix, Matrix]:
        """Return A, G and B as numbers: what `output`, `weights` and `input` multiply with."""
        scales, last = self.scales(), self.outputs - 1
        points = [0.0, *(sign * pair for pair in self.pairs for sign in (1, -1))]
        a = [
            [scale * point**power for scale, point in zip(scales[:-1], points, strict=True)]
            + [float(power == last)]
            for power in range(self.outputs)
        ]
        g = [[1.0, point, point * point] for point in points] + [[0.0, 0.0, 1.0]]
        whole = _even_polynomial(self.pairs)
        b = [_spread(whole, 0, self.size)]
        for point in points[1:]:
            others = self._others(abs(point))
            odd = _spread([point * other for other in others], 1, self.size)
            b.append([x + y for x, y in zip(_spread(others, 2, self.size), odd, strict=True)])
        return a, g, [*b, _spread(whole, 1, self.size)]

    def amplification(self) -> float:
        """Return α: transformed sums of magnitudes are at most α · Σ_c ‖w_c‖₁ · max |x_c|.

        α = max over rows i of (Σ_ξ |A_iξ| · max_k |G_ξk| · Σ_l |B_ξl|)², the maxima and sums of
        each axis on their own.
        """
        a, g, b = self.matrices()
        return _amplification(a, g, b)

    def gradient_amplification(self) -> float:
        """Return the same α for the gradient of the weights: A and G change places."""
        a, g, b = self.matrices()
        return _amplification(_turned(g), _turned(a), b)

    def error_bound(self, channels: int) -> float:
        """Return the most that a result may be off, in roundings (2⁻²⁴ in float32) of
        Σ_c ‖w_c‖₁ · max |x_c|, the maximum taken over the tile.

        A number that goes through n roundings is off by n of them to first order (Higham,
        "Accuracy and Stability of Numerical Algorithms", 2002, §3.1). A term goes through at most
        r = size roundings in each of two passes of each transform, as many of its constants, and
        one for each channel: α · (channels + 12 · r).
        """
        return self.amplification() * (channels + 12 * self.size)

    def gradient_error_bound(self, tiles: int) -> float:
        """Return the same for the gradient of the weights, in roundings of Σ ‖z‖₁ · max |x| over
        the tiles of all images, z the gradient of the tile's results.
        """
        return self.gradient_amplification() * (tiles + 12 * self.size)


def _amplification(outer: Matrix, summed: Matrix, peaked: Matrix) -> float:
    gains = [
        max(map(abs, one)) * sum(map(abs, other)) for one, other in zip(summed, peaked, strict=True)
    ]
    rows = [sum(abs(x) * gain for x, gain in zip(row, gains, strict=True)) for row in outer]
    return max(rows) ** 2


def _turned(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def _spread(coefficients: Sequence[float], start: int, size: int) -> list[float]:
    row = [0.0] * size
    row[start : start + 2 * len(coefficients) : 2] = coefficients
    return row


def _dot(k: Builder, factors: Sequence[float], values: Sequence[Value]) -> Value:
    """Return Σ factor·value, the terms of factor ±1 first: those are additions."""
    terms = sorted(zip(factors, values, strict=False), key=lambda term: abs(term[0]) != 1.0)
    factor, total = terms[0]
    if factor != 1.0:
        total = total * factor
    for factor, value in terms[1:]:
        if factor == 1.0:
            total = total + value
        elif factor == -1.0:
            total = total - value
        else:
            total = k.fma(k.constant(value.type, factor), value, total)
    return total


def _plus_minus(k: Builder, even: Value, odd: Value, point: float) -> list[Value]:
    if point == 1.0:
        return [even + odd, even - odd]
    factors = (k.constant(odd.type, sign * point) for sign in (1, -1))
    return [k.fma(factor, odd, even) for factor in factors]


# The points decide the error: ±5/8 and ±3/2 halve that of ±1 and ±2, α = 204 against 860, and
# their powers are exact in float32.
TRANSFORMS = {2: Transform(2, (1.0,)), 4: Transform(4, (0.625, 1.5))}
