"""Writes real rosbag2 recordings of point clouds for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.pointcloud2 import encode_colours, fields_of

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPE = "sensor_msgs/msg/PointCloud2"


def write_bag(
    path: Path,
    topics: Mapping[str, Sequence[Cloud]],
    *,
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    start: float = 100.0,
    period: float = 0.5,
) -> Path:
    """One message a cloud (all coloured), `period` seconds apart, in the frame `camera`."""
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        for topic, clouds in topics.items():
            connection = writer.add_connection(topic, TYPE, typestore=STORE)
            for number, cloud in enumerate(clouds):
                stamp = round((start + number * period) * 1e9)
                raw = STORE.serialize_cdr(message(cloud, stamp), TYPE)
                writer.write(connection, stamp, raw)
    return path


def transforms(stamp_ns: int, poses: Mapping[tuple[str, str], NDArray[np.float64]]) -> object:
    """A TFMessage of T_parent_child [4, 4] by (parent, child)."""
    types = STORE.types
    stamped = []
    for (parent, child), pose in poses.items():
        turn = Rotation.from_matrix(pose[:3, :3]).as_quat()
        stamped.append(
            types["geometry_msgs/msg/TransformStamped"](
                header=header(stamp_ns, parent),
                child_frame_id=child,
                transform=types["geometry_msgs/msg/Transform"](
                    translation=types["geometry_msgs/msg/Vector3"](*map(float, pose[:3, 3])),
                    rotation=types["geometry_msgs/msg/Quaternion"](*map(float, turn)),
                ),
            )
        )
    return types["tf2_msgs/msg/TFMessage"](transforms=stamped)


def reading(stamp_ns: int, acceleration: NDArray[np.float64], frame: str) -> object:
    """An Imu that feels an acceleration [3], m/s²."""
    types = STORE.types
    still = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    return types["sensor_msgs/msg/Imu"](
        header=header(stamp_ns, frame),
        orientation=types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        orientation_covariance=np.zeros(9),
        angular_velocity=still,
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=types["geometry_msgs/msg/Vector3"](*map(float, acceleration)),
        linear_acceleration_covariance=np.zeros(9),
    )


def header(stamp_ns: int, frame: str) -> object:
    """A std_msgs/Header."""
    time = STORE.types["builtin_interfaces/msg/Time"]
    return STORE.types["std_msgs/msg/Header"](time(*divmod(stamp_ns, 10**9)), frame)


def write_messages(path: Path, said: Iterable[tuple[int, str, object]]) -> Path:
    """A bag of messages as (nanoseconds, topic, message), in that order."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for stamp, topic, content in said:
            kind = content.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], stamp, STORE.serialize_cdr(content, kind))
    return path


def message(cloud: Cloud, stamp_ns: int, frame: str = "camera") -> object:
    """A PointCloud2 of one row."""
    assert cloud.rgb is not None
    points = encode_colours(cloud.xyz, cloud.rgb)
    field = STORE.types["sensor_msgs/msg/PointField"]
    return STORE.types[TYPE](
        header=header(stamp_ns, frame),
        height=1,
        width=len(points),
        fields=[field(*declared[:3], count=1) for declared in fields_of(points.dtype)],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.nbytes,
        data=np.frombuffer(points.tobytes(), np.uint8),
        is_dense=False,
    )
