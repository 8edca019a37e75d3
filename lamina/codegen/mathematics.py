"""Arithmetic that has no operator: choices, rounding, multiply-add, bits, conversions."""

from __future__ import annotations

from lamina.codegen import llvm
from lamina.codegen.emission import Emission, suffix
from lamina.codegen.types import (
    Scalar,
    Type,
    Vector,
    element_of,
    f32,
    f64,
    i1,
    integer_like,
    with_element,
)
from lamina.codegen.values import Number, Value, constant_like
from lamina.errors import CompileError

# Added to a size below it, it leaves room for a whole number only, rounded to even.
_WHOLE = {f32: 2.0**23, f64: 2.0**52}


class Mathematics(Emission):
    """Emits arithmetic on values."""

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """Return `a` where `condition` holds, `b` elsewhere."""
        return Value(self.emit, self.emit.select(condition.ir, a.ir, b.ir), a.type)

    def both(self, a: Value, b: Value) -> Value:
        """Return the truth of `a and b`."""
        return Value(self.emit, self.emit.and_(a.ir, b.ir), a.type)

    def either_true(self, a: Value, b: Value) -> Value:
        """Return the truth of `a or b`."""
        return Value(self.emit, self.emit.or_(a.ir, b.ir), a.type)

    def any(self, mask: Value) -> Value:
        """Return whether a lane of `mask` holds."""
        if not isinstance(mask.type, Vector):
            return mask
        bits = llvm.ir.IntType(mask.type.lanes)
        together = self.emit.bitcast(mask.ir, bits)
        return Value(self.emit, self.emit.icmp_unsigned("!=", together, bits(0)), i1)

    def minimum(self, a: Value, b: Value | Number) -> Value:
        """Return the smaller of two; of floats, `b` where either is NaN."""
        b = self._other(a, b)
        return self.select(a < b, a, b)

    def maximum(self, a: Value, b: Value | Number) -> Value:
        """Return the larger of two; of floats, `b` where either is NaN."""
        b = self._other(a, b)
        return self.select(a > b, a, b)

    def _other(self, a: Value, b: Value | Number) -> Value:
        return b if isinstance(b, Value) else constant_like(a, b)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a·b + c, rounded once where the target has FMA and twice elsewhere."""
        if not self.target.has_fma:
            return a * b + c
        return self._function("fma", a, b, c)

    def product_halves(self, a: Value, b: Value) -> tuple[Value, Value]:
        """Return the low and the high half of the product of two unsigned numbers."""
        kind, bits = a.ir.type, element_of(a.type).bits
        wide = llvm.ir.IntType(2 * bits)
        product = self.emit.mul(self.emit.zext(a.ir, wide), self.emit.zext(b.ir, wide))
        high = self.emit.trunc(self.emit.lshr(product, wide(bits)), kind)
        return Value(self.emit, self.emit.trunc(product, kind), a.type), Value(
            self.emit, high, a.type
        )

    def sqrt(self, x: Value) -> Value:
        """Return √x, rounded correctly."""
        return self._function("sqrt", x)

    def absolute(self, x: Value) -> Value:
        """Return |x|; of the least integer, itself."""
        if element_of(x.type).is_float:
            return self._function("fabs", x)
        return self.select(x < 0, -x, x)

    def copy_sign(self, size: Value, sign: Value) -> Value:
        """Return |size| with the sign bit of `sign`."""
        number = integer_like(element_of(size.type))
        bit = -(1 << (number.bits - 1))
        magnitude = self.bitcast(size, number) & ~bit
        return self.bitcast(magnitude | (self.bitcast(sign, number) & bit), element_of(size.type))

    def round_even(self, x: Value) -> Value:
        """Return the whole number nearest to x; of two, the even one. Keeps −0, ±Inf and NaN."""
        if self.target.has_rounding:
            return self._function("roundeven", x)
        size, whole = self.absolute(x), _WHOLE[element_of(x.type)]
        rounded = self.copy_sign((size + whole) - whole, x)
        return self.select(size < whole, rounded, x)

    def floor(self, x: Value) -> Value:
        """Return the greatest whole number that is not above x. Keeps −0, ±Inf and NaN."""
        if self.target.has_rounding:
            return self._function("floor", x)
        near = self.round_even(x)
        return self.copy_sign(self.select(near > x, near - 1.0, near), x)

    def ceil(self, x: Value) -> Value:
        """Return the least whole number that is not below x. Keeps −0, ±Inf and NaN."""
        return -self.floor(-x)

    def truncate(self, x: Value) -> Value:
        """Return x without its fraction."""
        return self.copy_sign(self.floor(self.absolute(x)), x)

    def trailing_zeros(self, x: Value) -> Value:
        """Return how many zeros end the bits of an integer: all of them for 0."""
        return self._count_zeros("cttz", x)

    def leading_zeros(self, x: Value) -> Value:
        """Return how many zeros begin the bits of an integer: all of them for 0."""
        return self._count_zeros("ctlz", x)

    def _count_zeros(self, name: str, x: Value) -> Value:
        flag = self.constant(i1, 0)
        kinds = [x.ir.type, flag.ir.type]
        function = self.intrinsic(f"llvm.{name}.{suffix(x.type)}", x.ir.type, kinds)
        return Value(self.emit, self.emit.call(function, [x.ir, flag.ir]), x.type)

    def bitcast(self, x: Value, scalar: Scalar) -> Value:
        """Return the bits of x as `scalar`s, as many as fill it; the first has the lowest bits."""
        kind = with_element(x.type, scalar)
        if isinstance(x.type, Vector):
            kind = Vector(scalar, x.type.lanes * element_of(x.type).bits // scalar.bits)
        if _bits(kind) != _bits(x.type):
            raise CompileError(f"bitcast: {x.type} given; {scalar.name}s do not fill its width")
        return Value(self.emit, self.emit.bitcast(x.ir, kind.llvm_type()), kind)

    def _function(self, name: str, *operands: Value) -> Value:
        kind = operands[0].ir.type
        function = self.intrinsic(
            f"llvm.{name}.{suffix(operands[0].type)}", kind, [kind] * len(operands)
        )
        ir = self.emit.call(function, [operand.ir for operand in operands])
        return Value(self.emit, ir, operands[0].type)


def _bits(kind: Type) -> int:
    return element_of(kind).bits * (kind.lanes if isinstance(kind, Vector) else 1)
