"""A process in which `malloc` and its relatives are traps while programs run: one call of any of
them, by any thread, ends it. Prints what ran.
"""

import ctypes
import mmap
import sys

import lamina
import lamina.nn.functional as F
from lamina import nn, optim

ALLOCATORS = ("malloc", "calloc", "realloc", "memalign", "posix_memalign", "aligned_alloc", "mmap")
TRAP = 0xF4  # hlt: not for programs, so the system ends them
READ, WRITE, RUN = 1, 2, 4
CALLS = 1000

libc = ctypes.CDLL(None)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Traps:
    """Traps in place of the first instructions of the allocators, while entered."""

    def __init__(self):
        places = [ctypes.cast(getattr(libc, n), ctypes.c_void_p).value for n in ALLOCATORS]
        for place in places:
            page = place // mmap.PAGESIZE * mmap.PAGESIZE
            assert libc.mprotect(page, 2 * mmap.PAGESIZE, READ | WRITE | RUN) == 0
        self.first = [ctypes.c_uint8.from_address(place) for place in places]
        self.before = [byte.value for byte in self.first]

    def __enter__(self):
        for byte in self.first:
            byte.value = TRAP

    def __exit__(self, *_):
        for byte, value in zip(self.first, self.before, strict=True):
            byte.value = value


def programs():
    """A program of inference and one of training, with arguments and given outputs."""
    lamina.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16 * 49, 10),
    )  # fmt: skip
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    x, y = lamina.randn(64, 3, 16, 16), lamina.randint(0, 10, (64,))
    yield lamina.compile(step), (x, y)
    yield lamina.compile(model.eval()), (x[:2].clone(),)


def main():
    lamina.set_num_threads(2)
    traps = Traps()
    for run, args in programs():
        for _ in range(3):
            result = run(*args)
        program = run.last_program
        reads, writes = [a.array.address for a in args], [result.array.address]
        # The numbers of a step or a draw are Python's: the same for every run here.
        numbers = [[1e-3] * fed for fed in program.fed_counts]
        numbers = [[int(n) for n in given] if len(given) == 2 else given for given in numbers]
        program.run(reads, writes, numbers)
        with traps:
            for _ in range(CALLS):
                program.run(reads, writes, numbers)
        sys.stdout.write(f"{len(program.launches)} kernel calls {CALLS} times\n")


if __name__ == "__main__":
    main()
