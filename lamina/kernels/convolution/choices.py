"""Choices that were measured: which strategy is best for a shape on this machine.

They are kept beside the compiled kernels, one small file a shape, private and checked like those:
a damaged one counts as missing. The key is the target and all that a choice may depend on, so
neither batch nor threads.
"""

import hashlib

from lamina.codegen.cache import DiskCache
from lamina.codegen.target import host_target
from lamina.config import settings
from lamina.kernels.convolution.problem import Problem, is_channels_last

_CAP_BYTES = 1 << 20


def remember(p: Problem, name: str) -> None:
    """Keep `name` as the best strategy for problems of the shape of `p`."""
    key = _key(p)
    _store().put(key, name.encode())
    _recalled[key] = name


def recall(p: Problem) -> str | None:
    """Return the strategy that was measured to be best for the shape of `p`, if any was.

    What a process has once been told does not change: a sample's bits must not.
    """
    key = _key(p)
    if key not in _recalled:
        name = _store().get(key)
        _recalled[key] = None if name is None else name.decode(errors="replace")
    return _recalled[key]


# What this process was told, shape by shape: some tens of bytes each.
_recalled: dict[str, str | None] = {}


def _store() -> DiskCache:
    return DiskCache(settings.cache_dir / "choices", _CAP_BYTES)


def _key(p: Problem) -> str:
    sample = p.of_one_sample()
    shapes = (sample.out.shape, sample.x.shape, sample.w.shape)
    lasts = tuple(map(is_channels_last, (sample.out, sample.x)))
    options = (p.stride, p.padding, p.dilation, p.spread, p.groups, p.batch_groups)
    text = repr((host_target().name, p.dtype, shapes, lasts, options))
    return hashlib.sha256(text.encode()).hexdigest()[:40]
