"""Training beside the page: the `otoc train` command as a child, and the rounds it leaves."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from otoc_ros.core.errors import InputError

_STYLE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_COUNT = re.compile(r"(\d+)/(\d+)")
WIDTH = "100"  # columns of the child's terminal, so that a progress line is one line
OTOC = "from otoc_ros.cli import main; main()"  # the console script may not be on the path
PRESETS = ("tiny", "small", "base")


class Training:
    """At most one command at a time; safe to use from several threads.

    Args:
        site: its folder.
    """

    def __init__(self, site: Path) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._said = ""
        self._listener: threading.Thread | None = None
        self.what = ""
        self.ended: int | None = None  # exit status of the last command

    @property
    def running(self) -> bool:
        """Whether a command runs now."""
        return self._process is not None

    @property
    def line(self) -> str:
        """What the command has said last, in its own words: the stage, counts, time left."""
        return self._said

    @property
    def share(self) -> float | None:
        """How much of the present stage is done, 0..1; None: not known."""
        found = _COUNT.search(self._said)
        if found is None or int(found[2]) == 0:
            return None
        return min(1.0, int(found[1]) / int(found[2]))

    def train(self, preset: str, *, resume: bool = False) -> None:
        """Start `otoc train`. InputError: a command runs already."""
        self._start("training", "train", "--preset", preset, *(["--resume"] if resume else []))

    def export(self) -> None:
        """Start `otoc export`, which makes the robot's bundle. InputError: see `train`."""
        self._start("export", "export")

    def stop(self) -> None:
        """Ask the command to finish its step and save, as Ctrl-C does."""
        with self._lock:
            if self._process is not None:
                self._process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        """Until the command has ended."""
        if self._listener is not None:
            self._listener.join()

    def rounds(self) -> list[str]:
        """Names of the rounds that are complete, the first one first."""
        folder = self._site / "rounds"
        names = sorted(path.parent.name for path in folder.glob("[0-9][0-9]/metrics.json"))
        return [name for row, name in enumerate(names) if int(name) == row]

    def roll_back(self, name: str) -> None:
        """Make a round the last one; the later ones are moved aside, not deleted.

        Raises:
            InputError: there is no such round, or a command runs.
        """
        with self._lock:
            if self._process is not None:
                raise InputError(f"{self.what} runs; stop it first")
            known = self.rounds()
            if name not in known:
                raise InputError(
                    f"there is no round {name}; there are {', '.join(known) or 'none'}"
                )
            folder = self._site / "rounds"
            aside = folder / f"set-aside-{time.strftime('%Y%m%d-%H%M%S')}"
            later = [
                path for path in sorted(folder.glob("[0-9][0-9]")) if int(path.name) > int(name)
            ]
            if later:
                aside.mkdir()
            for path in reversed(later):  # the last first: what is left always is a complete run
                path.rename(aside / path.name)

    def _start(self, what: str, *arguments: str) -> None:
        with self._lock:
            if self._process is not None:
                raise InputError(f"{self.what} runs already; stop it first")
            command, *options = arguments
            # A terminal of its own, because only there the command draws its progress.
            ours, theirs = pty.openpty()
            self._process = subprocess.Popen(
                [sys.executable, "-c", OTOC, command, str(self._site), *options],
                stdin=subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                env=os.environ | {"TERM": "xterm", "COLUMNS": WIDTH, "NO_COLOR": "1"},
                start_new_session=True,
            )
            os.close(theirs)
            self.what, self._said, self.ended = what, "starts", None
            self._listener = threading.Thread(
                target=self._listen, args=(self._process, ours), daemon=True
            )
            self._listener.start()

    def _listen(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        rest = b""
        try:
            while data := os.read(terminal, 4096):
                *lines, rest = _STYLE.sub(b"", rest + data).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    if text := line.decode("utf-8", "replace").strip():
                        self._said = text
        except OSError:  # how Linux says that the other end is closed
            pass
        finally:
            os.close(terminal)
        status = process.wait()
        with self._lock:
            self.ended, self._process = status, None
