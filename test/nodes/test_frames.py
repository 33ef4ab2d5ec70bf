"""Up from how a sensor is mounted, against URDF's convention and ROS's own conversions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from otoc_ros.nodes.frames import up_of_rotation, up_of_rpy


def test_up_of_mounted_sensors() -> None:
    np.testing.assert_allclose(up_of_rpy((0, 0, 1.2)), [0, 0, 1], atol=1e-12)
    # roll turns about x: a sensor on its left side has gravity's up on its y axis
    np.testing.assert_allclose(up_of_rpy((np.pi / 2, 0, 0)), [0, 1, 0], atol=1e-12)
    # pitch about y, positive is nose down: up moves to where the sensor looks from
    np.testing.assert_allclose(up_of_rpy((0, np.pi / 2, 0)), [-1, 0, 0], atol=1e-12)
    # the optical frame of a level camera, as every URDF has it: up is -y
    np.testing.assert_allclose(up_of_rpy((-np.pi / 2, 0, -np.pi / 2)), [0, -1, 0], atol=1e-12)


def test_rotations_agree_with_tf_transformations() -> None:
    tf = pytest.importorskip("tf_transformations", reason="comes with a ROS 2 installation")
    for rpy in np.random.default_rng(0).uniform(-3, 3, (20, 3)):
        quaternion = tf.quaternion_from_euler(*rpy)
        expected = tf.quaternion_matrix(quaternion)[2, :3]
        np.testing.assert_allclose(up_of_rpy(rpy), expected, atol=1e-9)
        np.testing.assert_allclose(
            up_of_rotation(Rotation.from_quat(quaternion)), expected, atol=1e-9
        )
