"""PyTorch's names for what the Array API calls otherwise: the table of second names."""

from lamina import dtypes
from lamina.array_api.creation import asarray
from lamina.array_api.elementwise import (
    abs,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atanh,
    bitwise_invert,
    negative,
    sign,
    trunc,
)
from lamina.array_api.elementwise_pairs import (
    atan2,
    clip,
    divide,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    multiply,
    not_equal,
    subtract,
)
from lamina.array_api.indexing import take_along_axis
from lamina.array_api.linalg import cross, det, inv, matmul, matrix_power, pinv, slogdet, trace
from lamina.array_api.manipulation import (
    broadcast_arrays,
    concat,
    moveaxis,
    permute_dims,
    unstack,
)
from lamina.array_api.torch_products import outer
from lamina.array_api.torch_shaping import transpose
from lamina.dtypes import DType

__all__ = [
    "absolute",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "as_tensor",
    "bitwise_not",
    "bmm",
    "broadcast_tensors",
    "cat",
    "cdouble",
    "cfloat",
    "clamp",
    "concatenate",
    "cross",
    "det",
    "div",
    "dot",
    "double",
    "dtype",
    "eq",
    "fix",
    "float",
    "ge",
    "ger",
    "gt",
    "half",
    "int",
    "inverse",
    "le",
    "long",
    "lt",
    "matrix_power",
    "mm",
    "movedim",
    "mul",
    "mv",
    "ne",
    "neg",
    "permute",
    "pinverse",
    "sgn",
    "short",
    "slogdet",
    "sub",
    "swapaxes",
    "swapdims",
    "take_along_dim",
    "trace",
    "true_divide",
    "unbind",
]

absolute = abs
arccos = acos
arccosh = acosh
arcsin = asin
arcsinh = asinh
arctan = atan
arctan2 = atan2
arctanh = atanh
as_tensor = asarray
bitwise_not = bitwise_invert
bmm = matmul
broadcast_tensors = broadcast_arrays
cat = concat
clamp = clip
concatenate = concat
div = divide
dot = matmul
eq = equal
fix = trunc
ge = greater_equal
ger = outer
gt = greater
inverse = inv
le = less_equal
lt = less
mm = matmul
movedim = moveaxis
mul = multiply
mv = matmul
ne = not_equal
neg = negative
permute = permute_dims
pinverse = pinv
sgn = sign
sub = subtract
swapaxes = transpose
swapdims = transpose
take_along_dim = take_along_axis
true_divide = divide
unbind = unstack

double = dtypes.float64
float = dtypes.float32
half = dtypes.float16
int = dtypes.int32
long = dtypes.int64
short = dtypes.int16
cdouble = dtypes.complex128
cfloat = dtypes.complex64
dtype = DType
