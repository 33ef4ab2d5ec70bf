import numpy as np
from small_site import make_small_site

from offline_training.reach import Look, click_reach, nothing_reached
from offline_training.scenes import TrainingScene, load_scene, voxel_truth
from offline_training.self_training import preprocessing
from otoc_ros.core.cloud import Cloud
from otoc_ros.core.growth import touching
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
    prepared, sensors = grey_box_on_a_grey_floor()
    edges = touching(prepared).tocoo()
    look = Look.of(prepared, sensors)
    step = look.step(edges.row, edges.col)
    level = look.direction[:, 2]  # 1 on the floor and on top of the box, 0 on its sides
    height = look.center[:, 2] + prepared.grid.origin[2]
    side = (level < 0.3) & (height > 0.05) & (height < 0.55)
    floor, top = (level > 0.7) & (height < 0.05), (level > 0.7) & (height > 0.55)
    over_edge = side[edges.row] & top[edges.col]
    into_crease = side[edges.row] & floor[edges.col]
    assert over_edge.sum() > 3 and into_crease.sum() > 3
    assert step[into_crease].mean() > 1.25 * step[over_edge].mean()
    # Where nobody knows who saw the sides, an edge is as good as a crease.
    blind = Look.of(prepared, sensors[:0]).step(edges.row, edges.col)
    assert step[into_crease].mean() > blind[into_crease].mean() + 0.02
    assert step[over_edge].mean() < blind[over_edge].mean() + 0.002


def test_without_clicks_every_class_is_as_near():
    prepared, _ = grey_box_on_a_grey_floor()
    scene = TrainingScene("s", prepared, (), ())
    nothing = nothing_reached(scene, 3)
    reached = click_reach(scene, touching(prepared), np.array([False, True, True]))
    np.testing.assert_allclose(nothing, reached, atol=1e-6)
    np.testing.assert_allclose(np.exp(nothing).sum(axis=1), 1, atol=1e-6)
