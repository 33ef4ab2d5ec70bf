"""Fixtures that start real nodes in their own processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
from live import Probe, Process
from rclpy.signals import SignalHandlerOptions

Starter = Callable[..., Process]


@contextmanager
def _processes(folder: Path) -> Iterator[Starter]:
    running: list[Process] = []

    def start(command: Sequence[str], env: dict[str, str] | None = None) -> Process:
        log = folder / f"process_{len(running)}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(command, stdout=output, stderr=output, env=env)
        running.append(Process(popen, log))
        return running[-1]

    try:
        yield start
    finally:
        for process in running:
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
            print(process.log())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Starts a command; whatever still runs at the end of the test is killed."""
    with _processes(tmp_path) as starter:
        yield starter


@pytest.fixture
def start_node(start: Starter, tmp_path: Path) -> Starter:
    """Starts the perception node with parameters; what it keeps is under `tmp_path / "ros"`."""

    def start_with(**parameters: Any) -> Process:
        command = [sys.executable, "-m", "otoc_ros.nodes.perception_node", "--ros-args"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        return start(command, {**os.environ, "ROS_HOME": str(tmp_path / "ros")})

    return start_with


@pytest.fixture
def probe() -> Iterator[Probe]:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)  # pytest's own must go on to work
    node = Probe()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture
def serving(start_node: Starter, probe: Probe, tiny_bundle: Path) -> Process:
    """A node that is active on a bundle and whose outputs the probe listens to."""
    probe.listen()
    process = start_node(bundle=tiny_bundle, autostart="true", reliability="reliable")
    probe.wait_active()
    return process
