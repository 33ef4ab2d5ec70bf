"""Points as they travel -> PointCloud2."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from otoc_ros.core.pointcloud2 import fields_of


def cloud_message(
    header: Header, points: NDArray[Any], shape: tuple[int, int], is_dense: bool
) -> PointCloud2:
    """A message of a structured array; arguments as of `blank_message`.

    Args:
        points: [height * width], a dtype of `core.pointcloud2`.
    """
    message, blank = blank_message(header, points.dtype, shape, is_dense)
    blank.view(np.uint8)[:] = points.view(np.uint8)
    return message


def blank_message(
    header: Header, layout: np.dtype[Any], shape: tuple[int, int], is_dense: bool
) -> tuple[PointCloud2, NDArray[Any]]:
    """A message of zeros, and its points [height * width] to be written.

    Args:
        layout: a dtype of `core.pointcloud2`.
        shape: height and width.
        is_dense: whether no coordinate is NaN or infinite.
    """
    height, width = shape
    message = PointCloud2(
        header=header,
        height=height,
        width=width,
        fields=[
            PointField(name=field.name, offset=field.offset, datatype=field.datatype, count=1)
            for field in fields_of(layout)
        ],
        is_bigendian=False,
        point_step=layout.itemsize,
        row_step=layout.itemsize * width,
        is_dense=is_dense,
    )
    # Whatever is set as data is copied, or checked byte by byte: let the message's own array grow.
    data = message.data
    data.append(0)
    data *= message.row_step * height
    return message, np.frombuffer(data, layout)
