"""PointCloud2 messages of rosbag2 recordings (MCAP and SQLite, zstd), read without ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import decode_pointcloud2
from otoc_ros.site.readers.guard import one_line, require_file

MESSAGE_TYPE = "sensor_msgs/msg/PointCloud2"


class CloudTopic(NamedTuple):
    """One topic of point clouds: its name, number of messages, and mean rate in Hz (0 for one)."""

    name: str
    messages: int
    rate: float


class BagTopic(NamedTuple):
    """Any topic of a bag: as `CloudTopic`, and the type of its messages."""

    name: str
    type: str
    messages: int
    rate: float


class BagMessage(NamedTuple):
    """One message of any topic, with the nanoseconds at which it was recorded."""

    topic: str
    type: str
    recorded_ns: int
    message: Any


class StampedCloud(NamedTuple):
    """One message: stamp of its header in nanoseconds, frame, and points (NaN included)."""

    stamp_ns: int
    frame_id: str
    cloud: Cloud


def is_bag(path: Path) -> bool:
    """Whether a path looks like a rosbag2: its folder, or a storage file of one."""
    return (path / "metadata.yaml").exists() or path.suffix in (".mcap", ".db3")


def cloud_topics(path: Path) -> list[CloudTopic]:
    """The point-cloud topics of a bag that have messages, sorted by name.

    Raises:
        InputError: the bag is missing, damaged or cut short.
    """
    with _opened(path) as reader:
        return _topics(reader)


def all_topics(path: Path) -> list[BagTopic]:
    """Every topic of a bag that has messages, sorted by name; InputError as `cloud_topics`."""
    with _opened(path) as reader:
        found = [
            BagTopic(topic.name, type_name, topic.messages, topic.rate)
            for type_name in {c.msgtype for c in reader.connections}
            for topic in _topics(reader, type_name)
        ]
        return sorted(found)


def choose_topic(path: Path, topics: Sequence[CloudTopic], wanted: str | None = None) -> CloudTopic:
    """The wanted topic, or the only one.

    Raises:
        InputError: there is none, or several and none is named: the message lists them.
    """
    if not topics:
        raise InputError(f"{path} has no {MESSAGE_TYPE} messages; record the depth camera's points")
    listed = ", ".join(f"{t.name} ({t.messages} clouds, {t.rate:.3g} Hz)" for t in topics)
    if wanted is None and len(topics) > 1:
        raise InputError(f"{path} has several cloud topics, choose one with --topic: {listed}")
    for topic in topics:
        if wanted in (None, topic.name):
            return topic
    raise InputError(f"{path} has no clouds on topic {wanted}; it has {listed}")


def read_bag(path: Path, topic: str | None = None, every: float = 0.0) -> Iterator[StampedCloud]:
    """The clouds of one topic, in the order they were recorded.

    Args:
        topic: its name; None: the only one.
        every: least seconds from one cloud to the next by their stamps; others are left out
            without being decoded.

    Raises:
        InputError: as `choose_topic`, or a message that cannot be decoded.
    """
    with _opened(path) as reader:
        chosen = choose_topic(path, _topics(reader), topic).name
        connections = [
            c for c in reader.connections if c.topic == chosen and c.msgtype == MESSAGE_TYPE
        ]
        due: int | None = None
        for number, (connection, _, raw) in enumerate(reader.messages(connections)):
            message: Any = reader.deserialize(raw, connection.msgtype)
            stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
            # A stamp far behind the last one is a clock that was set back, not a message too early.
            if due is not None and due - every * 2e9 < stamp < due:
                continue
            due = stamp + round(every * 1e9)
            try:
                cloud = decode_pointcloud2(message)
            except InputError as error:
                raise InputError(f"{path}: message {number} of {chosen}: {error}") from error
            yield StampedCloud(stamp, message.header.frame_id, cloud)


def read_messages(path: Path, topics: Collection[str]) -> Iterator[BagMessage]:
    """The messages of some topics, in the order they were recorded.

    Raises:
        InputError: the bag is missing, damaged or cut short.
    """
    with _opened(path) as reader:
        connections = [c for c in reader.connections if c.topic in topics]
        if connections:  # none would mean all
            for connection, recorded, raw in reader.messages(connections):
                message = reader.deserialize(raw, connection.msgtype)
                yield BagMessage(connection.topic, connection.msgtype, recorded, message)


def read_raw(path: Path, topic: str | None = None) -> Iterator[tuple[int, bytes]]:
    """The serialised messages of one topic with the nanoseconds at which each was recorded.

    Args:
        topic: its name; None: the only one.

    Raises:
        InputError: as `choose_topic`.
    """
    with _opened(path) as reader:
        chosen = choose_topic(path, _topics(reader), topic).name
        connections = [
            c for c in reader.connections if c.topic == chosen and c.msgtype == MESSAGE_TYPE
        ]
        for _, nanoseconds, raw in reader.messages(connections):
            yield nanoseconds, raw


def _topics(reader: AnyReader, type_name: str = MESSAGE_TYPE) -> list[CloudTopic]:
    seconds = reader.duration / 1e9
    counts: dict[str, int] = {}
    for connection in reader.connections:
        if connection.msgtype == type_name and connection.msgcount:
            counts[connection.topic] = counts.get(connection.topic, 0) + connection.msgcount
    return [
        CloudTopic(name, count, (count - 1) / seconds if seconds > 0 else 0.0)
        for name, count in sorted(counts.items())
    ]


@contextmanager
def _opened(path: Path) -> Iterator[AnyReader]:
    require_file(path / "metadata.yaml" if path.is_dir() else path)
    try:
        # Bags of older ROS 2 releases carry no message definitions.
        store = get_typestore(Stores.ROS2_JAZZY)
        with AnyReader([path], default_typestore=store) as reader:
            yield reader
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read bag {path}: {error.strerror or one_line(error)}") from error
    except Exception as error:  # parsers of damaged bags raise anything: zstd, sqlite3, struct
        raise InputError(
            f"cannot read bag {path}: {one_line(error)}; it is damaged or was cut short: try "
            "`ros2 bag reindex` or record it again"
        ) from error
