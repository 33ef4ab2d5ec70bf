"""A ray finds the point that a person sees under the mouse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.annotate.clip import Box
from otoc_ros.annotate.picking import RayPicker

STEP = 0.02


def sheet(z: float) -> np.ndarray:
    """A level surface of 2 m with a point every 2 cm."""
    x, y = np.meshgrid(np.arange(-1, 1, STEP), np.arange(-1, 1, STEP))
    return np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z)]).astype(np.float32)


LAYERS = np.concatenate([sheet(0.0), sheet(0.5), sheet(1.0)])
PICKER = RayPicker(LAYERS, STEP)


@settings(max_examples=60, deadline=None)
@given(
    target=st.tuples(*[st.floats(-0.8, 0.8)] * 2),
    origin=st.tuples(*[st.floats(-2, 2)] * 2),
    height=st.floats(2, 30),
)
def test_first_surface_is_hit_where_the_ray_meets_it(
    target: tuple[float, float], origin: tuple[float, float], height: float
) -> None:
    aim = np.array([*target, 1.0])
    start = np.array([*origin, height])
    row = PICKER.pick(start, aim - start)
    assert row is not None
    assert LAYERS[row, 2] == 1.0
    slant = np.linalg.norm(aim - start) / (height - 1.0)
    assert np.linalg.norm(LAYERS[row] - aim) < 1.5 * STEP * slant


def below(z: float) -> Box:
    return (-np.inf, np.inf), (-np.inf, np.inf), (-np.inf, z)


def test_hidden_points_are_not_hit() -> None:
    row = PICKER.pick((0.3, 0.2, 5.0), (0, 0, -1), below(0.7))
    assert row is not None and LAYERS[row].tolist() == pytest.approx([0.3, 0.2, 0.5], abs=STEP)
    assert PICKER.pick((0.3, 0.2, 5.0), (0, 0, -1), below(-1)) is None


def test_from_within_and_along_an_axis() -> None:
    row = PICKER.pick((0.0, 0.0, 0.75), (0, 0, -1))
    assert row is not None and LAYERS[row, 2] == 0.5
    row = PICKER.pick((-5.0, 0.0, 0.5), (2, 0, 0))
    assert row is not None and LAYERS[row, 0] == -1.0


def test_nothing_is_hit_beside_the_points_or_behind() -> None:
    assert PICKER.pick((3.0, 0.0, 5.0), (0, 0, -1)) is None
    assert PICKER.pick((0.0, 0.0, 5.0), (0, 0, 1)) is None


@pytest.mark.parametrize("direction", [(0, 0, 0), (np.nan, 0, 1), (np.inf, 0, 0)])
def test_no_ray_hits_nothing(direction: tuple[float, float, float]) -> None:
    assert PICKER.pick((0, 0, 5), direction) is None
    assert PICKER.pick((np.nan, 0, 0), (0, 0, 1)) is None


def test_a_wider_ray_finds_points_that_lie_apart() -> None:
    sparse = RayPicker(sheet(0.0)[::5], STEP)  # rows of points 10 cm apart
    assert sparse.pick((0.05, 0.017, 3.0), (0, 0, -1)) is not None


def test_the_point_nearest_to_the_ray_is_taken() -> None:
    rng = np.random.default_rng(0)
    for x, y in rng.uniform(-0.9, 0.9, (20, 2)):
        row = PICKER.pick((x, y, 5.0), (0, 0, -1))
        assert row is not None and np.abs(LAYERS[row, :2] - [x, y]).max() <= 0.51 * STEP


def test_along_the_very_edge_of_the_box_around_the_points() -> None:
    points = np.array([[0, 0, 0], [4, 4, 0]], np.float32)
    assert RayPicker(points, 1.0).pick((-1.0, 0.0, 5.0), (0, 0, -1)) == 0
