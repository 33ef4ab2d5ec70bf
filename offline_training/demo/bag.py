"""Writes what a depth camera published as a rosbag2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import encode_colours, fields_of
from otoc_ros.site.files import writing

TOPIC = "/camera/depth/color/points"
FRAME = "camera_color_optical_frame"
TYPE = "sensor_msgs/msg/PointCloud2"
BEGIN = 100  # seconds; the stamp of the first message
PERIOD = 0.5  # seconds from one message to the next

Organised = tuple[Cloud, tuple[int, int]]  # points row by row, and height and width


def write_bag(path: Path, clouds: Iterable[Organised]) -> int:
    """Write organised clouds with colour as messages of a new MCAP bag; returns how many.

    Missing returns are rows of NaN, as a depth camera's driver publishes them.

    Raises:
        InputError: a cloud has no colour or does not fill its image, or the disk is full.
    """
    store: Any = get_typestore(Stores.ROS2_JAZZY)
    count = 0
    with writing(path), Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(TOPIC, TYPE, typestore=store)
        for stamp, (cloud, shape) in zip(stamps(), clouds, strict=False):
            raw = store.serialize_cdr(_message(store, cloud, shape, stamp), TYPE)
            writer.write(connection, stamp, raw)
            count += 1
    return count


def stamps() -> Iterator[int]:
    """Nanoseconds of the first message, the second, and so on."""
    number = 0
    while True:
        yield round((BEGIN + number * PERIOD) * 1e9)
        number += 1


def _message(store: Any, cloud: Cloud, shape: Sequence[int], stamp: int) -> object:
    height, width = shape
    if cloud.rgb is None or len(cloud) != height * width:
        raise InputError(
            f"a cloud of {len(cloud)} points is no coloured image of {width} x {height}"
        )
    points = encode_colours(cloud.xyz, cloud.rgb)
    types = store.types
    seconds, nanoseconds = divmod(stamp, 10**9)
    return types[TYPE](
        header=types["std_msgs/msg/Header"](
            stamp=types["builtin_interfaces/msg/Time"](seconds, nanoseconds), frame_id=FRAME
        ),
        height=height,
        width=width,
        fields=[
            types["sensor_msgs/msg/PointField"](field.name, field.offset, field.datatype, count=1)
            for field in fields_of(points.dtype)
        ],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * width,
        data=points.view(np.uint8),
        is_dense=False,
    )
