"""From labelled clouds to messages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.colouring import object_colours
from otoc_ros.core.pointcloud2 import (
    COLOUR_POINT,
    LABEL_POINT,
    UNKNOWN_CLASS,
    encode_colours,
    encode_labels,
)
from otoc_ros.nodes.clouds import blank_message
from otoc_ros.perception import DetectedObject, LabelledCloud
from otoc_ros.site.bundle import BundleInfo
from otoc_ros.site.classes import ClassInfo

UNKNOWN_COLOUR = (128, 128, 128)
LINE_WIDTH = 0.01  # metres
TEXT_HEIGHT = 0.06  # metres

# Corner i of a box has the upper end of axis a where bit a of i is set: an edge changes one bit.
_EDGES = [(i, i | 1 << axis) for i in range(8) for axis in range(3) if not i >> axis & 1]


def outline(message: PointCloud2) -> PointCloud2:
    """A cloud's header and shape without its points: all that its labels need of it."""
    return PointCloud2(
        header=message.header,
        height=message.height,
        width=message.width,
        is_dense=message.is_dense,
    )


def labels_message(
    source: PointCloud2, cloud: Cloud, labelled: LabelledCloud, classes: Sequence[ClassInfo]
) -> PointCloud2:
    """`~/labels`: the input's points in its shape, each with its class, instance, confidence."""
    message, points = _blank(source, LABEL_POINT)
    colours = np.array([known.color for known in classes] + [UNKNOWN_COLOUR], np.uint8)
    encode_labels(
        cloud.xyz, colours, labelled.class_id, labelled.instance, labelled.confidence, points
    )
    return message


def supervoxels_message(source: PointCloud2, cloud: Cloud, labelled: LabelledCloud) -> PointCloud2:
    """`~/supervoxels`: the input's points, one colour a super-voxel, dropped points black."""
    # The golden ratio spreads consecutive ids over all colours; the same id keeps its colour.
    mixed = (labelled.supervoxel.astype(np.uint32) + 1) * np.uint32(2654435769)
    rgb = np.stack([mixed >> shift for shift in (24, 16, 8)], axis=1).astype(np.uint8)
    rgb |= np.uint8(0x40)
    rgb[labelled.supervoxel < 0] = 0
    message, points = _blank(source, COLOUR_POINT)
    encode_colours(cloud.xyz, rgb, points)
    return message


def markers_message(
    source: PointCloud2, labelled: LabelledCloud, classes: Sequence[ClassInfo], lifetime: float
) -> MarkerArray:
    """`~/markers`: what was there is deleted, then a box of lines and a text per object.

    Args:
        lifetime: seconds after which RViz forgets the markers of a silent node; 0 = never.
    """
    markers = [Marker(header=source.header, action=Marker.DELETEALL)]
    colours = object_colours(
        [found.id for found in labelled.objects],
        [found.box.corners() for found in labelled.objects],
    )
    for found, colour in zip(labelled.objects, colours.tolist(), strict=True):
        known = classes[found.class_id]
        box, text = (_marker(source, found, colour, lifetime) for _ in range(2))
        corners = [Point(x=x, y=y, z=z) for x, y, z in found.box.corners().tolist()]
        box.ns, box.type, box.scale.x = "box", Marker.LINE_LIST, LINE_WIDTH
        box.points = [corners[end] for edge in _EDGES for end in edge]
        text.ns, text.type, text.scale.z = "text", Marker.TEXT_VIEW_FACING, TEXT_HEIGHT
        text.text = f"{known.name} {found.id} ({found.score:.2f})"
        top = found.box.center + found.box.rotation[:, 2] * (found.box.extent[2] / 2 + TEXT_HEIGHT)
        text.pose.position.x, text.pose.position.y, text.pose.position.z = top.tolist()
        markers += [box, text]
    return MarkerArray(markers=markers)


def bundle_hash(info: BundleInfo) -> str:
    """Which bundle this is: SHA-256 over the SHA-256 of its files."""
    return hashlib.sha256(json.dumps(sorted(info.files.items())).encode()).hexdigest()


def label_info_json(info: BundleInfo, classes: Sequence[ClassInfo]) -> str:
    """`~/label_info_json`: what the ids in `~/labels` mean; the bundle's and those added live."""
    table = [
        {"id": row, "name": known.name, "color": list(known.color), "kind": known.kind}
        for row, known in enumerate(classes)
    ]
    return json.dumps(
        {
            "bundle": info.name,
            "bundle_hash": bundle_hash(info),
            "unknown_class_id": UNKNOWN_CLASS,
            "classes": table,
        }
    )


def _blank(source: PointCloud2, layout: np.dtype[Any]) -> tuple[PointCloud2, NDArray[Any]]:
    shape = (source.height, source.width)
    return blank_message(source.header, layout, shape, source.is_dense)


def _marker(
    source: PointCloud2, found: DetectedObject, color: Sequence[int], lifetime: float
) -> Marker:
    seconds, nanoseconds = divmod(round(lifetime * 1e9), 10**9)
    red, green, blue = (channel / 255 for channel in color)
    return Marker(
        header=source.header,
        id=found.id,
        action=Marker.ADD,
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=Duration(sec=seconds, nanosec=nanoseconds),
    )
