"""The constants of the Array API, and the version of it that is met."""

import math

__all__ = ["__array_api_version__", "e", "inf", "nan", "newaxis", "pi"]

__array_api_version__ = "2025.12"

e = math.e
"""Euler's number."""

inf = math.inf
"""Positive infinity."""

nan = math.nan
"""Not a number."""

pi = math.pi
"""Half the circumference of the unit circle."""

newaxis = None
"""In an index: a new axis of size 1."""
