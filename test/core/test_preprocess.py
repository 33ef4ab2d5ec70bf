import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from otoc_ros.core.cloud import Cloud, rotation_to_z
from otoc_ros.core.errors import InputError
from otoc_ros.core.preprocess import (
    Preprocessing,
    brightness_deviation,
    preprocess,
    warm_up,
)
from otoc_ros.core.voxels import voxelize

SETTINGS = Preprocessing(voxel_size=0.05)


def room(rng, count=20000):
    """Floor, two walls and a table top, z up, in millimetres of a 1/1024 m raster."""
    a, b = rng.random((2, count))
    which = rng.integers(0, 4, count)
    xyz = np.select(
        [which[:, None] == i for i in range(4)],
        [
            np.c_[4 * a, 3 * b, 0 * a],
            np.c_[4 * a, 0 * a, 2.5 * b],
            np.c_[0 * a, 3 * a, 2.5 * b],
            np.c_[1 + a, 1 + b, 0 * a + 0.75],
        ],
    )
    rgb = np.array([[120, 90, 60], [200, 200, 190], [180, 190, 200], [90, 60, 40]])[which]
    return Cloud(np.round(xyz * 1024) / 1024, rgb)


def test_every_point_gets_its_voxel_and_comes_back():
    cloud = room(np.random.default_rng(0))
    xyz = cloud.xyz.copy()
    xyz[::7] = np.nan
    xyz[3] = np.inf
    done = preprocess(Cloud(xyz, cloud.rgb), SETTINGS)
    dropped = ~np.isfinite(xyz).all(1)
    assert ((done.voxel_of_point == -1) == dropped).all()
    voxels = len(done.grid.coords)
    assert done.features.shape == (voxels, 10)
    assert done.supervoxel.max() + 1 == done.n_supervoxels == len(np.unique(done.supervoxel))
    for array in (done.xyz, done.rgb, done.normal, done.features):
        assert array.dtype == np.float32 and len(array) == voxels and np.isfinite(array).all()
    back = done.to_points(done.xyz + done.grid.origin, np.nan)
    aligned = xyz[~dropped] @ done.rotation.T
    assert np.abs(back[~dropped] - aligned).max() < 0.05
    assert np.isnan(back[dropped]).all()
    assert (done.to_points(done.supervoxel, -1)[dropped] == -1).all()


def test_features_say_what_they_are_named():
    done = preprocess(room(np.random.default_rng(0)), SETTINGS)
    one, red, green, blue, height, upness, *inner, texture = done.features.T
    assert (one == 1).all()
    np.testing.assert_allclose(np.stack([red, green, blue], 1), done.rgb - 0.5)
    np.testing.assert_allclose(height, done.xyz[:, 2] / 2 - 0.5, atol=0.02)
    table = (np.abs(done.xyz[:, 2] - 0.75) < 0.02) & (done.xyz[:, :2] > 1.2).all(1)
    assert upness[table & (done.xyz[:, :2] < 1.8).all(1)].min() > 0.95
    assert height.min() == -0.5
    middle = (done.grid.coords + 0.5) * SETTINGS.voxel_size
    np.testing.assert_allclose(
        np.stack(inner, 1), (done.xyz - middle) / SETTINGS.voxel_size, atol=1e-4
    )
    assert 0.2 < np.abs(inner).max() <= 0.5 + 1e-4
    assert texture.min() == 0 < texture.max()


def test_brightness_deviates_from_its_mean_in_each_voxel():
    xyz = np.array([[0.01, 0.01, 0.01]] * 3 + [[0.9, 0.9, 0.9]])
    rgb = np.array([[0, 30, 60], [90, 90, 90], [20, 30, 40], [255, 0, 7]], np.uint8)
    deviation = brightness_deviation(rgb, voxelize(xyz, 0.05))
    np.testing.assert_allclose(deviation, [np.std([30, 90, 30], ddof=1), 0], rtol=1e-6)


def test_colourless_clouds_have_zero_colour_features():
    cloud = room(np.random.default_rng(0))
    done = preprocess(Cloud(cloud.xyz), SETTINGS)
    assert done.rgb is None
    assert not done.features[:, [1, 2, 3, 9]].any()


def test_a_subset_of_features_keeps_its_order():
    settings = Preprocessing(voxel_size=0.05, features=("upness", "one"))
    done = preprocess(room(np.random.default_rng(0)), settings)
    assert (done.features[:, 1] == 1).all()
    np.testing.assert_array_equal(done.features[:, 0], done.normal[:, 2] ** 2)


def test_a_shift_of_the_cloud_changes_nothing():
    cloud = room(np.random.default_rng(1))
    shift = np.array([137.25, -55.125, 9.875])  # exact in float32, like the points
    here = preprocess(cloud, SETTINGS)
    there = preprocess(Cloud(cloud.xyz + shift, cloud.rgb), SETTINGS)
    np.testing.assert_array_equal(there.features, here.features)
    np.testing.assert_array_equal(there.supervoxel, here.supervoxel)
    np.testing.assert_array_equal(there.voxel_of_point, here.voxel_of_point)
    np.testing.assert_allclose(there.grid.origin - here.grid.origin, here.rotation @ shift)


def test_up_turns_the_cloud_and_is_estimated_when_not_given():
    cloud = room(np.random.default_rng(2))
    pitch = rotation_to_z(np.array([0.1, -0.3, 1.0]))
    turned = Cloud(cloud.xyz @ pitch, cloud.rgb)
    up = pitch.T @ [0, 0, 1]
    given_up = preprocess(turned, SETTINGS, up)
    np.testing.assert_allclose(given_up.rotation @ up, [0, 0, 1], atol=1e-12)
    estimated = preprocess(turned, SETTINGS)
    assert (estimated.rotation @ up)[2] > np.cos(np.radians(0.5))


@given(st.integers(0, 999), st.integers(1, 200), st.booleans())
@settings(max_examples=30, deadline=None)
def test_any_cloud_with_a_finite_point(seed, count, flat):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(0, 3, (count, 3))
    xyz[:, 2] *= not flat
    xyz[rng.random(count) < 0.3] = np.nan
    xyz[0] = 100.0
    done = preprocess(Cloud(xyz), SETTINGS)
    assert (done.to_points(done.supervoxel, -1) >= 0).sum() == np.isfinite(xyz).all(1).sum()
    assert np.isfinite(done.features).all()


@pytest.mark.parametrize("count", [0, 5])
def test_a_cloud_without_finite_points_is_named(count):
    with pytest.raises(InputError, match=f"none of the cloud's {count} points is finite"):
        preprocess(Cloud(np.full((count, 3), np.nan)), SETTINGS)


def test_settings_survive_json_and_reject_what_they_do_not_know():
    assert SETTINGS.supervoxel_size == pytest.approx(1.1 * 0.05**0.5)
    assert Preprocessing.model_validate_json(SETTINGS.model_dump_json()) == SETTINGS
    for wrong in (
        {},
        {"voxel_size": "wide"},
        {"voxel_size": -0.05},
        {"voxel_size": 0},
        {"voxel_size": 0.05, "supervoxel_size": -1},
        {"voxel_size": 0.05, "features": ("curvature",)},
        {"voxel_size": 0.05, "voxels": 3},
    ):
        with pytest.raises(ValidationError):
            Preprocessing(**wrong)


def test_warm_up_leaves_nothing_to_compile():
    from otoc_ros.core import fusion, supervoxels

    warm_up()
    compiled_before = [len(f.signatures) for f in (fusion.fuse, supervoxels._describe)]
    preprocess(room(np.random.default_rng(0)), SETTINGS)
    preprocess(Cloud(room(np.random.default_rng(0)).xyz), SETTINGS)
    assert [len(f.signatures) for f in (fusion.fuse, supervoxels._describe)] == compiled_before


def test_recorded_frames(recordings):
    frame = np.load(recordings / "tabletop" / "learn0.npz")
    done = preprocess(Cloud(frame["xyz"], frame["rgb"]), Preprocessing(voxel_size=0.005))
    table = done.to_points(done.xyz[:, 2], np.nan)[frame["part"] < 10]
    assert np.percentile(np.abs(table - np.median(table)), 90) < 0.01
    upness = done.to_points(done.features[:, 5], 0)[frame["part"] < 10]
    assert np.median(upness) > 0.97
