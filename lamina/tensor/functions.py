"""Elementary functions as methods of a tensor."""

from typing import Any

from lamina.errors import ArgumentError
from lamina.ops.elementwise import activations
from lamina.ops.elementwise import arithmetic as ar
from lamina.ops.elementwise import functions as fn
from lamina.ops.layers import softmax
from lamina.ops.registry import Operand
from lamina.tensor.keywords import second_keywords

Tensor = Any


class Functions(Operand):
    """`x.exp()` and the like: each is one row of the op table."""

    __slots__ = ()

    def exp(self) -> Tensor:
        """Return eˣ."""
        return self.apply(fn.exp, (self,))

    def exp2(self) -> Tensor:
        """Return 2ˣ."""
        return self.apply(fn.exp2, (self,))

    def expm1(self) -> Tensor:
        """Return eˣ − 1, exact near 0."""
        return self.apply(fn.expm1, (self,))

    def log(self) -> Tensor:
        """Return the natural logarithm."""
        return self.apply(fn.log, (self,))

    def log1p(self) -> Tensor:
        """Return log(1 + x), exact near 0."""
        return self.apply(fn.log1p, (self,))

    def log2(self) -> Tensor:
        """Return the logarithm to base 2."""
        return self.apply(fn.log2, (self,))

    def log10(self) -> Tensor:
        """Return the logarithm to base 10."""
        return self.apply(fn.log10, (self,))

    def sqrt(self) -> Tensor:
        """Return the square root."""
        return self.apply(fn.sqrt, (self,))

    def rsqrt(self) -> Tensor:
        """Return 1/√x."""
        return self.apply(fn.rsqrt, (self,))

    def square(self) -> Tensor:
        """Return x²."""
        return self.apply(fn.square, (self,))

    def reciprocal(self) -> Tensor:
        """Return 1/x."""
        return self.apply(fn.reciprocal, (self,))

    def sin(self) -> Tensor:
        """Return the sine."""
        return self.apply(fn.sin, (self,))

    def cos(self) -> Tensor:
        """Return the cosine."""
        return self.apply(fn.cos, (self,))

    def tan(self) -> Tensor:
        """Return the tangent."""
        return self.apply(fn.tan, (self,))

    def asin(self) -> Tensor:
        """Return the angle in [−π/2, π/2] with this sine."""
        return self.apply(fn.asin, (self,))

    def acos(self) -> Tensor:
        """Return the angle in [0, π] with this cosine."""
        return self.apply(fn.acos, (self,))

    def atan(self) -> Tensor:
        """Return the angle in [−π/2, π/2] with this tangent."""
        return self.apply(fn.atan, (self,))

    def sinh(self) -> Tensor:
        """Return the hyperbolic sine."""
        return self.apply(fn.sinh, (self,))

    def cosh(self) -> Tensor:
        """Return the hyperbolic cosine."""
        return self.apply(fn.cosh, (self,))

    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent."""
        return self.apply(fn.tanh, (self,))

    def asinh(self) -> Tensor:
        """Return the area hyperbolic sine."""
        return self.apply(fn.asinh, (self,))

    def acosh(self) -> Tensor:
        """Return the area hyperbolic cosine."""
        return self.apply(fn.acosh, (self,))

    def atanh(self) -> Tensor:
        """Return the area hyperbolic tangent."""
        return self.apply(fn.atanh, (self,))

    def sigmoid(self) -> Tensor:
        """Return 1/(1 + e⁻ˣ)."""
        return self.apply(fn.sigmoid, (self,))

    def erf(self) -> Tensor:
        """Return the error function 2/√π·∫₀ˣ exp(−t²) dt."""
        return self.apply(fn.erf, (self,))

    def erfc(self) -> Tensor:
        """Return 1 − erf x, exact for large x."""
        return self.apply(fn.erfc, (self,))

    def erfinv(self) -> Tensor:
        """Return the x whose error function this is."""
        return self.apply(fn.erfinv, (self,))

    def floor(self) -> Tensor:
        """Return the greatest whole number that is at most x."""
        return self.apply(fn.floor, (self,))

    def ceil(self) -> Tensor:
        """Return the least whole number that is at least x."""
        return self.apply(fn.ceil, (self,))

    def trunc(self) -> Tensor:
        """Return x without its fraction."""
        return self.apply(ar.trunc, (self,))

    fix = trunc

    def frac(self) -> Tensor:
        """Return the fraction of x, with its sign."""
        return fn.frac(self)

    def round(self, decimals: int = 0) -> Tensor:
        """Return the nearest whole number, or multiple of 10^−`decimals`; halves go to even."""
        if decimals == 0:
            return self.apply(fn.round, (self,))
        scale = 10.0**decimals
        return fn.round(self * scale) / scale  # type: ignore[operator]

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Return x held between `min` and `max`, numbers or tensors; None leaves that end open."""
        return fn.clip(self, min, max)

    clip = clamp

    def clamp_min(self, min: Any) -> Tensor:
        """Return the greater of x and `min`."""
        return fn.clip(self, min, None)

    def clamp_max(self, max: Any) -> Tensor:
        """Return the lesser of x and `max`."""
        return fn.clip(self, None, max)

    def atan2(self, other: Any) -> Tensor:
        """Return the angle of the point (other, self), in (−π, π]."""
        return self.apply(fn.atan2, (self, other))

    def hypot(self, other: Any) -> Tensor:
        """Return √(self² + other²), without overflow on the way."""
        return self.apply(fn.hypot, (self, other))

    def logaddexp(self, other: Any) -> Tensor:
        """Return log(exp self + exp other), without overflow on the way."""
        return self.apply(fn.logaddexp, (self, other))

    def copysign(self, other: Any) -> Tensor:
        """Return |self| with the sign of `other`."""
        return self.apply(fn.copysign, (self, other))

    def nextafter(self, other: Any) -> Tensor:
        """Return the number next to self in the direction of `other`."""
        return self.apply(fn.nextafter, (self, other))

    def fmod(self, other: Any) -> Tensor:
        """Return the remainder of self/other, with the sign of self."""
        return self.apply(ar.fmod, (self, other))

    def remainder(self, other: Any) -> Tensor:
        """Return the remainder of self/other, with the sign of `other`."""
        return self.apply(ar.remainder, (self, other))

    def floor_divide(self, other: Any) -> Tensor:
        """Return ⌊self/other⌋."""
        return self.apply(ar.floor_divide, (self, other))

    def xlogy(self, other: Any) -> Tensor:
        """Return self·log(other), and 0 where self is 0, whatever `other` is."""
        return fn.xlogy(self, other)

    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        """Return self + weight·(end − self)."""
        return fn.lerp(self, end, weight)

    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        """Return self + value·tensor1·tensor2."""
        return self + tensor1 * tensor2 * value

    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        """Return self + value·tensor1/tensor2."""
        return self + tensor1 / tensor2 * value

    def nan_to_num(
        self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
    ) -> Tensor:
        """Return x with NaN, ∞ and −∞ replaced; the infinities by the greatest finite numbers."""
        return fn.nan_to_num(self, nan, posinf, neginf)

    def logit(self, eps: float | None = None) -> Tensor:
        """Return log(x/(1 − x)), of x held within [eps, 1 − eps] if given."""
        if eps is not None and not 0 <= eps <= 0.5:
            raise ArgumentError(f"logit: eps = {eps} given, expected 0 to 0.5")
        held = self if eps is None else fn.clip(self, eps, 1 - eps)
        return fn.log(held / (1 - held))  # type: ignore[operator]

    @property
    def real(self) -> Tensor:
        """The real part; a real tensor itself."""
        return fn.real(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part: zeros for a real tensor."""
        return fn.imag(self)

    def conj(self) -> Tensor:
        """Return the complex conjugate; a real tensor itself."""
        return fn.conj(self)

    def relu(self) -> Tensor:
        """Return max(x, 0)."""
        return self.apply(activations.relu, (self,))

    @second_keywords
    def softmax(self, axis: int, dtype: Any = None) -> Tensor:
        """Return exp x / Σ exp x along `axis`."""
        return softmax.softmax(self if dtype is None else self.to(dtype), axis)  # type: ignore[attr-defined]

    @second_keywords
    def log_softmax(self, axis: int, dtype: Any = None) -> Tensor:
        """Return x − log Σ exp x along `axis`."""
        return softmax.log_softmax(self if dtype is None else self.to(dtype), axis)  # type: ignore[attr-defined]
