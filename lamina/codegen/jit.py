"""Native functions from kernels: compiled once, kept on disk, loaded in a millisecond.

A kernel is compiled for (its function, its parameters, a target). The key of its object code is a
hash of those, of the source text of `codegen` and `kernels`, and of the versions of LLVM's
binding, so that a change of any of them compiles anew.
"""

import ctypes
import hashlib
import os
import threading
from collections.abc import Callable, Hashable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lamina.codegen import assemble, loader
from lamina.codegen.builder import KernelModule
from lamina.codegen.cache import DiskCache
from lamina.codegen.target import Target, host_target
from lamina.config import settings
from lamina.errors import CompileError

# Arguments come as an address, or as bytes that the kernel only reads.
Entry = Callable[[int | bytes, int], None]
Emitter = Callable[..., None]
_ENTRY_TYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_lock = threading.Lock()
_loaded: dict[Hashable, tuple[loader.LoadedCode, dict[str, Entry]]] = {}
if hasattr(os, "register_at_fork"):
    # Held across a fork, so that no child finds LLVM in the middle of another thread's kernel.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def _llvmlite_version() -> bytes:
    """Return the text of llvmlite's version file; `importlib.metadata` would take 15 ms."""
    found = find_spec("llvmlite")
    if found is None or found.origin is None:
        raise CompileError("llvmlite is not installed; kernels need it: pip install llvmlite")
    return (Path(found.origin).parent / "_version.py").read_bytes()


@cache
def _source_digest() -> str:
    digest = hashlib.sha256(_llvmlite_version())
    package = Path(__file__).parent.parent
    for folder in ("codegen", "kernels"):
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def disk_cache() -> DiskCache:
    """Return the cache of compiled kernels that the settings name."""
    return DiskCache(settings.cache_dir / "kernels", settings.cache_bytes)


def build(emitter: Emitter, target: Target, *parameters: Hashable) -> KernelModule:
    """Return the module that `emitter(module, *parameters)` fills."""
    module = KernelModule(target)
    emitter(module, *parameters)
    return module


def cache_key(emitter: Emitter, target: Target, *parameters: Hashable) -> str:
    """Return the name under which the object code is kept: a hash of all that it depends on."""
    name = f"{emitter.__module__}.{emitter.__qualname__}"
    text = repr((_source_digest(), name, target, parameters))
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _code(emitter: Emitter, target: Target, parameters: tuple[Hashable, ...]) -> bytes:
    store = disk_cache()
    key = cache_key(emitter, target, *parameters)
    code = store.get(key)
    if code is None:
        code = assemble.object_code(build(emitter, target, *parameters))
        store.put(key, code)
    return code


def _load(emitter: Emitter, target: Target, parameters: tuple[Hashable, ...]) -> dict[str, Entry]:
    key = (emitter, target, parameters)
    with _lock:
        if key not in _loaded:
            _loaded[key] = (loader.load(_code(emitter, target, parameters)), {})
        return _loaded[key][1]


def kernel(
    emitter: Emitter, *parameters: Hashable, name: str = "run", target: Target | None = None
) -> Entry:
    """Return the function `name` of the module that `emitter` fills, ready to call.

    The function takes two addresses, of its arguments and of scratch memory, and runs without the
    interpreter's lock. Compiles on first use; raises CompileError.
    """
    target = target or host_target()
    functions = _load(emitter, target, parameters)
    if name not in functions:
        code = _loaded[(emitter, target, parameters)][0]
        functions[name] = _ENTRY_TYPE(code.address(name))
    return functions[name]
