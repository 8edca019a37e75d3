"""Reading and writing at places that indices name."""

__all__: list[str] = []
