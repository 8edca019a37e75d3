"""Errors of a kernel, shown at the line of its author: the file, the line, a caret, the remedy."""

import linecache
from pathlib import Path
from types import TracebackType

from lamina.errors import CompileError, KernelError

_LANGUAGE = Path(__file__).parent
# What the language, or llvmlite under it, says where operands are no values of a kernel at all.
MISUSES = (TypeError, ValueError, AttributeError)


def located(error: Exception) -> Exception:
    """Return `error` with the line of the kernel that caused it.

    The first line of a CompileError says what is wrong, the others what to do. Other exceptions
    are the kernel's fault where the language raised them, and are returned as they are elsewhere.

        rows.py:41: store: cannot put f64 where f32 lies
            out[0] = total
            ^^^^^^
            convert it: k.convert(value, f32)
    """
    if isinstance(error, KernelError):
        return error
    place, is_inside = _place(error.__traceback__)
    if place is None or not (is_inside or isinstance(error, CompileError)):
        return error
    wrong, *remedy = _text(error).splitlines()
    name, line, source, caret = _shown(place)
    shown = [f"{name}:{line}: {wrong}", *(f"    {row}" for row in (source, caret, *remedy))]
    return KernelError("\n".join(shown)).with_traceback(error.__traceback__)


def _text(error: Exception) -> str:
    if isinstance(error, CompileError):
        return str(error)
    text = str(error)
    if isinstance(error, AttributeError) and error.name in ("ir", "type"):
        text = f"{error.obj!r} given; expected a value of the kernel"
    return f"{text}\nk.constant(type, number) makes a value of a number"


def _place(trace: TracebackType | None) -> tuple[TracebackType | None, bool]:
    """Return the innermost frame outside the language, and whether frames of it lie further in."""
    place, is_inside = None, False
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if _LANGUAGE in path.parents or "llvmlite" in path.parts or path.stem == "contextlib":
            is_inside = True
        else:
            place, is_inside = trace, False
        trace = trace.tb_next
    return place, is_inside


def _shown(place: TracebackType) -> tuple[str, int, str, str]:
    """Return the name of the file, the number of the line, the line, and carets under its part."""
    code = place.tb_frame.f_code
    positions = list(code.co_positions())[place.tb_lasti // 2]
    line, end_line, start, end = positions
    line = line or place.tb_lineno
    source = linecache.getline(code.co_filename, line).rstrip("\n")
    text = source.strip()
    indent = len(source) - len(source.lstrip())
    # Columns are given in bytes of UTF-8.
    first = len(source.encode()[: start or 0].decode()) - indent
    last = len(text)
    if end is not None and end_line == line:
        last = len(source.encode()[:end].decode()) - indent
    first = max(0, first)
    return Path(code.co_filename).name, line, text, " " * first + "^" * max(1, last - first)
