"""Threads of the operating system that run machine code and never meet the interpreter.

Python's threads would not do: a worker would need the interpreter's lock to begin and to end, an
interpreter that shuts down treats it in ways that differ from version to version, and under
libraries that replace `threading` by coroutines it would never give control back.
"""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from functools import cache
from typing import Any

_NAME = b"lamina"


@cache
def _libc() -> Any:
    libc = ctypes.CDLL(None)
    handle, pointer = ctypes.c_ulong, ctypes.c_void_p
    libc.pthread_create.argtypes = [ctypes.POINTER(handle), pointer, pointer, pointer]
    libc.pthread_join.argtypes = [handle, pointer]
    libc.pthread_setname_np.argtypes = [handle, ctypes.c_char_p]
    return libc


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """A thread inherits what its creator blocks: signals are for the threads of Python, but for
    those that tell of a fault of the thread itself.
    """
    faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - faults)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start(function: int, argument: int) -> int:
    """Return the handle of a new thread that calls the function at address `function`.

    Raises OSError where the system gives no more threads.
    """
    handle = ctypes.c_ulong()
    with _signals_held_back():
        error = _libc().pthread_create(ctypes.byref(handle), None, function, argument)
    if error != 0:
        raise OSError(error, os.strerror(error))
    _libc().pthread_setname_np(handle, _NAME)
    return handle.value


def join(handle: int) -> None:
    """Wait until the thread has returned."""
    _libc().pthread_join(handle, None)
