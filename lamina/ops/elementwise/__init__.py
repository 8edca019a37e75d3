"""Element by element: arithmetic, elementary functions, activations."""

__all__: list[str] = []
