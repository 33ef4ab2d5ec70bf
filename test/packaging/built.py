"""Where the package is, and the environment that its installed programs run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """That of an activated virtual environment, in a DDS domain of this test run."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = {**os.environ, "PATH": path, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    found.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    return found
