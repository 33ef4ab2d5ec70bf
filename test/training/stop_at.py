import os
import signal

from rich.progress import Progress


class StopAt(Progress):
    """Presses Ctrl-C when training has done some steps."""

    def __init__(self, steps):
        super().__init__(disable=True)
        self.left = steps

    def advance(self, task_id, advance=1):
        if "train" in self.tasks[task_id].description:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
        super().advance(task_id, advance)
