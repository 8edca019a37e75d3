"""How numbers of two dtypes are multiplied and added up."""

from dataclasses import dataclass
from typing import NamedTuple

from lamina.codegen.builder import Builder
from lamina.codegen.types import Scalar, Vector, f32, f64, i16, i32, u16, u32
from lamina.codegen.values import Value
from lamina.errors import DTypeError
from lamina.kernels.gemm.epilogue import Epilogue
from lamina.kernels.scalars import STORED

_FLOATS = ("float32", "float16", "bfloat16")
_BYTES = ("int8", "uint8")


class Recipe(NamedTuple):
    """What a product is compiled for: the dtypes of out, a and b; what becomes of the sums, and the
    dtypes of the further operands of that, each with how it lies along the columns. b may be
    packed already.
    """

    out: str
    a: str
    b: str
    epilogue: Epilogue | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    is_packed: bool = False

    @staticmethod
    def of(dtype: str) -> "Recipe":
        """Return the recipe of a product of one dtype."""
        return Recipe(dtype, dtype, dtype)

    @property
    def is_plain(self) -> bool:
        """Whether the sums are what is stored."""
        return self.epilogue is None and STORED[self.out] == arithmetic_of(self).total


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What operands are packed as, and how they meet.

    A `unit` holds the elements of as many consecutive k as one step multiplies and adds up: one
    float, or two 16-bit whole numbers, whose products no sum of two overflows.
    """

    unit: Scalar
    packed: Scalar
    total: Scalar

    @property
    def group(self) -> int:
        """How many k a unit holds."""
        return self.unit.bits // self.packed.bits

    def units(self, count: Value) -> Value:
        """Return how many units hold `count` k."""
        return count if self.group == 1 else (count + (self.group - 1)) // self.group

    def add_product(self, k: Builder, total: Value, left: Value, right: Value) -> Value:
        """Return total + left·right for registers of units."""
        if self.group == 1:
            return k.fma(left, right, total)
        a, b = (k.convert(k.bitcast(x, self.packed), self.total) for x in (left, right))
        products = a * b
        lanes = products.type.lanes if isinstance(products.type, Vector) else 1
        even, odd = (k.shuffle(products, products, range(start, lanes, 2)) for start in (0, 1))
        return total + (even + odd)


_WORDS = Arithmetic(unit=i32, packed=i16, total=i32)
_SINGLE = Arithmetic(unit=f32, packed=f32, total=f32)
_DOUBLE = Arithmetic(unit=f64, packed=f64, total=f64)


def arithmetic_of(recipe: Recipe) -> Arithmetic:
    """Return how a and b are multiplied; raises DTypeError for dtypes that do not meet."""
    for dtypes, arithmetic in ((_FLOATS, _SINGLE), (("float64",), _DOUBLE), (_BYTES, _WORDS)):
        if recipe.a in dtypes and recipe.b in dtypes:
            return arithmetic
    raise DTypeError(
        f"gemm: dtypes {recipe.a} and {recipe.b} do not meet; expected both of float32, float16 "
        "and bfloat16, both float64, or both of int8 and uint8"
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Reads elements of one operand as units."""

    k: Builder
    stored: Scalar
    arithmetic: Arithmetic

    @property
    def lanes(self) -> int:
        """How many units a register holds."""
        return self.k.target.lanes(self.arithmetic.unit)

    @property
    def is_direct(self) -> bool:
        """Whether what is stored is what is packed."""
        return self.stored == self.arithmetic.unit

    def along_k(self, place: Value, left: Value | None = None) -> Value:
        """Return a register of units whose k lie side by side from `place` on; where `left` is
        given, only as many k are read, and the others are 0.
        """
        k, count = self.k, self.lanes * self.arithmetic.group
        x = place.load(0, lanes=count) if left is None else k.load_first(place, left, count)
        return k.bitcast(k.convert(x, self.arithmetic.packed), self.arithmetic.unit)

    def across(self, places: list[Value], left: Value | None = None, every: int = 1) -> Value:
        """Return a register of units, of which each k of a group starts at one of `places`.

        A group that is not whole has fewer places. Lanes are read `every` apart.
        """
        return self.joined([self._register(place, left, every) for place in places])

    def _register(self, place: Value, left: Value | None, every: int) -> Value:
        if left is not None:
            return self.k.load_first(place, left, self.lanes)
        low = place.load(0, lanes=self.lanes)
        if every == 1:
            return low
        high = place.load(self.lanes, lanes=self.lanes)
        return self.k.shuffle(low, high, range(0, 2 * self.lanes, 2))

    def joined(self, elements: list[Value]) -> Value:
        """Return units, or one, of the elements of each k as they are stored."""
        k, packed = self.k, self.arithmetic.packed
        numbers = [k.convert(element, packed) for element in elements]
        if self.arithmetic.group == 1:
            return numbers[0]
        low, *high = (k.convert(k.bitcast(number, u16), u32) for number in numbers)
        return k.bitcast(low | (high[0] << 16) if high else low, self.arithmetic.unit)
