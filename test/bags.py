"""Writes real rosbag2 recordings of point clouds for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

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


def message(cloud: Cloud, stamp_ns: int) -> object:
    """A PointCloud2 of one row."""
    assert cloud.rgb is not None
    points = encode_colours(cloud.xyz, cloud.rgb)
    field = STORE.types["sensor_msgs/msg/PointField"]
    time = STORE.types["builtin_interfaces/msg/Time"]
    header = STORE.types["std_msgs/msg/Header"]
    return STORE.types[TYPE](
        header=header(stamp=time(*divmod(stamp_ns, 10**9)), frame_id="camera"),
        height=1,
        width=len(points),
        fields=[field(*declared[:3], count=1) for declared in fields_of(points.dtype)],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.nbytes,
        data=np.frombuffer(points.tobytes(), np.uint8),
        is_dense=False,
    )
