"""A line between a browser and a running page, which a test can cut and mend."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Line:
    """Passes on every connection to a page, while it is whole.

    Args:
        link: of the page; `Line.link` is the same page through the line.
    """

    def __init__(self, link: str) -> None:
        self._port = int(link.rstrip("/").rsplit(":", 1)[1])
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_whole = True
        self.link = f"http://127.0.0.1:{self._door.getsockname()[1]}/"

    def __enter__(self) -> Line:
        threading.Thread(target=self._answer, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def cut(self) -> None:
        """End all connections, and every new one at once, until mended."""
        with self._lock:
            self._is_whole = False
            for end in self._ends:
                _hang_up(end)
            self._ends.clear()

    def mend(self) -> None:
        """Pass on connections again."""
        with self._lock:
            self._is_whole = True

    def _answer(self) -> None:
        with suppress(OSError):  # the door is closed
            while True:
                near, _ = self._door.accept()
                with self._lock:
                    if not self._is_whole:
                        near.close()
                        continue
                    far = socket.create_connection(("127.0.0.1", self._port))
                    self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    _hang_up(one)
    _hang_up(other)


def _hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
