"""Numbers of one type as numbers of another, 16-bit floats included, on every target."""

from __future__ import annotations

from lamina.codegen import llvm
from lamina.codegen.emission import suffix
from lamina.codegen.mathematics import Mathematics
from lamina.codegen.types import (
    Scalar,
    bf16,
    element_of,
    f32,
    f64,
    i16,
    i32,
    u16,
    u32,
    with_element,
)
from lamina.codegen.values import Value, constant_like

_INFINITY32, _INFINITY16 = 0x7F800000, 0x7C00
# f16 counts exponents from 15, f32 from 127; mantissas have 10 and 23 bits.
_REBIAS = (127 - 15) << 23
_LEAST_NORMAL = (127 - 14) << 23
_PAST_GREATEST = (127 + 16) << 23
_HALF = 126 << 23
# The greatest f32 below 2³¹.
_BELOW_2_31 = 2.0**31 - 128


class Conversions(Mathematics):
    """Emits conversions."""

    def convert(self, x: Value, scalar: Scalar) -> Value:
        """Return x as `scalar`s.

        Floats round to nearest even, once; integers keep their low bits; floats become integers
        without their fraction: saturated, NaN as 0.
        """
        given = element_of(x.type)
        if given == scalar:
            return x
        if given.is_half:
            return self.convert(self._widened(x), scalar)
        if scalar.is_half:
            return self._narrowed(
                self._rounded_to_odd(x) if given == f64 else self.convert(x, f32), scalar
            )
        if given.is_float and not scalar.is_float:
            return self._to_integer(x, scalar)
        return self._cast(x, _operation(given, scalar), scalar)

    def _cast(self, x: Value, operation: str, scalar: Scalar) -> Value:
        kind = with_element(x.type, scalar)
        return Value(self.emit, getattr(self.emit, operation)(x.ir, kind.llvm_type()), kind)

    def _to_integer(self, x: Value, scalar: Scalar) -> Value:
        if scalar.bits > 32 or (scalar.bits == 32 and not scalar.is_signed):
            return self._saturated(x, scalar)
        # LLVM would saturate lane by lane; what is in range first converts as a vector.
        span = 1 << scalar.bits
        low, high = (-span // 2, span // 2 - 1) if scalar.is_signed else (0, span - 1)
        is_rounded = element_of(x.type) == f32 and scalar.bits == 32
        number = self.maximum(self.select(x.equals(x), x, constant_like(x, 0)), low)
        number = self.minimum(number, _BELOW_2_31 if is_rounded else high)
        whole = self._cast(number, "fptosi", i32)
        if is_rounded:
            whole = self.select(x >= 2.0**31, constant_like(whole, high), whole)
        return self.convert(whole, scalar)

    def _saturated(self, x: Value, scalar: Scalar) -> Value:
        kind = with_element(x.type, scalar)
        name = f"llvm.fpto{'s' if scalar.is_signed else 'u'}i.sat.{suffix(kind)}.{suffix(x.type)}"
        function = self.intrinsic(name, kind.llvm_type(), [x.ir.type])
        return Value(self.emit, self.emit.call(function, [x.ir]), kind)

    def _rounded_to_odd(self, x: Value) -> Value:
        """Return f64 as the f32 at or below it in size, with its last bit set where that is not x.

        Rounded again, to no more than 22 bits, it gives what x gives: Boldo and Melquiond, "When
        double rounding is odd" (2005).
        """
        near = self._cast(x, "fptrunc", f32)
        back = self._cast(near, "fpext", f64)
        bits = self.bitcast(near, u32)
        below = self.select(self.absolute(back) > self.absolute(x), bits - 1, bits)
        return self.bitcast(self.select(back.differs(x), below | 1, bits), f32)

    def _widened(self, x: Value) -> Value:
        """Return 16-bit floats as f32, exactly."""
        if element_of(x.type) == bf16:
            return self.bitcast(self.convert(self.bitcast(x, u16), u32) << 16, f32)
        if self.target.has_half_conversions:
            half = self.emit.bitcast(x.ir, self._half_type(x))
            kind = with_element(x.type, f32)
            return Value(self.emit, self.emit.fpext(half, kind.llvm_type()), kind)
        bits = self.convert(self.bitcast(x, u16), u32)
        size = (bits & 0x7FFF) << 13
        normal = size + _REBIAS
        normal = self.select(size >= _INFINITY16 << 13, normal + _REBIAS, normal)
        tiny = self.bitcast(size + _LEAST_NORMAL, f32) - 2.0**-14
        number = self.select(size < 1 << 23, self.bitcast(tiny, u32), normal)
        return self.bitcast(number | ((bits & 0x8000) << 16), f32)

    def _narrowed(self, x: Value, scalar: Scalar) -> Value:
        """Return f32 as a 16-bit float, rounded to nearest even."""
        if scalar == bf16:
            return self._as_bf16(x)
        if self.target.has_half_conversions:
            half = self.emit.fptrunc(x.ir, self._half_type(x))
            kind = with_element(x.type, scalar)
            return Value(self.emit, self.emit.bitcast(half, kind.llvm_type()), kind)
        bits = self.bitcast(x, u32)
        size = bits & 0x7FFFFFFF
        normal = (size - _REBIAS + 0xFFF + ((size >> 13) & 1)) >> 13
        # The sum with 1/2 is rounded where the last bit of a subnormal f16 lies.
        tiny = self.bitcast(self.bitcast(size, f32) + 0.5, u32) - _HALF
        number = self.select(size < _LEAST_NORMAL, tiny, normal)
        infinity = (size & 0) + _INFINITY16
        number = self.select(size >= _PAST_GREATEST, infinity, number)
        quiet = ((size >> 13) & 0x3FF) | (_INFINITY16 | 0x200)
        number = self.select(size > _INFINITY32, quiet, number)
        number = number | ((bits >> 16) & 0x8000)
        return self.bitcast(self.convert(number, u16), scalar)

    def _as_bf16(self, x: Value) -> Value:
        bits = self.bitcast(x, u32)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        quiet = (bits >> 16) | 0x40
        number = self.select((bits & 0x7FFFFFFF) > _INFINITY32, quiet, rounded)
        return self.bitcast(self.convert(number, u16), bf16)

    def _half_type(self, x: Value) -> llvm.ir.Type:
        kind = with_element(x.type, i16).llvm_type()
        half = llvm.ir.HalfType()
        return llvm.ir.VectorType(half, kind.count) if hasattr(kind, "count") else half


def _operation(given: Scalar, scalar: Scalar) -> str:
    """Return LLVM's name of the conversion between two numbers that are no 16-bit floats."""
    if given.is_float:
        return "fpext" if scalar.bits > given.bits else "fptrunc"
    is_signed = given.is_signed and given.bits > 1
    if scalar.is_float:
        return "sitofp" if is_signed else "uitofp"
    if scalar.bits == given.bits:
        return "bitcast"
    return "trunc" if scalar.bits < given.bits else "sext" if is_signed else "zext"
