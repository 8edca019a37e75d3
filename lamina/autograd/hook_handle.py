"""What registering a hook gives back."""

from collections.abc import Callable
from types import TracebackType
from typing import final


@final
class HookHandle:
    """What registering a hook gives: `remove()` takes the hook away; so does leaving a `with`."""

    __slots__ = ("_take_away",)

    def __init__(self, take_away: Callable[[], object]) -> None:
        self._take_away: Callable[[], object] | None = take_away

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        take_away, self._take_away = self._take_away, None
        if take_away is not None:
            take_away()

    def __enter__(self) -> "HookHandle":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()
