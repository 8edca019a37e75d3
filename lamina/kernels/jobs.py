"""One set of expressions over many sets of operands in one call: all parameters of a network.

A job is a line of elements with operands of its own. Threads claim chunks of all jobs from one
counter, so that many small jobs cost no more than a large one of their size.
"""

import ctypes
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from lamina.codegen import jit, threads
from lamina.codegen.builder import KernelModule
from lamina.codegen.types import Pointer, i8, i64
from lamina.kernels.elementwise import Line, Recipe
from lamina.kernels.launch import argument_block, notebook, workers_for
from lamina.kernels.scalars import STORED

CHUNK = 16384
_JOBS, _ITEMS, _COUNTER = range(3)
_END, _SIZE, _ADDRESSES = range(3)


class Job(NamedTuple):
    """How many elements, and where each output and input begins; outputs may be inputs."""

    size: int
    addresses: tuple[int, ...]


def emit_jobs(module: KernelModule, recipe: Recipe, chunk: int) -> None:
    """Define `run(arguments, _)`: claim chunks, find the job of each, and compute it.

    Arguments: address of the jobs, number of chunks, number of chunks claimed so far. A job: chunks
    up to its end, counted from the first job; its elements; addresses of outputs, then of inputs.
    """
    width = _ADDRESSES + len(recipe.dtypes)
    with module.function("run", {"args": Pointer(i64), "_": Pointer(i8)}) as (k, args, _):
        jobs, items = k.pointer_at(args[_JOBS], i64), args[_ITEMS]
        place, first = k.cell(i64, 0), k.cell(i64, 0)
        with k.claimed(args + _COUNTER, items) as claimed:
            # Chunks are claimed in order, so the search goes on where it stood.
            with k.repeat_while(lambda: (jobs + place.get() * width)[_END] <= claimed):
                first.set((jobs + place.get() * width)[_END])
                place.set(place.get() + 1)
            job = jobs + place.get() * width
            start = (claimed - first.get()) * chunk
            pointers = [
                k.pointer_at(job[_ADDRESSES + operand], STORED[dtype])
                for operand, dtype in enumerate(recipe.dtypes)
            ]
            varying = (True,) * len(recipe.outputs) + tuple(not n for n in recipe.numbers)
            pointers = [p + start if moves else p for p, moves in zip(pointers, varying)]
            Line(k, recipe, pointers).emit(k.minimum(job[_SIZE] - start, chunk))


def run_jobs(recipe: Recipe, jobs: Sequence[Job]) -> None:
    """Compute the recipe for all jobs; inputs that are numbers are read where they lie."""
    assert notebook.launches is None, "programs note down one call for each set of operands"
    rows = array("q")
    end = nbytes = 0
    moved = sum(STORED[dtype].bytes for dtype in recipe.dtypes)
    for size, addresses in jobs:
        end += -(-size // CHUNK)
        nbytes += size * moved
        rows.extend((end, size, *addresses))
    block = argument_block(rows.buffer_info()[0], end, 0)
    entry = jit.kernel(emit_jobs, recipe, CHUNK)
    workers = workers_for(nbytes=nbytes, flops=nbytes // moved * recipe.flops, chunks=end)
    threads.run(entry, ctypes.addressof(block), 0, threads=workers)
