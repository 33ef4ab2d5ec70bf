"""Publishes the clouds of a bag or a folder on `points`, as a depth camera would."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import numpy as np
import rclpy
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import encode_colours
from otoc_ros.nodes.clouds import cloud_message
from otoc_ros.site.readers import SUFFIXES, read_cloud
from otoc_ros.site.readers.bag import is_bag, read_raw

FOLDER_PERIOD = 0.5  # seconds between files, which have no recorded times
ACKNOWLEDGE = Duration(seconds=5)  # how long the last cloud may take to arrive
GREY = 128
KEPT = 5  # clouds that a slow reliable subscriber may lag behind

# Seconds since the first cloud at which one is due, and the cloud: a message, or its bytes.
Due = tuple[float, "PointCloud2 | bytes"]


def bag_messages(path: Path, topic: str | None) -> Iterator[Due]:
    """The serialised messages of a bag, due as they were recorded."""
    first: int | None = None
    for nanoseconds, raw in read_raw(path, topic):
        first = nanoseconds if first is None else first
        yield (nanoseconds - first) * 1e-9, raw


def folder_messages(path: Path, frame: str) -> Iterator[Due]:
    """The clouds in the files of a folder, sorted by name; without colour they are grey."""
    if not path.is_dir():
        raise InputError(f"{path} is no bag and no folder of clouds; give one of them")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{path} holds no {', '.join(SUFFIXES)} files and is no bag")
    for number, file in enumerate(files):
        yield number * FOLDER_PERIOD, _one_row(read_cloud(file), frame)


def _one_row(cloud: Cloud, frame: str) -> PointCloud2:
    rgb = np.full((len(cloud), 3), GREY, np.uint8) if cloud.rgb is None else cloud.rgb
    points = encode_colours(cloud.xyz, rgb)
    dense = bool(np.isfinite(cloud.xyz).all())
    return cloud_message(Header(frame_id=frame), points, (1, len(cloud)), dense)


class CloudPlayer(Node):
    """Waits for a subscriber, then publishes what it is given when it is due."""

    def __init__(self) -> None:
        super().__init__("play_clouds")
        quality = QoSProfile(
            depth=KEPT,
            history=HistoryPolicy.KEEP_LAST,
            reliability=ReliabilityPolicy.RELIABLE,  # serves best-effort subscribers too
        )
        self._publisher = self.create_publisher(PointCloud2, "points", quality)
        self.published = 0

    def play(self, messages: Iterator[Due], rate: float | None, *, restamp: bool) -> None:
        """Publish messages at their times, once somebody listens.

        Returns when the one after the last would be due.

        Args:
            rate: Hz instead of their times. restamp: stamp them with now, not as recorded.
        """
        begin, due, number = monotonic(), 0.0, 0
        for number, (recorded, message) in enumerate(messages):
            if number == 0:
                self._wait_for_subscriber()
                begin = monotonic()
            due = number / rate if rate else recorded
            self._rest_until(begin + due)
            if isinstance(message, bytes) and restamp:
                message = deserialize_message(message, PointCloud2)
            if not isinstance(message, bytes):
                message.header.stamp = self.get_clock().now().to_msg()
            self._publisher.publish(message)
            self.published += 1
        self._rest_until(begin + due + (due / number if number else 1 / (rate or 1)))

    def finish(self) -> None:
        """Let the last clouds arrive."""
        self._publisher.wait_for_all_acked(ACKNOWLEDGE)
        self.get_logger().info(f"published {self.published} clouds")

    def _wait_for_subscriber(self) -> None:
        if not self._publisher.get_subscription_count():
            self.get_logger().info(f"waiting for a subscriber of {self._publisher.topic_name}")
        while not self._publisher.get_subscription_count():
            self._rest(0.05)

    def _rest_until(self, time: float) -> None:
        while (early := time - monotonic()) > 0:
            self._rest(min(early, 0.1))

    def _rest(self, seconds: float) -> None:
        """Serve parameters and time meanwhile; a signal ends the rest, and the player."""
        rclpy.spin_once(self, timeout_sec=seconds)
        if not rclpy.ok():
            raise ExternalShutdownException


def main(arguments: Sequence[str] | None = None) -> None:
    """Play until the end or a signal: status 0; status 2 for a source that cannot be read."""
    given = list(sys.argv if arguments is None else ["play_clouds", *arguments])
    options = _parser().parse_args(remove_ros_args(given)[1:])
    rclpy.init(args=given)
    player = CloudPlayer()
    status = 0
    try:
        while True:
            player.play(_messages(options), options.rate, restamp=options.restamp)
            if not options.loop:
                break
        player.finish()
    except InputError as error:
        print(f"play_clouds: {error}", file=sys.stderr)
        status = 2
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception:
        if rclpy.ok():  # else a signal has just taken the context away from a call that needs it
            raise
    with suppress(KeyboardInterrupt):
        player.destroy_node()
        rclpy.try_shutdown()
    sys.exit(status)


def _messages(options: argparse.Namespace) -> Iterator[Due]:
    if is_bag(options.source):
        return bag_messages(options.source, options.topic)
    return folder_messages(options.source, options.frame)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="play_clouds", description=__doc__)
    parser.add_argument("source", type=Path, help="a rosbag2, or a folder of PLY, PCD, NPZ files")
    parser.add_argument("--topic", help="of the bag; needed where it has several of clouds")
    parser.add_argument("--rate", type=_positive, help="Hz; a bag's own pace or 2 where not given")
    parser.add_argument("--loop", action="store_true", help="begin again at the end")
    parser.add_argument("--restamp", action="store_true", help="stamp a bag's clouds with now")
    parser.add_argument("--frame", default="map", help="frame of a folder's clouds (%(default)s)")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e3:
        raise argparse.ArgumentTypeError(f"{text} is no rate in Hz above 0")
    return value


if __name__ == "__main__":
    main()
