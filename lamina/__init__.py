"""Lamina: train, compile and serve neural networks on CPUs, in Python down to the machine code."""

from lamina.tensor import *  # noqa: F403
