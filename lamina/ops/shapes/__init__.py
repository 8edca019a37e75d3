"""Other shapes, orders and parts of the same elements: views, and copies that cannot be views."""

__all__: list[str] = []
