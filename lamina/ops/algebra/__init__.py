"""Products of matrices, decompositions, Fourier transforms."""

__all__: list[str] = []
