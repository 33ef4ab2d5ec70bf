"""A running `otoc label`, for tests and benchmarks of its page."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otoc_ros.site.site import Site

ROOT = Path(__file__).parents[2]


@contextmanager
def page(site: Site, *options: str) -> Iterator[str]:
    """The link of a running `otoc label`."""
    script = "from otoc_ros.cli import main; main()"
    command = [sys.executable, "-c", script, "label", str(site.path), "--port", "0", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
