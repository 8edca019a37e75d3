"""What layers of networks compute: convolution, pooling, normalisation, attention and their kin."""

__all__: list[str] = []
