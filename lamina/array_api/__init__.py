"""The Python Array API over the op table, and PyTorch's names beside it.

Each file holds one subject and lists its names. `second_names` is the table of PyTorch's other
names for the same functions; the `torch_*` files hold functions that the Array API lacks.
"""

from lamina.array_api import (
    constants,
    creation,
    data_types,
    dtypes_info,
    elementwise,
    elementwise_pairs,
    fft,
    indexing,
    inspection,
    linalg,
    manipulation,
    searching,
    second_names,
    sets,
    sorting,
    statistical,
    torch_elementwise,
    torch_indexing,
    torch_products,
    torch_reductions,
    torch_shaping,
)
from lamina.array_api.constants import *  # noqa: F403
from lamina.array_api.creation import *  # noqa: F403
from lamina.array_api.data_types import *  # noqa: F403
from lamina.array_api.dtypes_info import *  # noqa: F403
from lamina.array_api.elementwise import *  # noqa: F403
from lamina.array_api.elementwise_pairs import *  # noqa: F403
from lamina.array_api.indexing import *  # noqa: F403
from lamina.array_api.inspection import *  # noqa: F403
from lamina.array_api.linalg import matmul, matrix_transpose, tensordot, vecdot
from lamina.array_api.manipulation import *  # noqa: F403
from lamina.array_api.searching import *  # noqa: F403
from lamina.array_api.second_names import *  # noqa: F403
from lamina.array_api.sets import *  # noqa: F403
from lamina.array_api.sorting import *  # noqa: F403
from lamina.array_api.statistical import *  # noqa: F403
from lamina.array_api.torch_elementwise import *  # noqa: F403
from lamina.array_api.torch_indexing import *  # noqa: F403
from lamina.array_api.torch_products import *  # noqa: F403
from lamina.array_api.torch_reductions import *  # noqa: F403
from lamina.array_api.torch_shaping import *  # noqa: F403

__all__ = ["fft", "linalg", "matmul", "matrix_transpose", "tensordot", "vecdot"]
__all__ += constants.__all__
__all__ += creation.__all__
__all__ += data_types.__all__
__all__ += dtypes_info.__all__
__all__ += elementwise.__all__
__all__ += elementwise_pairs.__all__
__all__ += indexing.__all__
__all__ += inspection.__all__
__all__ += manipulation.__all__
__all__ += searching.__all__
__all__ += second_names.__all__
__all__ += sets.__all__
__all__ += sorting.__all__
__all__ += statistical.__all__
__all__ += torch_elementwise.__all__
__all__ += torch_indexing.__all__
__all__ += torch_products.__all__
__all__ += torch_reductions.__all__
__all__ += torch_shaping.__all__
