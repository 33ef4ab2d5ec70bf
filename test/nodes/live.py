"""A probe that speaks to real nodes over DDS, in a domain of this test run alone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before rclpy reads them: nobody else's nodes, and nothing leaves this machine.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from otoc_ros.core.cloud import Cloud
from otoc_ros.core.pointcloud2 import encode_colours
from otoc_ros.nodes.clouds import cloud_message

PATIENCE = 120.0  # seconds; a machine under load is slow, not wrong

ASK_AGAIN = 0.5  # seconds


class Probe(Node):
    """The other end: publishes clouds, keeps what the node sends, calls its services."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.points = self.create_publisher(PointCloud2, "points", 10)
        self.clicks = self.create_publisher(PointStamped, "clicked_point", 10)
        self.click_class = self.create_publisher(String, "/perception_node/click_class", 10)
        self.labels: list[PointCloud2] = []
        self.markers: list[MarkerArray] = []
        self.supervoxels: list[PointCloud2] = []
        self.diagnostics: list[DiagnosticArray] = []
        self.infos: list[dict[str, Any]] = []
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, 10)
        self.create_subscription(
            String,
            "/perception_node/label_info_json",
            lambda message: self.infos.append(json.loads(message.data)),
            latched,
        )

    def listen(self) -> None:
        """Subscribe to everything a labelled cloud leads to."""
        name = "/perception_node"
        self.create_subscription(PointCloud2, f"{name}/labels", self.labels.append, 20)
        self.create_subscription(MarkerArray, f"{name}/markers", self.markers.append, 20)
        self.create_subscription(PointCloud2, f"{name}/supervoxels", self.supervoxels.append, 20)

    def wait(self, until: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """What `until` says once it is true; fails the test when that takes too long."""
        end = time.monotonic() + timeout
        while not (answer := until()):
            assert time.monotonic() < end, f"waited {timeout} s for {what}"
            rclpy.spin_once(self, timeout_sec=0.05)
        return answer

    def publish(self, message: PointCloud2) -> None:
        """Send one cloud to a node that is listening."""
        self.wait(self.points.get_subscription_count, "the node to subscribe to points")
        self.points.publish(message)

    def click(self, position: Any, frame: str = "camera", stamp: Any = None) -> None:
        """Click as RViz's tool does: stamped with the present, where no stamp is given."""
        self.wait(self.clicks.get_subscription_count, "the node to subscribe to clicks")
        message = PointStamped(header=Header(frame_id=frame))
        message.header.stamp = stamp or self.get_clock().now().to_msg()
        message.point.x, message.point.y, message.point.z = map(float, position)
        self.clicks.publish(message)

    def call(self, kind: Any, service: str, request: Any) -> Any:
        """The answer of one of the node's services."""
        client = self.create_client(kind, f"/perception_node/{service}")
        self.wait(client.service_is_ready, service)
        future = client.call_async(request)
        self.wait(future.done, f"an answer of {service}")
        self.destroy_client(client)
        return future.result()

    def change(self, transition: int) -> bool:
        """Request a lifecycle transition; whether it succeeded."""
        request = ChangeState.Request()
        request.transition.id = transition
        return bool(self.call(ChangeState, "change_state", request).success)

    def state(self) -> int:
        """The lifecycle state of the node."""
        return int(self.call(GetState, "get_state", GetState.Request()).current_state.id)

    def wait_active(self) -> None:
        """Return when the node is ready for clouds.

        Asks again when no answer comes: a service does not know a client yet that has just come,
        and DDS drops what it answers then.
        """
        client = self.create_client(GetState, "/perception_node/get_state")
        asked: list[Any] = []
        sent = 0.0

        def active() -> bool:
            nonlocal sent
            if client.service_is_ready() and time.monotonic() - sent > ASK_AGAIN:
                asked.append(client.call_async(GetState.Request()))
                sent = time.monotonic()
            states = [each.result().current_state.id for each in asked if each.done()]
            return State.PRIMARY_STATE_ACTIVE in states

        self.wait(active, "the node to become active")
        self.destroy_client(client)

    def set_string(self, name: str, value: str) -> Any:
        """Set a string parameter of the node."""
        given = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=given)])
        return self.call(SetParameters, "set_parameters", request).results[0]

    def trigger(self, service: str) -> Any:
        """The answer of a std_srvs/Trigger service of the node."""
        return self.call(Trigger, service, Trigger.Request())

    def status(self) -> tuple[int, str, dict[str, str]]:
        """Level, message and values of diagnostics that were made after this was called."""
        seen = len(self.diagnostics)
        # The first to come may have been under way.
        self.wait(lambda: len(self.diagnostics) > seen + 1, "diagnostics")
        status = self.diagnostics[-1].status[0]
        return status.level[0], status.message, {pair.key: pair.value for pair in status.values}


class Process:
    """A node that runs, and what it logged."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.popen = popen
        self._log = log

    def log(self) -> str:
        return self._log.read_text()

    def end(self, number: int, timeout: float = PATIENCE) -> int:
        """Send a signal and return the exit status."""
        self.popen.send_signal(number)
        return self.popen.wait(timeout)


def as_message(cloud: Cloud, shape: tuple[int, int] | None = None) -> PointCloud2:
    """What a camera publishes of a cloud."""
    assert cloud.rgb is not None
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = divmod(time.time_ns(), 10**9)
    return cloud_message(
        header, encode_colours(cloud.xyz, cloud.rgb), shape or (1, len(cloud)), is_dense=False
    )
