"""Threads that make batches ahead of their use, in order and no further than allowed."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any, NoReturn, final

from lamina.errors import DataError

Task = Callable[[], Any]


@final
class Prefetcher:
    """Runs tasks in `workers` threads; iterating gives their results in the order of the tasks.

    At most `ahead` tasks are begun and not yet taken. The exception of a task, or of the iterator
    of tasks, is raised where its result would have come. `close` lets the threads end.
    """

    def __init__(self, tasks: Iterator[Task], *, workers: int, ahead: int, timeout: float) -> None:
        self._tasks = tasks
        self._timeout = timeout or None
        self._claiming = threading.Lock()
        self._room = threading.Semaphore(ahead)
        self._changed = threading.Condition()
        self._results: dict[int, tuple[Any, BaseException | None]] = {}
        self._claimed = 0
        self._is_over = False
        self._workers = workers
        for number in range(workers):
            # A daemon: a task that never returns must not keep the process from ending.
            thread = threading.Thread(target=self._work, name=f"lamina-data-{number}", daemon=True)
            thread.start()

    def _work(self) -> None:
        while True:
            self._room.acquire()
            claimed = self._claim()
            if claimed is None:
                self._room.release()
                return
            self._deliver(*claimed)

    def _claim(self) -> tuple[int, Task] | None:
        with self._claiming:
            if self._is_over:
                return None
            try:
                task = next(self._tasks)
            except StopIteration:
                self._end()
                return None
            except BaseException as error:  # noqa: BLE001 - raised again where batches are used
                task = partial(_raise, error)
            self._claimed += 1
            return self._claimed - 1, task

    def _deliver(self, number: int, task: Task) -> None:
        result: tuple[Any, BaseException | None]
        try:
            result = task(), None
        except BaseException as error:  # noqa: BLE001 - raised again where batches are used
            result = None, error
        with self._changed:
            self._results[number] = result
            self._changed.notify_all()

    def _end(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Any]:
        for number in count():
            with self._changed:
                settled = self._changed.wait_for(partial(self._is_settled, number), self._timeout)
                if not settled:
                    raise DataError(
                        f"batch {number} did not come within {self._timeout} s; raise timeout, or "
                        "see what the data set waits for"
                    )
                if number not in self._results:
                    return
                value, error = self._results.pop(number)
            self._room.release()
            if error is not None:
                raise error
            yield value

    def _is_settled(self, number: int) -> bool:
        return number in self._results or (self._is_over and number >= self._claimed)

    def close(self) -> None:
        """Let every thread end once its task is done."""
        self._end()
        for _ in range(self._workers):
            self._room.release()


def _raise(error: BaseException) -> NoReturn:
    raise error
