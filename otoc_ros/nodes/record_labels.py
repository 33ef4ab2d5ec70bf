"""Writes what a perception node publishes into a folder, as files that any program reads.

FOLDER/label_info.json    what the class ids mean; it is there once the node is active
FOLDER/labels/000.npz     one labelled cloud: stamp_ns, frame, width, height, class_id (-1 =
                          unknown), instance, confidence
FOLDER/markers.jsonl      one line a MarkerArray: stamp_ns and its boxes
FOLDER/diagnostics.jsonl  one line a second: level, message, values
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String
from visualization_msgs.msg import Marker, MarkerArray

from otoc_ros.core.errors import InputError
from otoc_ros.core.pointcloud2 import UNKNOWN_CLASS, read_fields
from otoc_ros.site.files import atomic_write, writing

RELIABLE = QoSProfile(depth=20, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class LabelRecorder(Node):
    """Listens to one perception node and keeps what it says."""

    def __init__(self, folder: Path, source: str) -> None:
        super().__init__("record_labels")
        self._folder, self._clouds = folder, 0
        self._source = source.strip("/")
        with writing(folder):
            (folder / "labels").mkdir(parents=True)
        name = f"/{self._source}"
        self.create_subscription(PointCloud2, f"{name}/labels", self._keep_labels, RELIABLE)
        self.create_subscription(MarkerArray, f"{name}/markers", self._keep_markers, RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._keep_diagnostics, RELIABLE)
        self.create_subscription(String, f"{name}/label_info_json", self._keep_info, LATCHED)

    def _keep_info(self, message: String) -> None:
        atomic_write(self._folder / "label_info.json", message.data.encode())

    def _keep_labels(self, message: PointCloud2) -> None:
        points = read_fields(message, ("class_id", "instance", "confidence")).reshape(-1)
        class_id = points["class_id"].astype(np.int32)
        class_id[class_id == UNKNOWN_CLASS] = -1
        path = self._folder / "labels" / f"{self._clouds:03d}.npz"
        # Written aside: whoever counts the files sees whole ones only.
        aside = path.with_suffix(".part")
        with writing(path):
            with aside.open("wb") as stream:
                np.savez(
                    stream,
                    stamp_ns=np.int64(_stamp(message.header)),
                    frame=np.array(message.header.frame_id),
                    width=np.int64(message.width),
                    height=np.int64(message.height),
                    class_id=class_id,
                    instance=points["instance"].astype(np.int32),
                    confidence=points["confidence"].astype(np.float32),
                )
            aside.rename(path)
        self._clouds += 1

    def _keep_markers(self, message: MarkerArray) -> None:
        if not message.markers:
            return
        texts = {marker.id: marker.text for marker in message.markers if marker.ns == "text"}
        boxes = [
            {
                "id": marker.id,
                "text": texts.get(marker.id, ""),
                "color": [marker.color.r, marker.color.g, marker.color.b],
                "lines": [[point.x, point.y, point.z] for point in marker.points],
            }
            for marker in message.markers
            if marker.type == Marker.LINE_LIST and marker.action == Marker.ADD
        ]
        self._append(
            "markers.jsonl", {"stamp_ns": _stamp(message.markers[0].header), "boxes": boxes}
        )

    def _keep_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self._source}:"):
                values = {pair.key: pair.value for pair in status.values}
                line = {"level": status.level[0], "message": status.message, "values": values}
                self._append("diagnostics.jsonl", line)

    def _append(self, name: str, line: dict[str, Any]) -> None:
        path = self._folder / name
        with writing(path), path.open("a") as stream:
            stream.write(json.dumps(line) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Record until a signal: status 0; status 2 for a folder that cannot be written."""
    given = list(sys.argv if arguments is None else ["record_labels", *arguments])
    parser = argparse.ArgumentParser(prog="record_labels", description="Write labels to files.")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--node", default="perception_node", help="its name (%(default)s)")
    options = parser.parse_args(remove_ros_args(given)[1:])
    rclpy.init(args=given)
    status = 0
    try:
        rclpy.spin(LabelRecorder(options.folder, options.node))
    except InputError as error:
        print(f"record_labels: {error}", file=sys.stderr)
        status = 2
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    rclpy.try_shutdown()
    sys.exit(status)


def _stamp(header: Header) -> int:
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


if __name__ == "__main__":
    main()
