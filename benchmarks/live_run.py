"""A live node as a process, what is played to it, and what can be seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

# Before rclpy reads them: nobody else's nodes, and nothing leaves this machine.
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from otoc_ros.core.pointcloud2 import encode_colours
from otoc_ros.nodes.clouds import cloud_message
from otoc_ros.nodes.play_clouds import bag_messages, folder_messages
from otoc_ros.site.readers.bag import is_bag

ROOT = Path(__file__).parents[1]
PROFILE = ROOT / "config" / "shared_memory.xml"
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 120.0  # seconds
COUNTED = ("received", "labelled", "dropped", "rejected", "unwatched")


@dataclass
class Played:
    """What came of one recording: latencies in seconds, and the node's own diagnostics."""

    published: int
    seconds: float
    latencies: list[float]
    before: dict[str, int]
    after: dict[str, int]
    status: list[dict[str, str]]
    cores: float
    peak_mb: float

    def drops(self) -> int:
        """Clouds that the node let go for newer ones."""
        return self.after["dropped"] - self.before["dropped"]

    def lost(self) -> int:
        """Clouds that never reached the node."""
        return self.published - (self.after["received"] - self.before["received"])

    def labelled_hz(self) -> float:
        return round(len(self.latencies) / self.seconds, 2)

    def stages(self) -> dict[str, float]:
        """Mean milliseconds by stage, over the seconds in which clouds were labelled."""
        names = dict.fromkeys(key for each in self.status for key in each if "mean [ms]" in key)
        found = {}
        for key in names:
            values = [float(each[key]) for each in self.status if key in each]
            found[key.removesuffix(" mean [ms]")] = round(float(np.mean(values)), 1)
        return found


@dataclass
class _Heard:
    latencies: list[float] = field(default_factory=list)
    status: list[dict[str, str]] = field(default_factory=list)


class LiveNode:
    """Starts a perception node with parameters, and ends it with the block."""

    def __init__(
        self, bundle: Path, *, shared_memory: bool, watched: bool = True, **parameters: object
    ) -> None:
        self._folder = TemporaryDirectory()
        self.env = {**os.environ, "ROS_HOME": self._folder.name, "PYTHONPATH": str(ROOT)}
        if shared_memory:
            self.env["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
        self._command = [sys.executable, "-m", "otoc_ros.nodes.perception_node", "--ros-args"]
        for name, value in {"bundle": bundle, "autostart": "true", **parameters}.items():
            self._command += ["-p", f"{name}:={value}"]
        self._watched = watched

    def __enter__(self) -> LiveNode:
        rclpy.init()
        self._ear = Node("live_benchmark")
        self._heard = _Heard()
        self._ear.create_subscription(DiagnosticArray, "/diagnostics", self._diagnosed, 10)
        if self._watched:
            quality = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
            name = "/perception_node/labels"
            self._ear.create_subscription(PointCloud2, name, self._labelled, quality)
        begin = time.monotonic()
        self._log = (Path(self._folder.name) / "node.log").open("w+b")
        self.process = subprocess.Popen(
            self._command, env=self.env, stdout=self._log, stderr=self._log
        )
        self.wait(lambda: "received" in self.last(), "the node to become active")
        self.activation = {
            "from_start": round(time.monotonic() - begin, 1),
            "of_it_bundle": float(self.last()["loaded and warmed in [s]"]),
        }
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self._ear.destroy_node()
        rclpy.try_shutdown()
        self._log.close()
        self._folder.cleanup()

    def play(self, source: Path, count: int, rate: float) -> Played:
        """Play a bag or a folder until so many clouds were published."""
        before, begin = self.counts(), time.monotonic()
        cpu = self.cpu_seconds()
        self._heard = _Heard(status=self._heard.status[-1:])
        with self.publisher(source=str(source), count=count, hz=rate) as player:
            self.wait(lambda: player.poll() is not None, "the player", count / rate + PATIENCE)
        self.wait(lambda: self._settled(before), "the last labels")
        seconds = time.monotonic() - begin
        used = (self.cpu_seconds() - cpu) / seconds
        return Played(
            count,
            seconds,
            self._heard.latencies,
            before,
            self.counts(),
            self._heard.status[1:],
            round(used, 2),
            self.memory("VmHWM"),
        )

    def publisher(self, **options: object) -> subprocess.Popen[bytes]:
        """A process that publishes clouds, see `publish`."""
        command = [sys.executable, __file__, json.dumps(options)]
        return subprocess.Popen(command, env=self.env)

    def counts(self) -> dict[str, int]:
        """The node's counters, fresh."""
        seen = len(self._heard.status)
        self.wait(lambda: len(self._heard.status) > seen, "diagnostics")
        return {name: int(self.last()[name]) for name in COUNTED}

    def last(self) -> dict[str, str]:
        return self._heard.status[-1] if self._heard.status else {}

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, kind: str) -> float:
        """VmRSS or VmHWM of the node in megabytes."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        found = next(line for line in lines if line.startswith(kind))
        return round(int(found.split()[1]) / 1024, 1)

    def wait(self, until: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        end = time.monotonic() + timeout
        while not until():
            if self.process.poll() is not None or time.monotonic() > end:
                self._log.seek(0)
                raise SystemExit(f"waited for {what}; the node says:\n{self._log.read().decode()}")
            rclpy.spin_once(self._ear, timeout_sec=0.02)

    def _settled(self, before: dict[str, int]) -> bool:
        now = {name: int(self.last()[name]) - before[name] for name in COUNTED}
        done = now["labelled"] + now["dropped"] + now["rejected"] + now["unwatched"]
        heard = not self._watched or len(self._heard.latencies) >= now["labelled"]
        return now["received"] == done and heard

    def _labelled(self, message: PointCloud2) -> None:
        stamp = message.header.stamp
        self._heard.latencies.append(time.time() - stamp.sec - stamp.nanosec * 1e-9)

    def _diagnosed(self, message: DiagnosticArray) -> None:
        values = {pair.key: pair.value for pair in message.status[0].values}
        if "received" in values:
            self._heard.status.append(values)


def one_million_points(bundle: Path, count: int, shared_memory: bool) -> dict:
    """Clouds of a million points at 10 Hz to a node that nobody listens to: what gets lost."""
    with LiveNode(bundle, shared_memory=shared_memory, watched=False) as node:
        before = node.counts()
        with node.publisher(points=10**6, count=count, hz=10.0) as publisher:
            node.wait(lambda: publisher.poll() is not None, "the publisher", count / 10 + PATIENCE)
        node.counts()  # a second for the last one to arrive
        received = node.counts()["received"] - before["received"]
        return {
            "points": 10**6,
            "published": count,
            "received": received,
            "lost_share": round(1 - received / count, 3),
            "shared_memory": shared_memory,
        }


def soak(bundle: Path, views: Path, minutes: float) -> dict:
    """Memory of a node that is kept busy at 10 Hz, sampled after every hundred clouds.

    What grows is told of all pages, and of the node's own: the others are files, and shared memory
    of the transport, which every new publisher brings along.
    """
    samples: list[tuple[float, float, float]] = []
    begin = time.monotonic()
    with LiveNode(bundle, shared_memory=True) as node:
        while (now := time.monotonic() - begin) < minutes * 60:
            node.play(views, 100, 10.0)
            samples.append((round(now), node.memory("VmRSS"), node.memory("RssAnon")))
            print(f"{now:.0f} s: {samples[-1][1]} MB, {samples[-1][2]} its own", flush=True)
        counts = node.counts()
    settled = min(300.0, minutes * 30)
    late = [megabytes for seconds, *megabytes in samples if seconds >= settled]
    third = max(1, len(late) // 3)
    first, last = np.mean(late[:third], axis=0), np.mean(late[-third:], axis=0)
    whole, own = np.round(last / first - 1, 4).tolist()
    return {
        "minutes": minutes,
        "counts": counts,
        "mb_by_second": samples,
        "growth_share": whole,
        "growth_share_of_its_own": own,
        "growth_from_s": settled,
    }


def publish(count: int, hz: float, source: str = "", points: int = 0) -> None:
    """Publish the clouds of a bag or a folder in turns, or one random cloud, stamped with now.

    Best effort and keeping the newest five, as camera drivers do.
    """
    rclpy.init()
    node = Node("camera")
    quality = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(PointCloud2, "points", quality)
    clouds = recorded(Path(source)) if source else [random_cloud(points)]
    while not publisher.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.05)
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number / hz - time.monotonic()))
        cloud = clouds[number % len(clouds)]
        cloud.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(cloud)
    time.sleep(1.0)  # best effort knows no end of sending
    node.destroy_node()
    rclpy.shutdown()


def recorded(source: Path) -> list[PointCloud2]:
    """As `play_clouds` publishes them."""
    if is_bag(source):
        return [deserialize_message(raw, PointCloud2) for _, raw in bag_messages(source, None)]
    return [message for _, message in folder_messages(source, "camera")]


def random_cloud(points: int) -> PointCloud2:
    xyz = np.random.default_rng(0).random((points, 3), np.float32)
    packed = encode_colours(xyz, np.zeros((points, 3), np.uint8))
    return cloud_message(Header(frame_id="camera"), packed, (1, points), is_dense=True)


if __name__ == "__main__":
    publish(**json.loads(sys.argv[1]))
