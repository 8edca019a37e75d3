"""Layers that drop part of what they see while training."""

from typing import final

from lamina.errors import ArgumentError
from lamina.nn import functional as F
from lamina.nn.module import Module
from lamina.tensor import Tensor


class _Dropout(Module):
    """A share `p` to drop; nothing is dropped in evaluation mode."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"{type(self).__name__}: p {p} given; expected 0 to 1")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


@final
class Dropout(_Dropout):
    """In training, each element with probability `p` made 0 and the others divided by 1 − p.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting",
    JMLR 15 (2014).

    >>> from lamina import nn
    >>> nn.Dropout(0.5).eval()(lamina.ones(2))
    Tensor([1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


@final
class Dropout1d(_Dropout):
    """In training, whole channels of (N, C, L) or (C, L) dropped; see `Dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


@final
class Dropout2d(_Dropout):
    """In training, whole channels of (N, C, H, W) dropped; see `Dropout`.

    Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


@final
class Dropout3d(_Dropout):
    """In training, whole channels of (N, C, D, H, W) or (C, D, H, W) dropped; see `Dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


@final
class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1 behind `SELU`: dropped elements take −1.7581.

    Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


@final
class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels."""

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
