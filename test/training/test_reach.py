import numpy as np
import pytest
from small_site import make_small_site

from offline_training.behind import surfaces_behind
from offline_training.reach import click_reach, nothing_reached
from offline_training.scenes import Mark, TrainingScene, load_scene, voxel_truth
from offline_training.self_training import preprocessing
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.growth import touching
from otoc_ros.core.look import Look
from otoc_ros.core.preprocess import Preprocessing, preprocess


def test_clicks_alone_reach_most_of_their_objects(tmp_path):
    site = make_small_site(tmp_path / "site", train=2, val=0)
    for scene in site.scenes():
        loaded = load_scene(scene, preprocessing(site))
        truth = voxel_truth(scene, loaded.prepared).semantic
        reach = click_reach(loaded, touching(loaded.prepared), np.array([False, True, True]))
        np.testing.assert_allclose(np.exp(reach).sum(axis=1), 1, atol=1e-5)
        # Whether a place is a thing at all is left to the networks: stuff is never far.
        best = 1 + reach[:, 1:].argmax(axis=1)[loaded.prepared.supervoxel]
        things = truth > 0
        assert (best == truth)[things].mean() > 0.8  # each of two classes by chance: 0.5
        for mark in loaded.marks:
            assert reach[mark.supervoxel, mark.class_id] == reach[mark.supervoxel].max()


def grey_box_on_a_grey_floor():
    """Super-voxels of a scene where no colour tells anything, and four places that saw it."""
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-1.5, 1.5, (40_000, 2)), np.zeros(40_000)])
    floor = floor[np.abs(floor[:, :2]).max(axis=1) > 0.4]
    box = rng.uniform(-1, 1, (16_000, 3))
    box /= np.abs(box).max(axis=1, keepdims=True)
    box = box[box[:, 2] > -1] * [0.4, 0.4, 0.3] + [0, 0, 0.3]
    xyz = np.concatenate([floor, box]).astype(np.float32)
    grey = np.full((len(xyz), 3), 128, np.uint8)
    prepared = preprocess(Cloud(xyz, grey), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))
    corners = np.array([[-1.4, -1.4, 1.5], [1.4, -1.4, 1.5], [-1.4, 1.4, 1.5], [1.4, 1.4, 1.5]])
    return prepared, (corners - prepared.grid.origin).astype(np.float32)


def test_a_step_into_a_crease_costs_more_than_one_over_an_edge():
    # A floor, a wall on it; the top of a box, and its side: each pair turns by 90 degrees.
    center = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]], np.float32)
    facing = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    x, y, z = facing.T
    look = Look(
        center=center,
        direction=np.column_stack([x * x, y * y, z * z, x * y, x * z, y * z]),
        facing=facing,
        ratio=np.ones((4, 3), np.float32),
        brightness=np.full(4, 0.5, np.float32),
        area=np.ones(4),
        voxel_size=0.05,
        size=0.2,
    )
    crease, edge = look.step(np.array([0, 2], np.int32), np.array([1, 3], np.int32))
    assert crease > edge + 0.1 > 0.1
    assert look.step(np.array([1], np.int32), np.array([0], np.int32)) == pytest.approx(crease)


def test_surfaces_face_the_sensor_that_saw_them():
    prepared, sensors = grey_box_on_a_grey_floor()
    seen, blind = Look.of(prepared, sensors), Look.of(prepared, sensors[:0])
    outward = seen.center[:, :2] + prepared.grid.origin[:2]
    side = (seen.direction[:, 2] < 0.2) & (np.abs(outward).max(axis=1) < 0.5)
    assert side.sum() >= 4
    assert (np.sum(seen.facing[side, :2] * outward[side], axis=1) > 0).all()
    assert np.abs(blind.facing[side]).max() < 0.3  # nobody knows which side was seen
    level = seen.direction[:, 2] > 0.9
    assert (seen.facing[level, 2] > 0.8).all() and (blind.facing[level, 2] > 0.8).all()


def test_what_stands_on_a_floor_has_the_floor_behind_it():
    prepared, sensors = grey_box_on_a_grey_floor()
    look = Look.of(prepared, sensors)
    height = look.center[:, 2] + prepared.grid.origin[2]
    level = look.direction[:, 2] > 0.9
    top, floor = level & (height > 0.5), level & (height < 0.1)
    behind = surfaces_behind(prepared, look)
    assert behind[floor].max() < 0.1 and behind[top].min() > 0.4
    assert surfaces_behind(prepared, Look.of(prepared))[floor].max() < 0.1


def test_a_table_is_no_floor_though_it_is_as_grey_and_level():
    rng = np.random.default_rng(0)
    floor = np.column_stack([rng.uniform(-1.5, 1.5, (40_000, 2)), np.zeros(40_000)])
    table = np.column_stack([rng.uniform(-1, 1, 15_000), rng.uniform(-0.4, 0.4, 15_000)])
    table = np.column_stack([table, np.full(15_000, 0.3)])
    xyz = np.concatenate([floor, table]).astype(np.float32)
    grey = np.full((len(xyz), 3), 128, np.uint8)
    prepared = preprocess(Cloud(xyz, grey), Preprocessing(voxel_size=0.05), np.array([0.0, 0, 1]))
    at = prepared.xyz + prepared.grid.origin

    def click(place: tuple[float, float, float], name: int) -> Mark:
        nearest = int(((at - place) ** 2).sum(axis=1).argmin())
        return Mark("click", name, name, int(prepared.supervoxel[nearest]))

    # At the far end of the table the floor's click is the nearer one.
    marks = (click((1.3, 0.5, 0.0), 0), click((-0.8, 0.0, 0.3), 1))
    scene = TrainingScene("s", prepared, (), (), marks)
    reach = click_reach(scene, touching(prepared), np.array([False, True]))
    found = reach.argmax(axis=1)[prepared.supervoxel]
    on_table = at[:, 2] > 0.15
    assert found[on_table].mean() > 0.9 and found[~on_table].mean() < 0.02


def test_without_clicks_every_class_is_as_near():
    prepared, _ = grey_box_on_a_grey_floor()
    scene = TrainingScene("s", prepared, (), (), ())
    nothing = nothing_reached(scene, 3)
    reached = click_reach(scene, touching(prepared), np.array([False, True, True]))
    np.testing.assert_allclose(nothing, reached, atol=1e-6)
    np.testing.assert_allclose(np.exp(nothing).sum(axis=1), 1, atol=1e-6)
