import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otoc_ros.core.cloud import Cloud, estimate_up, rotation_to_z
from otoc_ros.core.errors import InputError


def plane(rng, corner, first, second, count):
    """Points on a parallelogram with 2 mm of noise."""
    a, b = rng.random((2, count, 1))
    return corner + a * np.array(first) + b * np.array(second) + rng.normal(0, 0.002, (count, 3))


def cluttered_room(rng):
    """A 4 x 5 m room, z up, whose floor was hardly seen: walls, a cabinet, a sloped back."""
    return np.concatenate(
        [
            plane(rng, [0, 0, 0], [4, 0, 0], [0, 0, 2.5], 9000),
            plane(rng, [0, 0, 0], [0, 5, 0], [0, 0, 2.5], 9000),
            plane(rng, [1, 1, 0], [1, 0, 0], [0, 0, 1], 3000),
            plane(rng, [1, 1, 1], [1, 0, 0], [0, 0.5, 0], 1500),
            plane(rng, [2, 3, 0.4], [0.8, 0, 0], [0, 0.2, 0.6], 2500),
            plane(rng, [3, 3, 0], [1, 0, 0], [0, 1, 0], 2000),
        ]
    )


def degrees_between(a, b):
    return np.degrees(np.arccos(np.clip(np.dot(a, b), -1, 1)))


def tilted(axis, degrees):
    """A rotation by an angle about an axis (Rodrigues)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@pytest.mark.parametrize("degrees", [0.0, 3.0, 15.0])
def test_up_of_a_cluttered_room(degrees):
    room = cluttered_room(np.random.default_rng(0))
    rotation = tilted([1, 0.4, 0], degrees)
    up = estimate_up(room @ rotation.T + [137.2, -55.1, 9.9])
    assert degrees_between(up, rotation @ [0, 0, 1]) < 0.5


@pytest.mark.parametrize("pitch", [-20.0, 0.0, 20.0, 45.0])
def test_up_of_a_camera_view(pitch):
    # Floor, back wall and side wall as a camera 1.5 m high sees them; level optical frame first.
    rng = np.random.default_rng(1)
    level = np.concatenate(
        [
            plane(rng, [-2, 1.5, 0.5], [4, 0, 0], [0, 0, 3], 8000),
            plane(rng, [-2, 1.5, 3.5], [4, 0, 0], [0, -2.5, 0], 8000),
            plane(rng, [-2, 1.5, 1], [0, 0, 2.5], [0, -2.5, 0], 6000),
        ]
    )
    rotation = tilted([1, 0, 0], pitch)
    view = level @ rotation.T
    inside = (view[:, 2] > 0.2) & (np.abs(view[:, :2]) < 0.8 * view[:, 2:]).all(1)
    assert degrees_between(estimate_up(view[inside]), rotation @ [0, -1, 0]) < 1


def test_up_when_only_walls_are_seen():
    rng = np.random.default_rng(2)
    wall = plane(rng, [-1.5, -1, 3], [3, 0, 0.5], [0, 2, 0], 8000)
    assert degrees_between(estimate_up(wall), [0, -1, 0]) < 1


def test_up_without_any_surface():
    assert estimate_up(np.array([[0.0, 0.0, -1.0]])).tolist() == [0, 0, 1]
    assert estimate_up(np.array([[0.0, 0.0, 1.0]] * 5)).tolist() == [0, -1, 0]
    line = np.linspace(0, 1, 50)[:, None] * [1.0, 2.0, -1.0]
    assert np.isclose(np.linalg.norm(estimate_up(line)), 1)


def test_up_ignores_missing_returns_and_needs_one():
    room = cluttered_room(np.random.default_rng(0))
    holes = np.concatenate([room, np.full((500, 3), np.nan), np.full((5, 3), np.inf)])
    np.testing.assert_array_equal(estimate_up(room), estimate_up(holes))
    with pytest.raises(InputError, match="finite"):
        estimate_up(np.full((4, 3), np.nan))


def test_up_of_the_tabletop_recordings_is_the_table_normal(recordings):
    files = sorted((recordings / "tabletop").glob("*.npz"))
    assert len(files) == 45
    for file in files:
        frame = np.load(file)
        table = frame["xyz"][frame["part"] < 10].astype(np.float64)
        for _ in range(5):  # drop what was labelled table but lies off its plane
            normal = np.linalg.eigh(np.cov(table.T))[1][:, 0]
            height = table @ normal
            table = table[np.abs(height - np.median(height)) < 0.01]
        normal *= -np.sign(normal[1])
        assert degrees_between(estimate_up(frame["xyz"]), normal) < 0.5, file.name


directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3)


@given(directions)
@example((0.0, 2e-05, -1.0))
@example((1e-06, 0.0, -1.0))
@example((1e-300, 0.0, -1.0))
@settings(max_examples=200, deadline=None)
def test_rotation_to_z_is_the_smallest_rotation(up):
    unit = np.array(up) / np.linalg.norm(up)
    rotation = rotation_to_z(np.array(up))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-7)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-7)
    np.testing.assert_allclose(rotation @ unit, [0, 0, 1], atol=1e-7)
    turned = np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))
    np.testing.assert_allclose(turned, np.arccos(np.clip(unit[2], -1, 1)), atol=1e-3)


@pytest.mark.parametrize("up", [[0, 0, 0], [np.nan, 0, 1], [1, 2]])
def test_rotation_to_z_names_a_bad_up(up):
    with pytest.raises(InputError, match="up is"):
        rotation_to_z(np.array(up))


def test_rotation_to_z_of_straight_down():
    np.testing.assert_allclose(rotation_to_z(np.array([0, 0, -2.0])) @ [0, 0, -1], [0, 0, 1])


def test_cloud_checks_shapes():
    with pytest.raises(InputError, match="rgb has 2 rows but xyz has 3"):
        Cloud(np.zeros((3, 3)), np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"xyz of a cloud has shape \(3, 2\)"):
        Cloud(np.zeros((3, 2)))
    assert len(Cloud(np.zeros((3, 3)), np.zeros((3, 3))).take(np.array([True, False, True]))) == 2
