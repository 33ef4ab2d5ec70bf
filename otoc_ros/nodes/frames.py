"""Which way is up in a cloud's frame: from TF, or from how the sensor is mounted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from scipy.spatial.transform import Rotation

from otoc_ros.core.errors import InputError

try:
    import tf2_ros
except ImportError:  # a ROS 2 without TF serves as long as no target_frame is asked for
    tf2_ros = None


def up_of_rpy(rpy: Sequence[float]) -> NDArray[np.float64]:
    """Up [3] in a sensor mounted with roll, pitch, yaw (radians, fixed axes, as in URDF)."""
    return up_of_rotation(Rotation.from_euler("xyz", rpy))


def up_of_rotation(target_from_cloud: Rotation) -> NDArray[np.float64]:
    """Up [3] in a cloud's frame, given its rotation into a frame whose z points up."""
    up: NDArray[np.float64] = target_from_cloud.as_matrix()[2]
    return up


class TransformTree:
    """Looks up the rotation of clouds into one frame, at exactly their stamps.

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

    def up(self, header: Any, timeout: float) -> NDArray[np.float64]:
        """Up [3] in the frame of a message's header; waits for TF at most `timeout` seconds.

        Raises:
            InputError: TF cannot say: never answered by the identity, which would be wrong labels.
        """
        try:
            found = self._buffer.lookup_transform(
                self._target,
                header.frame_id,
                Time.from_msg(header.stamp),
                timeout=Duration(nanoseconds=round(timeout * 1e9)),
            )
        except (tf2_ros.TransformException, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"no transform from {header.frame_id!r} to {self._target!r} at the cloud's stamp "
                f"within {timeout} s ({reason}); check /tf or clear target_frame"
            ) from error
        q = found.transform.rotation
        return up_of_rotation(Rotation.from_quat([q.x, q.y, q.z, q.w]))

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()
