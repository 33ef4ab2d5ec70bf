import numpy as np
import pytest

from otoc_ros.core.border_look import BORDER_FEATURES, describe_borders
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Preprocessing, preprocess
from otoc_ros.core.seen_borders import SEEN_FEATURES, USUAL_VOXEL, describe_seen_borders
from otoc_ros.core.view import View

UP = np.array([0.0, 0.0, 1.0])
VOXEL = 0.01
BEND, CONCAVE, COSINE, STEP, BEFORE, HEIGHT, STEEP = range(BORDER_FEATURES, BORDER_FEATURES + 7)


def plane(one, other):
    """Coordinates, 4 mm apart, within two spans."""
    axes = np.meshgrid(np.arange(*one, 0.004), np.arange(*other, 0.004))
    return (axis.ravel() for axis in axes)


def corner(inward: bool, shift=(1.0, 0.0, 0.0)) -> Cloud:
    """Two upright boards at right angles, which meet in a line; a sensor in the origin looks into
    the crease between them, or at the edge of a box."""
    across, z = plane((0, 0.3), (-0.15, 0.15))
    away = across * np.sqrt(0.5)
    deep = -away if inward else away
    boards = [np.column_stack([deep, side * away, z]) for side in (-1, 1)]
    return Cloud((np.concatenate(boards) + shift).astype(np.float32))


def middle(cloud: Cloud):
    """Features of the borders between the two boards, weighed by their lengths."""
    prepared = preprocess(cloud, Preprocessing(voxel_size=VOXEL), UP)
    pairs, length = prepared.borders.pairs, prepared.borders.length
    side = np.bincount(prepared.supervoxel, prepared.xyz[:, 1] + prepared.grid.origin[1])
    between = side[pairs[:, 0]] * side[pairs[:, 1]] < 0
    assert between.any()
    features = describe_seen_borders(prepared)
    assert features.shape == (len(pairs), SEEN_FEATURES)
    assert np.isfinite(features).all()
    return np.average(features[between], axis=0, weights=length[between]), prepared


def test_a_view_tells_a_crease_from_an_edge_between_upright_faces():
    crease, prepared = middle(corner(inward=True))
    assert View.of(prepared) is not None
    edge, _ = middle(corner(inward=False))
    assert crease[BEND] < -0.3 < 0.3 < edge[BEND]
    assert crease[CONCAVE] > 0.4
    assert edge[CONCAVE] == 0
    assert abs(crease[HEIGHT] - edge[HEIGHT]) < 0.2
    assert crease[-1] == edge[-1] == pytest.approx(np.log(VOXEL / USUAL_VOXEL), abs=1e-5)


def test_from_nowhere_upright_faces_have_no_side_and_nothing_is_before_anything():
    around = corner(inward=True, shift=(0.001, 0.0, 0.0))  # the sensor would stand in the crease
    blind, prepared = middle(around)
    assert View.of(prepared) is None
    assert blind[BEND] == blind[CONCAVE] == blind[STEP] == blind[BEFORE] == 0
    known = describe_borders(prepared, Look.of(prepared))
    np.testing.assert_array_equal(describe_seen_borders(prepared)[:, :BORDER_FEATURES], known)


def test_what_stands_before_another_is_a_step_in_range():
    y, z = plane((-0.2, 0.2), (-0.1, 0.1))
    left = y < 0
    rgb = np.where(left[:, None], (200, 40, 40), (40, 40, 200)).astype(np.uint8)

    def step(depth: float) -> tuple[float, float]:
        xyz = np.column_stack([np.where(left, 1.0, 1.0 + depth), y, z]).astype(np.float32)
        features, _ = middle(Cloud(xyz, rgb))  # colours part what is flat, too
        return features[STEP], features[BEFORE]

    flat, behind = step(0.0), step(0.015)
    assert max(flat) < 0.2
    assert min(behind) > max(flat) + 0.3
