"""The live part: the real node, a player and a recorder, each its own process, over DDS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoc_ros.core.errors import InputError

START = 180.0  # seconds that the node may take to load its bundle and compile its loops
SILENCE = 30.0  # seconds without labels after which no more are waited for
MEAN, HIGHEST = " mean [ms]", " max [ms]"  # what the node says of each stage every second
PAUSE = 5.0  # the same, once the player has ended and the node says that it is done
SETTLE = 1.5  # seconds; endpoints find each other, the last diagnostics arrive


@dataclass(frozen=True, eq=False)
class LiveCloud:
    """One labelled cloud as it was received.

    Attributes:
        shape: height and width of its image.
        class_id, instance: int32 [N]; -1 and 0 where unknown. confidence: float32 [N].
        boxes: from the markers of the same stamp: {"id", "text", "color", "lines"}.
    """

    stamp_ns: int
    shape: tuple[int, int]
    class_id: NDArray[np.int32]
    instance: NDArray[np.int32]
    confidence: NDArray[np.float32]
    boxes: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class LiveRun:
    """What came out of the node.

    Attributes:
        rate: Hz at which the clouds were played.
        markers: marker arrays received.
        diagnostics: values of every second in which the node was active.
    """

    rate: float
    clouds: list[LiveCloud]
    markers: int
    diagnostics: list[dict[str, str]]

    def last(self, counter: str) -> int:
        """The last value of one of the node's counters."""
        return int(self.diagnostics[-1].get(counter, 0)) if self.diagnostics else 0

    def stages(self) -> dict[str, dict[str, float]]:
        """Milliseconds by stage over the seconds of the run: median of the means, 95th percentile
        of the highest."""
        found = {}
        for key in dict.fromkeys(key for each in self.diagnostics for key in each):
            if not key.endswith(MEAN):
                continue
            name = key[: -len(MEAN)]
            timed = [each for each in self.diagnostics if key in each]
            found[name] = {
                "median": round(float(np.median([float(each[key]) for each in timed])), 1),
                "p95": round(
                    float(np.percentile([float(each[name + HIGHEST]) for each in timed], 95)), 1
                ),
            }
        return found


def run_live(
    bundle: Path, bag: Path, count: int, folder: Path, rate: float, on_label: Callable[[int], None]
) -> LiveRun:
    """Start a node on a bundle, play a bag to it, and collect what it publishes.

    Args:
        count: clouds in the bag.
        folder: where the recorder and the logs of the processes go; must not exist.
        rate: Hz at which the clouds are played.
        on_label: told how many labelled clouds have arrived.

    Raises:
        InputError: a process ended early, or the node did not become active.
    """
    folder.mkdir(parents=True)
    out = folder / "recorded"
    # A domain of our own, and nothing leaves this machine.
    env = {**os.environ, "ROS_DOMAIN_ID": str(1 + os.getpid() % 100)}
    env["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    if env.get("ROS_DISTRO") == "humble":  # which does not know it yet
        env["ROS_LOCALHOST_ONLY"] = "1"
    node = ["perception_node", "--ros-args", "-p", f"bundle:={bundle}", "-p", "autostart:=true"]
    node += ["-p", "reliability:=reliable"]
    with (
        _running(["record_labels", str(out)], folder, env) as recorder,
        _running(node, folder, env) as perception,
    ):
        ready = out / "label_info.json"
        _wait(ready.exists, START, (recorder, perception), "the node did not become active", folder)
        time.sleep(SETTLE)
        with _running(["play_clouds", str(bag), "--rate", str(rate)], folder, env) as player:
            arrived = _follow(out, count, player, (recorder, perception), folder, on_label)
        if arrived:
            time.sleep(SETTLE)
    return _read(out, rate)


@contextmanager
def _running(
    command: Sequence[str], folder: Path, env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A module of `otoc_ros.nodes` as a process, which is ended with the block."""
    name, *arguments = command
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"otoc_ros.nodes.{name}", *arguments],
            stdout=log,
            stderr=log,
            env=env,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(
    until: Callable[[], bool],
    seconds: float,
    processes: Sequence[subprocess.Popen[bytes]],
    complaint: str,
    folder: Path,
) -> None:
    end = time.monotonic() + seconds
    while not until():
        _check(processes, folder)
        if time.monotonic() > end:
            raise InputError(f"{complaint} within {seconds:.0f} s; see the logs in {folder}")
        time.sleep(0.05)


def _check(processes: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    for process in processes:
        if process.poll() is not None:
            name = str(process.args[2]).rpartition(".")[2]  # type: ignore[index]
            lines = (folder / f"{name}.log").read_text().strip().splitlines() or ["no message"]
            raise InputError(f"{name} ended with status {process.returncode}: {lines[-1]}")


def _follow(
    out: Path,
    count: int,
    player: subprocess.Popen[bytes],
    others: Sequence[subprocess.Popen[bytes]],
    folder: Path,
    on_label: Callable[[int], None],
) -> int:
    """Wait until every cloud has come back, or none has for long; returns how many did."""
    arrived, last = 0, time.monotonic()
    while arrived < count:
        _check(others, folder)
        if player.poll() not in (None, 0):
            _check([player], folder)
        now = sum(1 for _ in (out / "labels").glob("*.npz"))
        if now > arrived:
            arrived, last = now, time.monotonic()
            on_label(arrived)
        silent = time.monotonic() - last
        if silent > SILENCE or (player.poll() == 0 and silent > PAUSE and _idle(out)):
            break
        time.sleep(0.05)
    return arrived


def _idle(out: Path) -> bool:
    """Whether the node has done with every cloud that it received."""
    status = [line["values"] for line in _lines(out / "diagnostics.jsonl")]
    if not status or "received" not in status[-1]:
        return False
    done = sum(int(status[-1][each]) for each in ("labelled", "dropped", "unwatched", "rejected"))
    return int(status[-1]["received"]) == done > 0


def _read(out: Path, rate: float) -> LiveRun:
    markers = {line["stamp_ns"]: line["boxes"] for line in _lines(out / "markers.jsonl")}
    clouds = []
    for path in sorted((out / "labels").glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            stamp = int(arrays["stamp_ns"])
            clouds.append(
                LiveCloud(
                    stamp,
                    (int(arrays["height"]), int(arrays["width"])),
                    arrays["class_id"],
                    arrays["instance"],
                    arrays["confidence"],
                    markers.get(stamp, []),
                )
            )
    status = [line["values"] for line in _lines(out / "diagnostics.jsonl")]
    return LiveRun(
        rate, clouds, len(markers), [values for values in status if "received" in values]
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]
