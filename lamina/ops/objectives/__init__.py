"""What training makes small: losses, and the distances they measure."""

__all__: list[str] = []
