"""The node's publishers, each of which costs something only while somebody listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.nodes import label_info, messages
from otoc_ros.perception import LabelledCloud
from otoc_ros.site.bundle import BundleInfo
from otoc_ros.site.classes import ClassInfo

# Reliable serves subscribers of either kind. Some clouds are kept because one of several megabytes
# that lost a fragment on its way is repaired only after the next ones were sent.
RECENT = QoSProfile(
    depth=5, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
)
LATCHED = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


class Outputs:
    """Publishers of one configured node; they are silent unless it is active."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._labels = node.create_lifecycle_publisher(PointCloud2, "~/labels", RECENT)
        self._supervoxels = node.create_lifecycle_publisher(PointCloud2, "~/supervoxels", RECENT)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/markers", RECENT)
        self._info_json = node.create_lifecycle_publisher(String, "~/label_info_json", LATCHED)
        self._info: Any = None
        self._said = ""
        if label_info.LabelInfo is not None:
            self._info = node.create_lifecycle_publisher(
                label_info.LabelInfo, "~/label_info", LATCHED
            )

    def watched(self) -> bool:
        """Whether anybody wants what a cloud is labelled for."""
        return any(
            publisher.get_subscription_count()
            for publisher in (self._labels, self._markers, self._supervoxels)
        )

    def publish(
        self,
        source: PointCloud2,
        cloud: Cloud,
        labelled: LabelledCloud,
        classes: Sequence[ClassInfo],
        marker_lifetime: float,
    ) -> None:
        """Send the labels of one cloud to those who listen.

        Args:
            source: header and shape of the cloud. classes: by class id.
            marker_lifetime: seconds.
        """
        if self._labels.get_subscription_count():
            self._labels.publish(messages.labels_message(source, cloud, labelled, classes))
        if self._markers.get_subscription_count():
            markers = messages.markers_message(source, labelled, classes, marker_lifetime)
            self._markers.publish(markers)
        if self._supervoxels.get_subscription_count():
            self._supervoxels.publish(messages.supervoxels_message(source, cloud, labelled))

    def publish_label_info(self, info: BundleInfo, classes: Sequence[ClassInfo]) -> None:
        """Say what the class ids mean, also to those who subscribe later; once for each table."""
        text = messages.label_info_json(info, classes)
        if text == self._said:
            return
        self._said = text
        self._info_json.publish(String(data=text))
        if self._info is not None:
            now = self._node.get_clock().now().to_msg()
            self._info.publish(label_info.label_info(classes, now))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._labels, self._supervoxels, self._markers, self._info_json):
            self._node.destroy_lifecycle_publisher(publisher)
        if self._info is not None:
            self._node.destroy_lifecycle_publisher(self._info)
