"""Native functions from kernels: compiled once, kept on disk, loaded in a millisecond.

A kernel is compiled for (its function, its parameters, a target). The key of its object code is a
hash of those, of the source text of `codegen` and `kernels` (and of the emitter's file, where it
is another), and of the versions of LLVM's binding, so that a change of any of them compiles anew.

Code in memory is dropped, least recently used first, past the cap of the settings, but never while
somebody holds one of its functions: a plan keeps what it will call.
"""

import ctypes
import hashlib
import inspect
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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
_SOURCES = ("codegen", "kernels")
_PACKAGE = Path(__file__).parent.parent
# How Python writes an object that has no text of its own: the address is another in each process.
_ADDRESS = " at 0x"


@dataclass(frozen=True, slots=True)
class Kernel:
    """What a kernel is made of."""

    emitter: Emitter
    parameters: tuple[Hashable, ...]
    target: Target

    @property
    def name(self) -> str:
        """The emitter's name, with the module it is from."""
        return f"{self.emitter.__module__}.{self.emitter.__qualname__}"

    def module(self) -> KernelModule:
        """Return the kernel, written anew."""
        return build(self.emitter, self.target, *self.parameters)


_Loaded = tuple[loader.LoadedCode, dict[str, Entry]]


@dataclass(slots=True)
class _Memory:
    """Loaded code, the least recently used first, and the functions taken from it."""

    cap_bytes: int
    held: OrderedDict[Kernel, _Loaded] = field(default_factory=OrderedDict)
    size: int = 0
    # Code whose addresses were given away.
    pinned: dict[Kernel, _Loaded] = field(default_factory=dict)

    def add(self, kernel: Kernel, code: loader.LoadedCode) -> None:
        self.held[kernel] = (code, {})
        self.size += code.bytes_held
        while self.size > self.cap_bytes and len(self.held) > 1:
            _, (oldest, _) = self.held.popitem(last=False)
            self.size -= oldest.bytes_held

    def get(self, kernel: Kernel) -> _Loaded | None:
        if kernel in self.held:
            self.held.move_to_end(kernel)
            return self.held[kernel]
        return self.pinned.get(kernel)


_memory = _Memory(settings.code_bytes)
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    # Held across a fork, so that no child finds LLVM in the middle of another thread's kernel.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
_recordings: list[list[Kernel]] = []


def _llvmlite_version() -> bytes:
    """Return the text of llvmlite's version file; `importlib.metadata` would take 15 ms."""
    found = find_spec("llvmlite")
    if found is None or found.origin is None:
        raise CompileError("llvmlite is not installed; kernels need it: pip install llvmlite")
    return (Path(found.origin).parent / "_version.py").read_bytes()


@cache
def _source_digest() -> str:
    digest = hashlib.sha256(_llvmlite_version())
    for folder in _SOURCES:
        for path in sorted(_python_files(_PACKAGE / folder)):
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def _python_files(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):  # a third of the time that rglob takes
        yield from (os.path.join(place, name) for name in names if name.endswith(".py"))


@cache
def _module_digest(emitter: Emitter) -> str:
    """Return a hash of the emitter's file, or "" where the package's digest covers it."""
    path = inspect.getsourcefile(emitter)
    if path is None or any(_PACKAGE / folder in Path(path).parents for folder in _SOURCES):
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


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
    text = repr((_source_digest(), _module_digest(emitter), name, target, parameters))
    if _ADDRESS in text:
        raise CompileError(
            f"{name}: parameters {parameters!r} have no text that stays; use values and dataclasses"
        )
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _code(kernel: Kernel) -> bytes:
    store = disk_cache()
    key = cache_key(kernel.emitter, kernel.target, *kernel.parameters)
    code = store.get(key)
    if code is None:
        code = assemble.object_code(kernel.module())
        store.put(key, code)
    return code


def _function(kernel: Kernel, name: str) -> Entry:
    with _lock:
        found = _memory.get(kernel)
        if found is None:
            _memory.add(kernel, loader.load(_code(kernel)))
            found = _memory.held[kernel]
        code, functions = found
        if name not in functions:
            entry: Any = _ENTRY_TYPE(code.address(name))
            entry.code = code  # holds the code as long as the function
            functions[name] = entry
        return functions[name]


def kernel(
    emitter: Emitter, *parameters: Hashable, name: str = "run", target: Target | None = None
) -> Entry:
    """Return the function `name` of the module that `emitter` fills, ready to call.

    The function takes two addresses, of its arguments and of scratch memory, and runs without the
    interpreter's lock. Compiles on first use; raises CompileError. Its code stays in memory as
    long as the function is held.
    """
    wanted = Kernel(emitter, parameters, target or host_target())
    for kernels in _recordings:
        kernels.append(wanted)
    return _function(wanted, name)


def address(emitter: Emitter, *parameters: Hashable, name: str) -> int:
    """Return where the function `name` starts, for kernels to call; its code stays for good."""
    wanted = Kernel(emitter, parameters, host_target())
    entry: Any = kernel(emitter, *parameters, name=name)
    with _lock:
        _memory.pinned.setdefault(wanted, (entry.code, {name: entry}))
    return ctypes.cast(entry, ctypes.c_void_p).value or 0


@contextmanager
def recording() -> Iterator[list[Kernel]]:
    """Give a list that kernels enter as they are asked for, loaded already or not."""
    kernels: list[Kernel] = []
    _recordings.append(kernels)
    try:
        yield kernels
    finally:
        # By identity: two empty lists are equal.
        _recordings[:] = [other for other in _recordings if other is not kernels]
