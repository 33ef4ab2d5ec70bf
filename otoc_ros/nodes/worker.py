"""A thread that works on the newest item and lets older ones go."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from threading import Condition, Thread
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestFirst(Generic[Item]):
    """One thread and one slot: an item that was not begun when the next one comes is dropped.

    Args:
        work: called in the thread with one item after another; an exception costs that item.
        name: of the thread, as debuggers and `top -H` show it.
    """

    def __init__(self, work: Callable[[Item], None], name: str) -> None:
        self._work = work
        self._changed = Condition()
        self._slot: list[Item] = []
        self._stopping = False
        # A daemon: work that hangs in a native library must not keep the process from ending.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Offer an item; True when an older one had to go for it."""
        with self._changed:
            dropped = bool(self._slot)
            self._slot = [item]
            self._changed.notify()
        return dropped

    def stop(self, timeout: float) -> bool:
        """Let the present item finish, drop the next; False when it takes longer (seconds)."""
        with self._changed:
            self._stopping = True
            self._slot = []
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot or self._stopping)
                if self._stopping:
                    return
                item = self._slot.pop()
            try:
                self._work(item)
            except Exception:  # a thread that died would be a node that is silent for ever
                traceback.print_exc()
            del item  # a cloud of many megabytes must not wait for the next one
