"""Which way is up in a cloud's frame, and where a click lies in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import Rotation

from otoc_ros.core.errors import InputError

try:
    import tf2_ros
except ImportError:  # a ROS 2 without TF serves as long as no target_frame is asked for
    tf2_ros = None

# (target frame, source frame, nanoseconds, timeout in seconds) -> T_target_source, float64 [4, 4];
# raises InputError where TF cannot say.
Lookup = Callable[[str, str, int, float], NDArray[np.float64]]


def up_of_rpy(rpy: Sequence[float]) -> NDArray[np.float64]:
    """Up [3] in a sensor mounted with roll, pitch, yaw (radians, fixed axes, as in URDF)."""
    return up_of_pose(Rotation.from_euler("xyz", rpy).as_matrix())


def up_of_pose(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Up [3] in a cloud's frame, given T [3, 3] or [4, 4] into a frame whose z points up."""
    return pose[2, :3]


def position_in(
    click: Any, frame: str, stamp: int, lookup: Lookup | None, timeout: float
) -> NDArray[np.float64]:
    """Position [3] of a geometry_msgs/PointStamped in the frame of the cloud it was made on.

    Args:
        frame, stamp: of the cloud; nanoseconds. The click's own stamp is when the person clicked,
            when the sensor may have moved on.
        lookup: None: there is no TF.
        timeout: seconds to wait for TF.

    Raises:
        InputError: the click is in another frame, and TF cannot say how that lies.
    """
    point = np.array([click.point.x, click.point.y, click.point.z])
    source = click.header.frame_id
    if source in ("", frame):
        return point
    if lookup is None:
        raise InputError(
            f"the click is in frame {source!r} and the clouds are in {frame!r}: set target_frame, "
            f"so that TF is listened to, or RViz's fixed frame to {frame!r}"
        )
    transform = lookup(frame, source, stamp, timeout)
    moved: NDArray[np.float64] = transform[:3, :3] @ point + transform[:3, 3]
    return moved


class TransformTree:
    """Looks up transforms at exactly the stamps of clouds.

    Raises:
        InputError: tf2_ros is not installed.
    """

    def __init__(self, node: Node, target_frame: str) -> None:
        if tf2_ros is None:
            raise InputError(
                f"target_frame is {target_frame!r} but tf2_ros is not installed; install "
                "ros-$ROS_DISTRO-tf2-ros-py or set target_frame to '' (sensor_rpy or estimated up)"
            )
        self._target = target_frame
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def pose(self, header: Any, timeout: float) -> NDArray[np.float64]:
        """T_target_cloud [4, 4] of a message's header; waits for TF at most `timeout` seconds.

        Raises:
            InputError: TF cannot say: never answered by the identity, which would be wrong labels.
        """
        stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
        return self.lookup(self._target, header.frame_id, stamp, timeout)

    def lookup(self, target: str, source: str, stamp: int, timeout: float) -> NDArray[np.float64]:
        """T_target_source at a stamp, see `Lookup`."""
        try:
            found = self._buffer.lookup_transform(
                target,
                source,
                Time(nanoseconds=stamp, clock_type=ClockType.ROS_TIME),
                timeout=Duration(nanoseconds=round(timeout * 1e9)),
            ).transform
        except (tf2_ros.TransformException, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"no transform from {source!r} to {target!r} at the cloud's stamp within "
                f"{timeout} s ({reason}); check /tf or clear target_frame"
            ) from error
        matrix = np.eye(4)
        q, shift = found.rotation, found.translation
        matrix[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
        matrix[:3, 3] = shift.x, shift.y, shift.z
        return matrix

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()
