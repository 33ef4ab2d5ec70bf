from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoc_ros.core.boxes import upright_box
from otoc_ros.core.clustering import ClusteringSettings, cluster_instances
from otoc_ros.core.preprocess import Prepared, Preprocessing
from otoc_ros.core.voxels import voxelize

VOXEL = 0.05
THING = np.array([False, True, True])  # floor, chair, table


def block(corner, shape):
    """Voxels of a box: int [N, 3]."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return grid.reshape(-1, 3) + np.array(corner)


def scene(*blocks, piece=4):
    """A cloud of blocks (voxels, class), each cut into super-voxels of piece³ voxels; offsets
    toward each block's centre; probabilities 0.9 for its class."""
    cells = np.concatenate([voxels for voxels, _ in blocks])
    owner = np.repeat(np.arange(len(blocks)), [len(voxels) for voxels, _ in blocks])
    grid = replace(voxelize(cells, 1.0), voxel_size=VOXEL)
    first = np.empty(len(grid.coords), np.int64)
    first[grid.voxel_of_point] = np.arange(len(cells))  # one point a voxel
    owner, cells = owner[first], cells[first]
    xyz = ((cells + 0.5) * VOXEL).astype(np.float32)
    centers = np.array([xyz[owner == row].mean(axis=0) for row in range(len(blocks))])
    start = np.array([voxels.min(axis=0) for voxels, _ in blocks])
    key = np.column_stack([owner, (cells - start[owner]) // piece])
    _, supervoxel = np.unique(key, axis=0, return_inverse=True)
    supervoxel = supervoxel.reshape(-1).astype(np.int32)
    label = np.zeros(supervoxel.max() + 1, np.int64)
    label[supervoxel] = np.array([name for _, name in blocks])[owner]
    probability = np.full((len(label), 3), 0.05, np.float32)
    probability[np.arange(len(label)), label] = 0.9
    prepared = Prepared(
        settings=Preprocessing(voxel_size=VOXEL),
        rotation=np.eye(3),
        grid=grid,
        voxel_of_point=np.arange(len(xyz), dtype=np.int32),
        xyz=xyz,
        rgb=None,
        normal=np.zeros_like(xyz),
        height=xyz[:, 2],
        features=xyz,
        supervoxel=supervoxel,
        n_supervoxels=len(label),
    )
    return prepared, (centers[owner] - xyz).astype(np.float32), probability, owner


def found_in(*blocks, **options):
    prepared, offset, probability, owner = scene(*blocks, **options)
    instance, objects = cluster_instances(
        prepared, offset, probability, THING, ClusteringSettings()
    )
    return [sorted(set(instance[owner == row])) for row in range(len(blocks))], objects


def test_touching_objects_of_a_class_are_told_apart_by_their_offsets():
    left, right = (block((0, 0, 0), (8, 8, 8)), 1), (block((8, 0, 0), (8, 8, 8)), 1)
    names, objects = found_in(left, right)
    assert [len(each) for each in names] == [1, 1]
    assert names[0] != names[1]
    assert [len(o.voxels) for o in objects] == [512, 512]
    assert [o.class_id for o in objects] == [1, 1]
    prepared, _, probability, _ = scene(left, right)
    to_one = (np.array([8, 4, 4]) * VOXEL - prepared.xyz).astype(np.float32)
    merged, one = cluster_instances(prepared, to_one, probability, THING, ClusteringSettings())
    assert set(merged) == {1}
    assert one[0].score > objects[0].score * 0.99


def test_offsets_that_disagree_cost_score():
    shape = (block((0, 0, 0), (8, 8, 8)), 1)
    prepared, offset, probability, _ = scene(shape)
    settled = ClusteringSettings()
    _, sure = cluster_instances(prepared, offset, probability, THING, settled)
    _, unsure = cluster_instances(prepared, offset / 2, probability, THING, settled)
    assert sure[0].score == pytest.approx(0.9, abs=0.01)
    assert unsure[0].score == pytest.approx(0.9 / (1 + 0.25), abs=0.01)


def test_offsets_that_tell_nothing_keep_nothing_apart():
    one, other = (block((0, 0, 0), (8, 8, 8)), 1), (block((8, 0, 0), (8, 8, 8)), 1)
    prepared, offset, probability, owner = scene(one, other)

    def found(share):
        settings = ClusteringSettings()
        return cluster_instances(prepared, share * offset, probability, THING, settings)[0]

    assert set(found(np.float32(0.1))) == {1}
    apart = found(np.float32(1))
    assert len(set(apart[owner == 0])) == len(set(apart[owner == 1])) == 1
    assert set(apart) == {1, 2}


def test_what_parts_objects_anywhere_parts_them_where_offsets_tell_nothing():
    one, other = (block((0, 0, 0), (8, 8, 8)), 1), (block((8, 0, 0), (8, 8, 8)), 1)
    prepared, offset, probability, owner = scene(one, other)
    groups = prepared.supervoxel
    name = np.zeros(prepared.n_supervoxels, int)
    name[groups] = owner
    pairs = prepared.borders.pairs
    across = name[pairs[:, 0]] != name[pairs[:, 1]]

    def found(parting, weight=1.25):
        chosen = ClusteringSettings(parting_weight=weight)
        return cluster_instances(prepared, 0 * offset, probability, THING, chosen, parting)[0]

    sure = np.where(across, 5.0, 0.1)
    apart = found(sure)
    assert set(apart) == {1, 2}
    assert set(apart[owner == 0]).isdisjoint(apart[owner == 1])
    for whole in found(None), found(0 * sure), found(sure, weight=0.0):
        assert set(whole) == {1}


def test_stuff_and_specks_are_no_objects():
    names, objects = found_in((block((0, 0, 0), (9, 9, 1)), 0), (block((40, 0, 0), (2, 2, 2)), 1))
    assert objects == []
    assert names == [[0], [0]]


def test_classes_are_not_mixed_in_one_object():
    names, objects = found_in((block((0, 0, 0), (8, 8, 8)), 1), (block((8, 0, 0), (8, 8, 8)), 2))
    assert sorted(o.class_id for o in objects) == [1, 2]
    assert len(names[0]) == len(names[1]) == 1


def test_a_doubtful_super_voxel_takes_the_class_of_its_object():
    prepared, offset, probability, _ = scene((block((0, 0, 0), (8, 8, 8)), 1))
    probability[0] = (0.1, 0.4, 0.5)  # rather a table than a chair
    instance, objects = cluster_instances(
        prepared, offset, probability, THING, ClusteringSettings()
    )
    assert set(instance) == {1}
    assert objects[0].class_id == 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_any_input_gives_disjoint_objects_best_first(seed):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 12, (5, 3)) + np.arange(5)[:, None] * (13, 0, 0)
    blocks = [(block(corner, rng.integers(2, 9, 3)), 1) for corner in corners]
    prepared, _, _, _ = scene(*blocks, piece=int(rng.integers(1, 5)))
    offset = rng.normal(0, 0.1, (len(prepared.xyz), 3)).astype(np.float32)
    probability = rng.dirichlet(np.ones(3), prepared.n_supervoxels).astype(np.float32)
    chosen = ClusteringSettings(min_voxels=5, min_score=0.0)
    instance, objects = cluster_instances(prepared, offset, probability, THING, chosen)
    scores = [o.score for o in objects]
    assert scores == sorted(scores, reverse=True)
    for number, found in enumerate(objects, start=1):
        np.testing.assert_array_equal(np.flatnonzero(instance == number), found.voxels)
        assert len(found.voxels) >= 5
        assert THING[found.class_id]
    assert instance.max(initial=0) == len(objects)
    stuff = ~THING[probability.argmax(axis=1)][prepared.supervoxel]
    assert (instance[stuff] == 0).all()
    for mine in np.unique(prepared.supervoxel):
        assert len(set(instance[prepared.supervoxel == mine])) == 1


def test_the_upright_box_is_tight_around_a_turned_object():
    points = block((0, 0, 0), (20, 8, 4)) * VOXEL
    angle = np.deg2rad(30)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    box = upright_box((points @ turn.T).astype(np.float32))
    expected = np.sort(np.ptp(points, axis=0))
    np.testing.assert_allclose(np.sort(box.extent), expected, atol=0.02)
    np.testing.assert_allclose(box.corners().mean(axis=0), box.center, atol=1e-9)
    inside = (points @ turn.T - box.center) @ box.rotation
    assert (np.abs(inside) <= box.extent / 2 + 1e-6).all()
