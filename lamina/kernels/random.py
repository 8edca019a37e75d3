"""Random numbers that are counted: word n of a draw is a function of (seed, draw, n).

Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), with the
words of `lamina.philox.stream`. A kernel makes the words of a tile in the first-level cache and
computes with them there, so that nothing random is ever stored.
"""

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np

from lamina.codegen import jit, threads
from lamina.codegen.builder import Builder, Function, KernelModule
from lamina.codegen.types import Pointer, Type, i8, i64, u64
from lamina.codegen.values import Value
from lamina.kernels.elementwise import Line, Recipe
from lamina.kernels.expression import Input, apply
from lamina.kernels.launch import PLANS_KEPT, Place, Step, argument_block, workers_for
from lamina.kernels.scalars import STORED
from lamina.memory.array import NDArray

TILE = 1024
"""Words of a tile: what is made before it is used."""

_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_ROUNDS = 10
_WORDS_OF_BLOCK = 4
# Independent chains of multiplications, for each is long.
_SIDE_BY_SIDE = 2
_COUNTER, _ITEMS, _SIZE, _DRAW, _ADDRESSES = range(5)


def _round(k: Builder, block: list[Value], keys: Sequence[Value]) -> list[Value]:
    low0, high0 = k.product_halves(block[0], k.constant(u64, _MULTIPLIERS[0]))
    low1, high1 = k.product_halves(block[2], k.constant(u64, _MULTIPLIERS[1]))
    return [high1 ^ block[1] ^ keys[0], low1, high0 ^ block[3] ^ keys[1], low0]


def _emit_words(module: KernelModule) -> Function:
    """Define `_words(to, seed, draw, first, blocks)`: four 64-bit words for each block counted.

    Writes a multiple of four blocks.
    """
    numbers = dict.fromkeys(("seed", "draw", "first", "blocks"), u64)
    parameters: dict[str, Type] = {"to": Pointer(u64), **numbers}
    with module.function("_words", parameters, inline="never") as (k, to, seed, draw, *rest):
        first, blocks = (k.bitcast(number, i64) for number in rest)
        steps = [(n * _KEY_STEPS[0], n * _KEY_STEPS[1] % (1 << 64)) for n in range(_ROUNDS)]
        keys = [(seed + a % (1 << 64), k.constant(u64, b)) for a, b in steps]
        zero = k.constant(u64, 0)
        with k.loop(blocks, step=_SIDE_BY_SIDE) as turn:
            # The counter is moved on before a block is made: the first one has number 1.
            counts = [first + turn.index + (n + 1) for n in range(_SIDE_BY_SIDE)]
            made = [[k.bitcast(count, u64), zero, draw, zero] for count in counts]
            for pair in keys:
                made = [_round(k, block, pair) for block in made]
            for n, word in enumerate(word for block in made for word in block):
                to[turn.index * _WORDS_OF_BLOCK + n] = word
        handle: Function = k.handle
    return handle


def emit_random(module: KernelModule, recipe: Recipe) -> None:
    """Define `run(arguments, scratch)`: an elementwise kernel whose input 0 is a random word.

    Arguments: tiles claimed so far, tiles in all, elements, the address of seed and draw, then the
    addresses of the outputs and of the inputs from input 1 on.
    """
    words = _emit_words(module)
    outputs = len(recipe.outputs)
    per_block = _WORDS_OF_BLOCK * 8 // STORED[recipe.inputs[0]].bytes
    with module.function("run", {"args": Pointer(i64), "scratch": Pointer(i8)}) as opened:
        k, args, scratch = opened
        operands = (*recipe.outputs, *recipe.inputs[1:])
        fixed = (*(False,) * outputs, *recipe.numbers[1:])
        numbers = k.pointer_at(args[_DRAW], u64)
        seed, draw = numbers[0], numbers[1]
        with k.claimed(args + _COUNTER, args[_ITEMS]) as claimed:
            start = claimed * TILE
            count = k.minimum(args[_SIZE] - start, TILE)
            first, blocks = start // per_block, (count + per_block - 1) // per_block
            tile = k.cast_pointer(scratch, u64)
            k.call(words, tile, seed, draw, k.bitcast(first, u64), k.bitcast(blocks, u64))
            pointers = []
            for place, (dtype, is_number) in enumerate(zip(operands, fixed, strict=True)):
                pointer = k.pointer_at(args[_ADDRESSES + place], STORED[dtype])
                pointers.append(pointer if is_number else pointer + start)
            pointers.insert(outputs, k.cast_pointer(scratch, STORED[recipe.inputs[0]]))
            Line(k, recipe, pointers).emit(count)


def counted(seed: int, draw: int) -> NDArray:
    """Return the two numbers that say which random words are meant, as kernels read them."""
    return np.array([seed, draw], np.uint64)


def run_random(recipe: Recipe, size: int, state: int, addresses: Sequence[int]) -> None:
    """Compute `recipe` with the words of a draw as input 0, over lines of `size` elements.

    `state` is the address of its seed and number (`counted`), `addresses` are those of the
    outputs, then of the inputs from input 1 on.
    """
    _step(recipe, size, threads.num_threads()).run((state, *addresses))


@lru_cache(maxsize=PLANS_KEPT)
def _step(recipe: Recipe, size: int, _: int) -> Step:
    items = -(-size // TILE)
    operands = len(recipe.dtypes) - 1
    workers = workers_for(flops=size * _OPERATIONS_EACH, chunks=items)
    return Step(
        entry=jit.kernel(emit_random, recipe),
        arguments=argument_block(0, items, size, *(0 for _ in range(1 + operands))),
        places=tuple((_DRAW + n, Place(n, 0)) for n in range(1 + operands)),
        scratch_bytes=(TILE + _SIDE_BY_SIDE * _WORDS_OF_BLOCK) * 8,
        workers=workers,
    )


# As FLOPs are counted: about four cycles an element.
_OPERATIONS_EACH = 60

_WORD = Input(0)


@cache
def dropout(dtype: str) -> Recipe:
    """Return x·scale where the word is at least a threshold, else x·0.

    Inputs: the word, x, then two numbers: the threshold, and the scale in what is computed in.
    """
    wide = "float64" if dtype == "float64" else "float32"
    is_kept = apply("greater_equal", _WORD, Input(2))
    factor = apply("where", is_kept, Input(3), 0.0)
    return Recipe(
        expressions=(factor * Input(1),),
        outputs=(dtype,),
        inputs=("uint32", dtype, "uint32", wide),
        numbers=(False, False, True, True),
    )


@cache
def uniform(dtype: str) -> Recipe:
    """Return numbers of [0, 1) as numpy makes them: of 24 bits in float32, of 53 in float64."""
    word, drop, scale = ("uint64", 11, 2.0**-53) if dtype == "float64" else ("uint32", 8, 2.0**-24)
    number = apply(f"to_{dtype}", apply("bitwise_right_shift", _WORD, drop)) * scale
    return Recipe((number,), (dtype,), (word,), (False,))
